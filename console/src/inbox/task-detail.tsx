import { Box, Button, Group, Stack, Text, Title } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconHandGrab, IconX } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { taskQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { JsonObject, Me, Task } from '../api/shapes.ts';
import { Badge, OutcomeBadge } from '../display/badge.tsx';
import { plainNumber } from '../display/format.ts';
import { JsonView } from '../display/json-view.tsx';
import { Markdown } from '../display/markdown.tsx';
import { ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { AnswerForm } from './answer-form.tsx';
import { showContext } from './context.ts';
import { DueBadge } from './due-badge.tsx';

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
        <Head task={task} me={me} />
        {shown.why && (
          <Box className="tone-attention" p="sm" style={{ background: 'var(--tone-bg)', borderRadius: 8 }}>
            <Text fw={550} c="var(--tone-fg)">
              {shown.why}
            </Text>
          </Box>
        )}
        <dl className="facts">
          {shown.facts.map(({ name, value }) => (
            <div key={name} className={value.length > 60 ? 'long' : undefined}>
              <dt>{name}</dt>
              <dd className="number">{value}</dd>
            </div>
          ))}
        </dl>
        {Object.keys(shown.rest).length > 0 && <JsonView value={shown.rest} label="More about the case" />}
        {task.instructions && (
          <Box c="dimmed" style={{ borderInlineStart: '3px solid var(--line)', paddingInlineStart: 12 }}>
            <Markdown text={task.instructions} />
          </Box>
        )}
        {waits && !other && me.permissions.includes('tasks.act') && (
          <AnswerForm key={task.contextDigest} task={task} onAnswered={onAnswered} />
        )}
        {waits && other && <Text c="dimmed">{task.claimedBy} has this case in hand.</Text>}
        {!waits && <Result task={task} />}
      </Stack>
    </Box>
  );
}

function Head({ task, me }: { task: Task; me: Me }) {
  return (
    <Group justify="space-between" align="flex-start" wrap="nowrap">
      <div>
        <Title order={2} fz="xl" style={{ overflowWrap: 'anywhere' }}>
          {task.title}
        </Title>
        <Group gap={8} fz="sm" c="dimmed" mt={2}>
          <span>{task.queueTitle}</span>
          <span>
            came <Time at={task.createdAt} />
          </span>
          <DueBadge task={task} />
        </Group>
      </div>
      <ClaimButton task={task} me={me} />
    </Group>
  );
}

function ClaimButton({ task, me }: { task: Task; me: Me }) {
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (action: 'claim' | 'release') => act<Task>('POST', `/api/v1/tasks/${task.id}/${action}`),
    onSuccess: (changed) => {
      queries.setQueryData(taskQuery(task.id).queryKey, changed);
      void queries.invalidateQueries({ queryKey: ['tasks'] });
    },
  });
  const mine = task.status === 'claimed' && task.claimedById === me.id;
  useHotkeys([['c', () => (task.status === 'open' || mine) && change.mutate(mine ? 'release' : 'claim')]]);
  if (change.error) return <ProblemView error={change.error} retry={() => change.reset()} />;
  const may = (permission: string) => me.permissions.includes(permission);
  if (task.status === 'open' && may('tasks.act'))
    return (
      <Button
        variant="default"
        leftSection={<IconHandGrab size={16} />}
        rightSection={<kbd className="wide-only">c</kbd>}
        loading={change.isPending}
        onClick={() => change.mutate('claim')}
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
        onClick={() => change.mutate('release')}
      >
        Give back
      </Button>
    </Group>
  );
}

function Result({ task }: { task: Task }) {
  const { outcome, ...rest } = (task.result ?? {}) as JsonObject;
  const how = task.decidedBy
    ? `${task.decidedBy} answered`
    : { expired: 'Nobody answered in time', canceled: 'It was withdrawn', completed: 'Answered' }[
        task.status as 'expired'
      ];
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
