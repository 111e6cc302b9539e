import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type Materialization, materializationsQuery, materializePath } from '../api/features.ts';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { StatusBadge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

/** How a table comes online: the passes over it, and a button for the next one. */
export function Materializations({ view }: { view: string }) {
  const passes = useQuery(materializationsQuery(view));
  const me = useQuery(meQuery);
  const client = useQueryClient();
  const start = useMutation({
    mutationFn: (mode: Materialization['mode']) => act('POST', materializePath(view), { mode }),
    onSettled: () => client.invalidateQueries({ queryKey: ['features', 'materializations', view] }),
  });
  const isRunning = passes.data?.items.some(({ status }) => status === 'running') ?? false;
  return (
    <Panel
      title="Materializations"
      padded={false}
      aside={
        me.data?.permissions.includes('features.control') && (
          <Group gap="xs">
            <CopyAs
              what="A materialization"
              command={{
                method: 'POST',
                path: materializePath(view),
                body: { mode: 'incremental' },
                cli: `features materialize ${view}`,
              }}
            />
            <Button
              size="xs"
              variant="default"
              disabled={isRunning}
              loading={start.isPending}
              onClick={() => start.mutate('incremental')}
            >
              Bring new rows online
            </Button>
            <Button size="xs" variant="default" disabled={isRunning} onClick={() => start.mutate('full')}>
              All rows
            </Button>
          </Group>
        )
      }
    >
      {start.error && <ProblemView error={start.error} />}
      <Answer query={passes}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing is online yet">The rows of the table come online when you say so.</Empty>
          ) : (
            <Passes passes={items} />
          )
        }
      </Answer>
    </Panel>
  );
}

function Passes({ passes }: { passes: readonly Materialization[] }) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>State</th>
          <th className="wide-only">Rows</th>
          <th>Entities</th>
          <th className="end">Asked for</th>
        </tr>
      </thead>
      <tbody>
        {passes.map(({ id, mode, status, entities, total, removed, requestedAt, problem }) => (
          <tr key={id}>
            <td>
              <StatusBadge status={status === 'done' ? 'completed' : status} label={status} />
              {problem && (
                <Text size="xs" c="dimmed">
                  {problem.detail ?? problem.title}
                </Text>
              )}
            </td>
            <td className="wide-only">{mode === 'full' ? 'all' : 'new ones'}</td>
            <td>
              <Stack gap={4}>
                <Text size="sm">
                  {count(entities)}
                  {total !== undefined && ` of ${count(total)}`}
                  {removed > 0 && `, ${count(removed)} gone`}
                </Text>
                {status === 'running' && total !== undefined && total > 0 && (
                  <Progress value={(entities / total) * 100} aria-label={`Progress of ${id}`} />
                )}
              </Stack>
            </td>
            <td className="end">
              <Time at={requestedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
