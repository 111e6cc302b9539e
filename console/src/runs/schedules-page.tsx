import { Group, Text } from '@mantine/core';
import { IconCalendarTime } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { meQuery, schedulesQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Schedule } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Backfill } from './backfill.tsx';
import { PauseButton } from './pause-button.tsx';

const READ_MS = 5_000;
/** What becomes of a time that comes while the run before it goes on. */
const OVERLAPS: Record<Schedule['overlap'], string> = {
  skip: 'the time is skipped',
  queue: 'it waits for the end',
  parallel: 'both run',
  cancel: 'the run is canceled',
};

/** What starts by time: when next, when last, and whether it is stopped. */
export function SchedulesPage() {
  const schedules = useQuery({ ...schedulesQuery, refetchInterval: READ_MS });
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: ({ workflow, paused }: Schedule) =>
      act<Schedule>('POST', `/api/v1/workflows/${workflow}/schedule/${paused ? 'resume' : 'pause'}`, {}),
    onSettled: () => queries.invalidateQueries({ queryKey: schedulesQuery.queryKey }),
  });
  const mayChange = me.data?.permissions.includes('runs.control') ?? false;
  return (
    <Page
      title="Schedules"
      parent={
        <PageLink to="/runs" size="sm">
          Runs
        </PageLink>
      }
      subtitle="Flows that start on a schedule. Pausing a schedule stops future runs; those in progress continue."
      actions={
        <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/schedules', cli: 'schedules' }} />
      }
    >
      {change.error && <ProblemView error={change.error} />}
      <Panel padded={false}>
        <Answer query={schedules}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No schedules" icon={<IconCalendarTime size={32} />}>
                A flow with <span className="mono">schedule: {'{ cron: "0 8 * * 1-5" }'}</span> stands here.
              </Empty>
            ) : (
              <Schedules
                items={items}
                changing={change.isPending ? change.variables.workflow : undefined}
                onChange={mayChange ? change.mutate : undefined}
              />
            )
          }
        </Answer>
      </Panel>
    </Page>
  );
}

interface SchedulesProps {
  items: readonly Schedule[];
  /** The flow whose change is on its way. */
  changing: string | undefined;
  onChange: ((schedule: Schedule) => void) | undefined;
}

function Schedules({ items, changing, onChange }: SchedulesProps) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Flow</th>
          <th>Next</th>
          <th>Last</th>
          <th className="wide-only">While a run goes on</th>
          <th className="wide-only end">Waiting</th>
          <th className="wide-only end">Skipped</th>
          <th className="end">{onChange && 'Change'}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((schedule) => (
          <ScheduleRow
            key={schedule.workflow}
            schedule={schedule}
            isChanging={changing === schedule.workflow}
            onChange={onChange}
          />
        ))}
      </tbody>
    </table>
  );
}

function ScheduleRow({
  schedule,
  isChanging,
  onChange,
}: {
  schedule: Schedule;
  isChanging: boolean;
  onChange: SchedulesProps['onChange'];
}) {
  const { workflow, kind, expression, timezone, overlap, paused, nextAt, lastAt, lastRunId } = schedule;
  return (
    <tr>
      <td>
        <PageLink to="/runs" search={{ workflow }} size="sm" fw={500}>
          {workflow}
        </PageLink>
        <Text size="xs" c="dimmed">
          {kind}{' '}
          <span className="mono" style={{ whiteSpace: 'nowrap' }}>
            {expression}
          </span>
          {kind === 'cron' && ` ${timezone}`}
        </Text>
      </td>
      <td>{paused ? <Badge tone="attention">paused</Badge> : <Time at={nextAt} />}</td>
      <td>
        {lastRunId === undefined ? (
          <Time at={lastAt} />
        ) : (
          <PageLink to="/runs/$id" params={{ id: lastRunId }} size="sm">
            <Time at={lastAt} />
          </PageLink>
        )}
      </td>
      <td className="wide-only">{OVERLAPS[overlap]}</td>
      <td className="wide-only end number">{schedule.queued}</td>
      <td className="wide-only end number">{schedule.skipped}</td>
      <td className="end">
        {onChange && (
          <Group gap={6} justify="flex-end">
            <Backfill workflow={workflow} />
            <PauseButton
              name={workflow}
              paused={paused}
              isChanging={isChanging}
              onClick={() => onChange(schedule)}
            />
          </Group>
        )}
      </td>
    </tr>
  );
}
