import { Progress, Stack, Text } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { BUILDS_PATH, type DatasetBuild, datasetBuildsQuery, datasetVersionsQuery } from '../api/datasets.ts';
import { meQuery } from '../api/queries.ts';
import { StatusBadge } from '../display/badge.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { Hint } from '../display/hint.tsx';
import { Panel } from '../display/page.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** How many of the newest are looked at for what became of none. */
const NEWEST = 5;

/** Versions that are being made, and the newest that came to nothing; what was made stands among the versions. */
export function DatasetBuilds({ name }: { name: string }) {
  const builds = useQuery(datasetBuildsQuery(name));
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const items = builds.data?.items ?? [];
  const made = items.filter(({ status }) => status === 'done').length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a build that is done is a version that was not listed yet
  useEffect(() => {
    void queries.invalidateQueries({ queryKey: datasetVersionsQuery(name).queryKey });
  }, [made, name, queries]);
  const shown = items.filter(({ status }, at) => status === 'running' || (status !== 'done' && at < NEWEST));
  if (shown.length === 0) return null;
  const mayCancel = me.data?.permissions.includes('datasets.write') ?? false;
  return (
    <Panel
      title="Being made"
      padded={false}
      aside={
        <CopyAs
          what="These builds"
          command={{ method: 'GET', path: `${BUILDS_PATH}?dataset=${name}`, cli: `datasets builds ${name}` }}
        />
      }
    >
      <table className="rows">
        <thead>
          <tr>
            <th>State</th>
            <th>Rows</th>
            <th className="wide-only end">Asked for</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((build) => (
            <tr key={build.id}>
              <td>
                <StatusBadge status={build.status} label={build.status} />
                {build.problem && (
                  <Text size="xs" c="dimmed" maw={420} style={{ overflowWrap: 'anywhere' }}>
                    {build.problem.detail ?? build.problem.title} <Hint of={build.problem} />
                  </Text>
                )}
              </td>
              <td>
                <Rows build={build} />
                {mayCancel && build.status === 'running' && <Cancel build={build} />}
              </td>
              <td className="wide-only end">
                <Time at={build.requestedAt} />
                <div>
                  <Who id={build.requestedBy} />
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Rows({ build: { status, rows, total, dataset } }: { build: DatasetBuild }) {
  return (
    <Stack gap={4} mb={4}>
      <Text size="sm" style={{ whiteSpace: 'nowrap' }}>
        {count(rows)}
        {total !== undefined && ` of ${count(total)}`}
      </Text>
      {status === 'running' && total !== undefined && total > 0 && (
        <Progress value={(rows / total) * 100} aria-label={`Progress of ${dataset}`} />
      )}
    </Stack>
  );
}

function Cancel({ build: { id, dataset } }: { build: DatasetBuild }) {
  return (
    <ConfirmedButton
      label="Cancel"
      name={`Cancel ${dataset}`}
      question="Cancel this version?"
      confirm="Cancel the version"
      command={{
        method: 'POST',
        path: `${BUILDS_PATH}/${encodeURIComponent(id)}/cancel`,
        cli: `datasets cancel ${id}`,
      }}
      changes={datasetBuildsQuery(dataset).queryKey}
      icon={<IconX size={14} aria-hidden />}
      isDestructive
    >
      What it has read is thrown away, and no version comes of it.
    </ConfirmedButton>
  );
}
