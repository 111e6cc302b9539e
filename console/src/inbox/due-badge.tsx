import type { Task } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { Time, useNow } from '../display/time.tsx';
import { dueTone } from './due.ts';

/** When an answer is due; nothing once there is one, or where none is. */
export function DueBadge({ task }: { task: Task }) {
  const now = useNow();
  if (!task.dueAt || task.endedAt !== undefined) return null;
  return (
    <Badge tone={dueTone(task.dueAt, now)}>
      due <Time at={task.dueAt} />
    </Badge>
  );
}
