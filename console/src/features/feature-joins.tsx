import { Progress, Stack, Text } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type FeatureJoin, featureJoinsQuery, JOINS_PATH } from '../api/feature-joins.ts';
import { meQuery } from '../api/queries.ts';
import { StatusBadge } from '../display/badge.tsx';
import { CommandText } from '../display/command-text.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count, duration } from '../display/format.ts';
import { Hint } from '../display/hint.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** Historical joins of files, the newest first: how far each is, what went wrong, and a button that ends one. */
export function FeatureJoins() {
  const joins = useQuery(featureJoinsQuery);
  return (
    <Panel
      title="Historical joins of files"
      padded={false}
      aside={
        <CopyAs what="These joins" command={{ method: 'GET', path: JOINS_PATH, cli: 'features joins' }} />
      }
    >
      <Answer query={joins}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No join yet">
              Join a file of entities with the features that were known at their times:{' '}
              <CommandText>aios features historical --service … --entities … --out …</CommandText>
            </Empty>
          ) : (
            <Joins joins={items} />
          )
        }
      </Answer>
    </Panel>
  );
}

function Joins({ joins }: { joins: readonly FeatureJoin[] }) {
  const me = useQuery(meQuery);
  const mayCancel = me.data?.permissions.includes('features.control') ?? false;
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>State</th>
          <th>File</th>
          <th>Rows</th>
          <th className="wide-only end">Asked for</th>
        </tr>
      </thead>
      <tbody>
        {joins.map((join) => (
          <tr key={join.id}>
            <td>
              <StatusBadge status={join.status === 'done' ? 'completed' : join.status} label={join.status} />
            </td>
            <td className="anywhere">
              <Text size="sm">{join.out}</Text>
              <Text size="xs" c="dimmed">
                {join.entities} with {join.service}
              </Text>
              {join.problem && (
                <Text size="xs" maw={520}>
                  {join.problem.detail ?? join.problem.title} <Hint of={join.problem} />
                </Text>
              )}
            </td>
            <td>
              <Rows join={join} />
              {mayCancel && join.status === 'running' && <Cancel join={join} />}
            </td>
            <td className="wide-only end">
              <Time at={join.requestedAt} />
              <div>
                <Who id={join.requestedBy} />
              </div>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rows({ join: { status, rows, total, out, requestedAt, endedAt } }: { join: FeatureJoin }) {
  return (
    <Stack gap={4} mb={4}>
      <Text size="sm" style={{ whiteSpace: 'nowrap' }}>
        {count(rows)}
        {status !== 'done' && total !== undefined && ` of ${count(total)}`}
        {status === 'done' &&
          endedAt !== undefined &&
          ` in ${duration(Date.parse(endedAt) - Date.parse(requestedAt))}`}
      </Text>
      {status === 'running' && total !== undefined && total > 0 && (
        <Progress value={(rows / total) * 100} aria-label={`Progress of ${out}`} />
      )}
    </Stack>
  );
}

function Cancel({ join: { id, out } }: { join: FeatureJoin }) {
  return (
    <ConfirmedButton
      label="Cancel"
      name={`Cancel ${out}`}
      question="Cancel this join?"
      confirm="Cancel the join"
      command={{
        method: 'POST',
        path: `${JOINS_PATH}/${encodeURIComponent(id)}/cancel`,
        cli: `features joins ${id} --cancel`,
      }}
      changes={featureJoinsQuery.queryKey}
      icon={<IconX size={14} aria-hidden />}
      isDestructive
    >
      What it has read is thrown away: {out} is only there once it is whole.
    </ConfirmedButton>
  );
}
