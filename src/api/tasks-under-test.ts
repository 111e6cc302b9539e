import type { Access } from '../access/access.ts';
import type { EventLog } from '../events/log.ts';
import { systemClock } from '../kernel/clock.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Costs } from '../ledger/costs.ts';
import type { Database } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import { Tasks } from '../tasks/tasks.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';

interface TaskSurroundings {
  definitions: Definitions;
  access: Access;
  log: EventLog;
  audit: AuditLog;
  costs: Costs;
}

/** The people's station over a store that a test opened. */
export function createTasks(
  store: { db: Database; commit: Committer; limits: Limits },
  { definitions, access, log, audit, costs }: TaskSurroundings,
  signal: WorkflowEngine['signal'],
): Tasks {
  const people = () => access.holders('tasks.act');
  return new Tasks({
    ...store,
    clock: systemClock,
    definitions,
    people: { list: people, find: async (id) => (await people()).find((person) => person.id === id) },
    audit: ({ id }, { kind, by, at, detail }) =>
      audit.entry({
        kind: 'task',
        action: kind,
        actor: { kind: 'key', id: by?.id ?? 'aios' },
        object: `task:${id}`,
        at,
        payload: detail,
      }),
    notify: (type, _task, data) =>
      log.write({
        specversion: '1.0',
        id: newId('evt'),
        source: 'urn:aios:tasks',
        type,
        time: new Date().toISOString(),
        data,
      }),
    answers: {
      record: ({ id, runId, queue }, { by, result, atMs, minutes, costMicroUsd, chargedTo }) => [
        audit.entry({
          kind: 'task',
          action: 'completed',
          actor: { kind: 'key', id: by.id },
          object: `run:${runId}`,
          at: atMs,
          payload: { task: id, result },
        }),
        costs.entry({
          runId,
          stepKey: chargedTo,
          service: 'people',
          resource: queue,
          quantity: minutes,
          unit: 'minutes',
          amountMicroUsd: costMicroUsd,
          at: atMs,
        }),
      ],
      resume: (task, payload) => signal({ runId: task.runId, stepKey: task.stepKey, payload }),
    },
  });
}
