import { Group, Select, Text } from '@mantine/core';
import { IconGitBranch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { versionsQuery, workflowsQuery } from '../api/queries.ts';
import type { VersionInUse } from '../api/shapes.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { ChangeLink } from '../display/change-link.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

const route = getRouteApi('/runs/versions');

/** Which versions of a flow still have runs: a run stays on the version that it began with. */
export function VersionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useQuery(workflowsQuery);
  const names = workflows.data?.items.map(({ name }) => name) ?? [];
  const isEmpty = workflows.data !== undefined && names.length === 0;
  const workflow = search.workflow ?? names[0];
  const path = `/api/v1/workflows/${workflow}/versions-in-use`;
  return (
    <Page
      title="Versions in use"
      parent={
        <PageLink to="/runs" size="sm">
          Runs
        </PageLink>
      }
      subtitle="A run keeps the version that it started with. This page shows which versions are still running."
      actions={
        <>
          {workflow && <ChangeLink kind="workflow" name={workflow} />}
          {workflow && (
            <CopyAs
              what="This report"
              command={{ method: 'GET', path, cli: `workflows versions ${workflow}` }}
            />
          )}
        </>
      }
    >
      {!isEmpty && (
        <Select
          aria-label="Flow"
          data={names}
          value={workflow ?? null}
          onChange={(chosen) => void navigate({ search: { workflow: chosen ?? undefined }, replace: true })}
          w={{ base: '100%', xs: 240 }}
        />
      )}
      {workflow && <Versions workflow={workflow} />}
      {isEmpty && (
        <Panel>
          <Empty title="No flow yet" icon={<IconGitBranch size={32} />}>
            Put one into <code className="mono">workflows/</code> of a project and apply it.
          </Empty>
        </Panel>
      )}
    </Page>
  );
}

function Versions({ workflow }: { workflow: string }) {
  const versions = useQuery(versionsQuery(workflow));
  return (
    <Panel padded={false}>
      <Answer query={versions}>
        {({ items }) =>
          items.every(({ runs }) => runs === 0) ? (
            <Empty title="No runs of this flow are in progress">
              New runs take version {items[0]?.version}.
            </Empty>
          ) : (
            <table className="rows">
              <thead>
                <tr>
                  <th>Version</th>
                  <th className="end">Runs</th>
                  <th className="wide-only">Oldest</th>
                  <th>Where they stand</th>
                </tr>
              </thead>
              <tbody>
                {items.map((version) => (
                  <VersionRow key={version.version} workflow={workflow} version={version} />
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
    </Panel>
  );
}

function VersionRow({ workflow, version: row }: { workflow: string; version: VersionInUse }) {
  const { version, current, runs, oldestStartedAt, oldestRunId, stands } = row;
  return (
    <tr>
      <td>
        <Group gap="xs">
          <PageLink to="/runs" search={{ workflow, version: String(version) }} size="sm">
            v{version}
          </PageLink>
          {current && <Badge tone="quiet">in force</Badge>}
        </Group>
      </td>
      <td className="end number">{runs}</td>
      <td className="wide-only">
        {oldestRunId && (
          <PageLink to="/runs/$id" params={{ id: oldestRunId }} size="sm">
            <Time at={oldestStartedAt} />
          </PageLink>
        )}
      </td>
      <td>
        {stands.map(({ status, waitingFor, runs: count }) => (
          <Group gap={6} key={`${status} ${waitingFor}`}>
            <StatusBadge status={status} />
            <Text size="sm">
              {count}
              {waitingFor && ` in ${waitingFor}`}
            </Text>
          </Group>
        ))}
      </td>
    </tr>
  );
}
