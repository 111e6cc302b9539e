import { Access, type AccessRecords } from '../../access/access.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { newId } from '../../kernel/ids.ts';
import type { AuditLog } from '../../ledger/audit.ts';
import type { Costs } from '../../ledger/costs.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { Write } from '../../store/lane.ts';
import type { AnswerPort } from '../../tasks/task-desk.ts';
import { Tasks } from '../../tasks/tasks.ts';
import type { Ground } from './ground.ts';

/** Keys and the people who hold them; what happens to a key has its audit entry. */
export function createAccess({ db, commit, clock, limits }: Ground, auditLog: AuditLog): Access {
  const record: AccessRecords['record'] = ({ keyId, action, by, payload }) =>
    auditLog.entry({
      kind: 'key',
      action,
      actor: by === 'system' ? { kind: 'system', id: 'aios' } : { kind: 'person', id: by },
      object: `key:${keyId}`,
      at: clock.now(),
      payload,
    });
  return new Access(db, limits, { commit, record });
}

interface TaskSurroundings {
  definitions: Definitions;
  auditLog: AuditLog;
  access: Access;
  answers: AnswerPort;
  emit(event: CloudEvent): Write;
}

/** The inbox, and who may act on what is in it: the holders of keys. */
export function createTasks(
  ground: Ground,
  { definitions, auditLog, access, answers, emit }: TaskSurroundings,
): Tasks {
  const people = () => access.holders('tasks.act');
  return new Tasks({
    ...ground,
    definitions,
    answers,
    people: { list: people, find: async (id) => (await people()).find((person) => person.id === id) },
    audit: ({ id, queue, subject }, { kind, by, at, detail }) =>
      auditLog.entry({
        kind: 'task',
        action: kind,
        actor: by ? { kind: 'person', id: by.id } : { kind: 'system', id: 'aios' },
        object: `task:${id}`,
        ...(subject === null ? {} : { subject }),
        at,
        payload: { task: id, queue, ...detail },
      }),
    notify: (type, { id }, data) =>
      emit({
        specversion: '1.0',
        id: newId('evt'),
        source: 'urn:aios:tasks',
        type,
        subject: id,
        time: new Date(ground.clock.now()).toISOString(),
        data,
      }),
  });
}

/** An answer is an audit entry, the cost of a person's minutes, and the signal that lets the run go on. */
export function createAnswers(auditLog: AuditLog, costs: Costs, resume: AnswerPort['resume']): AnswerPort {
  return {
    resume,
    record: (task, answer, decided) => {
      const { by, result, atMs, minutes, costMicroUsd, chargedTo, queueDigest, returned } = answer;
      const { id, queue, queueVersion, runId, context, contextDigest, suggestion, subject, owner } = task;
      const { deadlineAt } = task;
      return [
        auditLog.entry({
          kind: 'task',
          action: returned ? 'returned' : 'completed',
          actor: { kind: 'person', id: by.id },
          object: `run:${runId}`,
          ...(subject === null ? {} : { subject }),
          at: atMs,
          payload: {
            task: id,
            ...{ queue, queueVersion, queueDigest },
            deadlineAt: deadlineAt === null ? null : new Date(deadlineAt).toISOString(),
            shown: context,
            contextDigest,
            suggestion: suggestion ?? null,
            result,
            ...(owner ? { onBehalfOf: owner.id } : {}),
            ...(decided ? { decided } : {}),
          },
        }),
        costs.entry({
          runId,
          stepKey: chargedTo,
          service: 'people',
          resource: queue,
          quantity: minutes,
          unit: 'minute',
          amountMicroUsd: costMicroUsd,
          at: atMs,
        }),
      ];
    },
  };
}
