import { AiosError } from '../kernel/errors.ts';
import type { Queue } from './queue-kind.ts';
import type { TaskRow } from './task-reader.ts';

/** Who claims and answers. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly groups?: readonly string[] | undefined;
}

type Whose = Pick<TaskRow, 'queue' | 'candidateGroups' | 'addedGroups' | 'addedRoles'>;

/**
 * Whether a task is for a person: by a group that the task names itself, else by a role or a group of its queue as it is now, else by what an escalation added.
 * A queue that names neither is for everybody, and an admin may answer everything.
 */
function isCandidate(person: Person, task: Whose, queue: Queue | undefined): boolean {
  if (person.roles.includes('admin')) return true;
  if (shares(task.addedGroups, person.groups) || shares(task.addedRoles, person.roles)) return true;
  if (task.candidateGroups !== null) return shares(task.candidateGroups, person.groups);
  return !queue || isQueueFor(person, queue);
}

/** Whether a queue is for a person when its tasks say nothing else. */
export function isQueueFor(person: Person, { candidateRoles, candidateGroups }: Queue): boolean {
  if (!candidateRoles && !candidateGroups) return true;
  return shares(candidateRoles, person.roles) || shares(candidateGroups, person.groups);
}

/** @throws AiosError `tasks.not_candidate` */
export function requireCandidate(person: Person, task: Whose, queue: Queue | undefined): void {
  if (isCandidate(person, task, queue)) return;
  const groups = task.candidateGroups ?? queue?.candidateGroups ?? [];
  const roles = task.candidateGroups ? [] : (queue?.candidateRoles ?? []);
  throw new AiosError('tasks.not_candidate', {
    detail: `It is for ${[...roles, ...groups].join(', ')}; ${person.name} has ${
      [...person.roles, ...(person.groups ?? [])].join(', ') || 'no role'
    }.`,
  });
}

function shares(wanted: readonly string[] | undefined, held: readonly string[] | undefined): boolean {
  return wanted?.some((name) => held?.includes(name)) ?? false;
}
