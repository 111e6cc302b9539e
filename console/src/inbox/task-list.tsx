import { Box, Group, Text, UnstyledButton } from '@mantine/core';
import type { ReactNode } from 'react';
import type { Task } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { Time } from '../display/time.tsx';
import { whyOf } from './context.ts';
import { DueBadge } from './due-badge.tsx';

interface TaskListProps {
  tasks: readonly Task[];
  selected: string | undefined;
  onSelect: (id: string) => void;
  /** At the end of a list that goes on. */
  more?: ReactNode;
}

export function TaskList({ tasks, selected, onSelect, more }: TaskListProps) {
  return (
    <Box className="panel task-list" component="nav" aria-label="Tasks" style={{ overflowY: 'auto' }}>
      {tasks.map((task) => (
        <TaskRow
          key={task.id}
          task={task}
          selected={task.id === selected}
          onSelect={() => onSelect(task.id)}
        />
      ))}
      <Box ta="center" p="xs">
        {more}
      </Box>
    </Box>
  );
}

function TaskRow({ task, selected, onSelect }: { task: Task; selected: boolean; onSelect: () => void }) {
  const why = whyOf(task.context);
  return (
    <UnstyledButton
      id={`task ${task.id}`}
      onClick={onSelect}
      aria-current={selected ? 'true' : undefined}
      className="task-row"
      w="100%"
      px="md"
      py={10}
    >
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Text size="sm" fw={600} truncate>
          {task.title}
        </Text>
        {task.status === 'claimed' && <Badge tone="active">{task.claimedBy}</Badge>}
        {task.decidedBy && <Badge tone="quiet">{task.decidedBy}</Badge>}
      </Group>
      {why && (
        <Text size="xs" lineClamp={2} mt={2}>
          {why}
        </Text>
      )}
      <Group gap="xs" mt={4} fz="xs" c="dimmed">
        <span>
          arrived <Time at={task.createdAt} />
        </span>
        <DueBadge task={task} />
      </Group>
    </UnstyledButton>
  );
}
