import { Text } from '@mantine/core';
import { IconStack2 } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { meQuery, runQueuesQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { RunQueue } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { PauseButton } from './pause-button.tsx';
import { boundsOf } from './queue-bounds.ts';

const READ_MS = 2_000;

/** Where runs wait before they begin: how many, since when, and whether the queue is held. */
export function QueuesPage() {
  const queues = useQuery({ ...runQueuesQuery, refetchInterval: READ_MS });
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: ({ name, paused }: RunQueue) =>
      act<RunQueue>('PATCH', `/api/v1/run-queues/${encodeURIComponent(name)}`, { paused: !paused }),
    onSettled: () => queries.invalidateQueries({ queryKey: runQueuesQuery.queryKey }),
  });
  const mayChange = me.data?.permissions.includes('runs.control') ?? false;
  return (
    <Page
      title="Queues of runs"
      parent={
        <PageLink to="/runs" size="sm">
          Runs
        </PageLink>
      }
      subtitle="Runs wait here for their turn. While a queue is paused, no more runs start; those that have started continue."
      actions={
        <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/run-queues', cli: 'run-queues' }} />
      }
    >
      {change.error && <ProblemView error={change.error} />}
      <Panel padded={false}>
        <Answer query={queues}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No queues yet" icon={<IconStack2 size={32} />}>
                A file in <span className="mono">run-queues/</span> bounds how many runs go on at once, and
                how fast they begin.
              </Empty>
            ) : (
              <Queues
                items={items}
                changing={change.isPending ? change.variables.name : undefined}
                onChange={mayChange ? change.mutate : undefined}
              />
            )
          }
        </Answer>
      </Panel>
    </Page>
  );
}

interface QueuesProps {
  items: readonly RunQueue[];
  /** The queue whose change is on its way. */
  changing: string | undefined;
  onChange: ((queue: RunQueue) => void) | undefined;
}

function Queues({ items, changing, onChange }: QueuesProps) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Queue</th>
          <th className="end">Waiting</th>
          <th className="end">Running</th>
          <th className="wide-only">Oldest since</th>
          <th className="end">{onChange && 'Change'}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((queue) => (
          <QueueRow key={queue.name} queue={queue} isChanging={changing === queue.name} onChange={onChange} />
        ))}
      </tbody>
    </table>
  );
}

function QueueRow({
  queue,
  isChanging,
  onChange,
}: {
  queue: RunQueue;
  isChanging: boolean;
  onChange: QueuesProps['onChange'];
}) {
  const { name, paused, pending, admitted, oldestAt, body } = queue;
  return (
    <tr>
      <td>
        <Text size="sm" fw={500} component="span">
          {name}
        </Text>{' '}
        {paused && <Badge tone="attention">paused</Badge>}
        <Text size="xs" c="dimmed">
          {boundsOf(body)}
        </Text>
      </td>
      <td className="end number">{pending}</td>
      <td className="end number">{admitted}</td>
      <td className="wide-only">{oldestAt && <Time at={oldestAt} />}</td>
      <td className="end">
        {onChange && (
          <PauseButton name={name} paused={paused} isChanging={isChanging} onClick={() => onChange(queue)} />
        )}
      </td>
    </tr>
  );
}
