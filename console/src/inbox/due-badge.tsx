import type { Task } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { Time, useNow } from '../display/time.tsx';
import { dueTone } from './due.ts';

/** When an answer is due, or else when it is too late for one; nothing once there is one. */
export function DueBadge({ task }: { task: Task }) {
  const now = useNow();
  const at = task.dueAt ?? task.deadlineAt;
  if (!at || task.endedAt !== undefined) return null;
  return (
    <Badge tone={dueTone(at, now)}>
      {task.dueAt ? 'due' : 'closes'} <Time at={at} />
    </Badge>
  );
}
