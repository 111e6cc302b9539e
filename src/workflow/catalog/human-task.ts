import { parseDuration } from '../../kernel/duration.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/group-commit.ts';
import type { WaitPrimitive } from './primitive.ts';
import { type AuditPort, actorOf } from './records.ts';

/** What this primitive needs of the inbox. */
export interface HumanTaskPort {
  open(task: {
    queue: string;
    title: string;
    context: JsonObject;
    subject?: string;
    suggestion?: Json;
    dueAtMs?: number;
    priority?: number;
    runId: string;
    stepKey: string;
    nowMs: number;
  }): {
    taskId: string;
    write: Write;
    dueAtMs: number | undefined;
    /** The answer that counts when nobody answers in time. */
    onDeadline: Json;
    version: number;
    digest: string;
  };
  close(taskId: string, status: 'expired' | 'canceled', atMs?: number): Write;
  /**
   * Ends a task at its deadline, durably when it resolves. A person's answer may have been committed first: then that is answered and stands.
   * The task's row decides, so that no answer is kept which the run did not take.
   */
  expire(taskId: string, atMs: number): Promise<{ result: Json; decidedBy: string } | undefined>;
}

/**
 * `call: human-task:1@default`: asks a person. The run leaves memory until the answer comes, or the deadline: then the queue's safe
 * outcome, or the step's own `onDeadline`, counts.
 *
 * Output: `{ result, decidedBy, expired: false, taskId }`; at the deadline `decidedBy` is null and `expired` true.
 */
export function humanTaskPrimitive(tasks: HumanTaskPort, audit: AuditPort): WaitPrimitive {
  return {
    name: 'human-task',
    version: 1,
    kind: 'wait',
    inputSchema: {
      type: 'object',
      properties: {
        queue: { type: 'string' },
        title: { type: 'string' },
        context: { type: 'object', description: 'what the person is shown' },
        subject: { type: ['string', 'null'], description: 'the person whose data is shown' },
        suggestion: { description: 'what AIOS would answer' },
        deadline: { type: 'string', description: "a duration from now; the queue's when left out" },
        priority: { type: 'integer', minimum: 0, maximum: 100 },
        onDeadline: { description: "the safe outcome; the queue's when left out" },
      },
      required: ['queue', 'title', 'context'],
      additionalProperties: false,
    },
    open(input, { runId, stepKey, nowMs }) {
      const { queue, title, context, subject, suggestion, deadline, priority, onDeadline } = input;
      const opened = tasks.open({
        queue: queue as string,
        title: title as string,
        context: context as JsonObject,
        ...(typeof subject === 'string' ? { subject } : {}),
        ...(suggestion === undefined ? {} : { suggestion }),
        ...(deadline === undefined ? {} : { dueAtMs: nowMs + parseDuration(deadline as string) }),
        ...(priority === undefined ? {} : { priority: priority as number }),
        runId,
        stepKey,
        nowMs,
      });
      return {
        state: { taskId: opened.taskId, onDeadline: onDeadline ?? opened.onDeadline ?? null },
        deadlineMs: opened.dueAtMs,
        writes: [opened.write],
        pins: [
          { kind: 'queue', name: queue as string, version: String(opened.version), digest: opened.digest },
        ],
      };
    },
    async complete(outcome, state, input, context) {
      const { taskId, onDeadline } = state as { taskId: string; onDeadline: Json };
      if (outcome.kind === 'signal') {
        const payload = isObject(outcome.payload) ? outcome.payload : {};
        const { result = null, decidedBy = null } = payload;
        return { output: { result, decidedBy, expired: false, taskId } };
      }
      const answer = await tasks.expire(taskId, context.nowMs);
      if (answer) return { output: { ...answer, expired: false, taskId } };
      const expired = audit({
        kind: 'task',
        action: 'expired',
        actor: actorOf(context),
        object: `task:${taskId}`,
        at: context.nowMs,
        payload: { queue: input.queue ?? null, result: onDeadline },
      });
      return {
        output: { result: onDeadline, decidedBy: null, expired: true, taskId },
        writes: [tasks.close(taskId, 'expired', context.nowMs), expired],
      };
    },
    cancel: (state) => [tasks.close((state as { taskId: string }).taskId, 'canceled')],
  };
}
