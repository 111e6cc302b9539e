import { Box, Button, Group, Stack, Text, Title } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconHandGrab, IconX } from '@tabler/icons-react';
import type { JsonObject, Me, Task } from '../api/shapes.ts';
import { Badge, OutcomeBadge } from '../display/badge.tsx';
import { plainNumber } from '../display/format.ts';
import { JsonView } from '../display/json-view.tsx';
import { Markdown } from '../display/markdown.tsx';
import { ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Activity } from './activity.tsx';
import { AnswerForm } from './answer-form.tsx';
import { showContext } from './context.ts';
import { DueBadge } from './due-badge.tsx';
import { ReviewPanel } from './review-panel.tsx';
import { TaskActs } from './task-acts.tsx';
import { useTaskAct } from './use-act.ts';

/** From here on a case is marked: the ladder of a queue begins to lift it. */
const PRESSING = 70;

interface TaskDetailProps {
  task: Task;
  me: Me;
  onAnswered: () => void;
}

/** One case: why a person is asked, what is known, and the answer. */
export function TaskDetail({ task, me, onAnswered }: TaskDetailProps) {
  const shown = showContext(task.context);
  const waits = task.status === 'open' || task.status === 'claimed';
  const other = task.status === 'claimed' && task.claimedById !== me.id;
  return (
    <Box className="panel" p="lg" component="section" aria-label={task.title}>
      <Stack gap="md">
        <Head task={task} me={me} onLeft={onAnswered} />
        {shown.why && (
          <Box className="tone-attention" p="sm" style={{ background: 'var(--tone-bg)', borderRadius: 8 }}>
            <Text fw={550} c="var(--tone-fg)">
              {shown.why}
            </Text>
          </Box>
        )}
        <dl className="facts">
          {shown.facts.map(({ name, value, exact }) => (
            <div key={name} className={value.length > 60 ? 'long' : undefined}>
              <dt>{name}</dt>
              <dd className="number" title={exact}>
                {value}
              </dd>
            </div>
          ))}
        </dl>
        {Object.keys(shown.rest).length > 0 && <JsonView value={shown.rest} label="More about the case" />}
        {task.instructions && (
          <Box c="dimmed" style={{ borderInlineStart: '3px solid var(--line)', paddingInlineStart: 12 }}>
            <Markdown text={task.instructions} />
          </Box>
        )}
        {task.review && <ReviewPanel task={task} review={task.review} me={me} />}
        {waits && !other && me.permissions.includes('tasks.act') && (
          <AnswerForm key={task.contextDigest} task={task} onAnswered={onAnswered} />
        )}
        {waits && other && <Text c="dimmed">{task.claimedBy} has this case in hand.</Text>}
        {!waits && <Result task={task} />}
        <Activity task={task} me={me} />
      </Stack>
    </Box>
  );
}

function Head({ task, me, onLeft }: { task: Task; me: Me; onLeft: () => void }) {
  const waits = task.endedAt === undefined;
  return (
    <Group justify="space-between" align="flex-start">
      <div style={{ flex: '1 1 260px' }}>
        <Title order={2} fz="xl" style={{ overflowWrap: 'anywhere' }}>
          {task.title}
        </Title>
        <Group gap={8} fz="sm" c="dimmed" mt={2}>
          <div className="dotted">
            <span>{task.queueTitle}</span>
            <span>
              arrived <Time at={task.createdAt} />
            </span>
          </div>
          <DueBadge task={task} />
          {waits && task.priority >= PRESSING && <Badge tone="attention">pressing</Badge>}
          {task.followUpAt && waits && (
            <span>
              look again <Time at={task.followUpAt} />
            </span>
          )}
          {task.owner && <span>for {task.owner}</span>}
          {waits && <Groups task={task} />}
        </Group>
      </div>
      <Group gap="xs" wrap="nowrap" align="flex-start" style={{ flex: 'none' }}>
        <ClaimButton task={task} me={me} />
        {waits && <TaskActs task={task} me={me} onLeft={onLeft} />}
      </Group>
    </Group>
  );
}

/** Whose the case is when it says so itself, and who may answer too since it was escalated. */
function Groups({ task: { candidateGroups = [], addedGroups, addedRoles } }: { task: Task }) {
  const added = [...addedGroups, ...addedRoles];
  return (
    <>
      {candidateGroups.length > 0 && <span>of {candidateGroups.join(', ')}</span>}
      {added.length > 0 && <Badge tone="attention">also for {added.join(', ')}</Badge>}
    </>
  );
}

function ClaimButton({ task, me }: { task: Task; me: Me }) {
  const change = useTaskAct(task.id);
  const mine = task.status === 'claimed' && task.claimedById === me.id;
  useHotkeys([
    ['c', () => (task.status === 'open' || mine) && change.mutate({ what: mine ? 'release' : 'claim' })],
  ]);
  if (change.error) return <ProblemView error={change.error} retry={() => change.reset()} />;
  const may = (permission: string) => me.permissions.includes(permission);
  if (task.status === 'open' && may('tasks.act'))
    return (
      <Button
        variant="default"
        leftSection={<IconHandGrab size={16} />}
        rightSection={<kbd className="wide-only">c</kbd>}
        loading={change.isPending}
        onClick={() => change.mutate({ what: 'claim' })}
        style={{ flex: 'none' }}
      >
        Claim
      </Button>
    );
  if (task.status !== 'claimed' || !(mine || may('tasks.release'))) return null;
  return (
    <Group gap="xs" wrap="nowrap">
      <Badge tone="active">{mine ? 'yours' : task.claimedBy}</Badge>
      <Button
        variant="subtle"
        color="gray"
        size="xs"
        leftSection={<IconX size={14} />}
        loading={change.isPending}
        onClick={() => change.mutate({ what: 'release' })}
      >
        {mine && task.owner ? `Give back to ${task.owner}` : 'Give back'}
      </Button>
    </Group>
  );
}

function Result({ task }: { task: Task }) {
  const { outcome, ...rest } = (task.result ?? {}) as JsonObject;
  const how = task.decidedBy
    ? `${task.decidedBy} ${task.status === 'returned' ? 'asked' : 'answered'}`
    : {
        expired: 'Nobody answered in time',
        canceled: task.review?.status === 'decided' ? 'Decided without this answer' : 'It was withdrawn',
        completed: 'Answered',
      }[task.status as 'expired'];
  return (
    <Box className="tone-quiet" p="md" style={{ background: 'var(--page)', borderRadius: 8 }}>
      <Group gap="xs" mb={4}>
        <Text fw={600}>{how}</Text>
        {typeof outcome === 'string' && <OutcomeBadge outcome={outcome} />}
        <Text size="sm" c="dimmed">
          <Time at={task.endedAt} />
          {task.minutes !== undefined && ` · ${plainNumber(task.minutes)} min of work`}
        </Text>
      </Group>
      {Object.entries(rest).map(([name, value]) => (
        <Text key={name} size="sm">
          {typeof value === 'string' ? value : JSON.stringify(value)}
        </Text>
      ))}
    </Box>
  );
}
