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
    due?: string;
    deadline?: string;
    followUp?: string;
    groups?: readonly string[];
    continues?: string;
    priority?: number;
    runId: string;
    stepKey: string;
    /** Of the run: after it went back to an earlier step it asks anew. */
    attempt: number;
    nowMs: number;
  }): {
    taskId: string;
    write: Write;
    deadlineAtMs: number | undefined;
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
  expire(
    taskId: string,
    atMs: number,
  ): Promise<{ result: Json; decidedBy: string; returned?: string } | undefined>;
}

const WHEN = "a duration from now, or a date and time; the queue's when left out";

const INPUT_SCHEMA = {
  type: 'object',
  properties: {
    queue: { type: 'string' },
    title: { type: 'string' },
    context: { type: 'object', description: 'what the person is shown' },
    subject: { type: ['string', 'null'], description: 'the person whose data is shown' },
    suggestion: { description: 'what AIOS would answer' },
    due: { type: 'string', description: `when it should be done: ${WHEN}` },
    deadline: { type: 'string', description: `when the safe outcome counts: ${WHEN}` },
    followUp: {
      type: 'string',
      description: 'the inbox leaves it out until then: a duration from now, or a date and time',
    },
    groups: {
      type: 'array',
      minItems: 1,
      items: { type: 'string' },
      description: 'whose it is, instead of the groups and roles of the queue',
    },
    continues: {
      type: ['string', 'null'],
      description: 'the taskId that was returned before: who returned it has this one in hand',
    },
    priority: { type: 'integer', minimum: 0, maximum: 100 },
    onDeadline: { description: "the safe outcome; the queue's when left out" },
  },
  required: ['queue', 'title', 'context'],
  additionalProperties: false,
} satisfies JsonObject;

/**
 * `call: human-task:1@default`: asks a person. The run leaves memory until the answer comes, or the deadline: then the queue's safe
 * outcome, or the step's own `onDeadline`, counts.
 *
 * Output: `{ result, decidedBy, expired: false, returned: false, taskId }`; at the deadline `decidedBy` is null and `expired` true. When the person sent it back
 * with a question, `returned` is true, `result` null and `message` the question: the flow asks the requester, and calls again with `continues: taskId`.
 */
export function humanTaskPrimitive(tasks: HumanTaskPort, audit: AuditPort): WaitPrimitive {
  return {
    name: 'human-task',
    version: 1,
    kind: 'wait',
    inputSchema: INPUT_SCHEMA,
    open(input, { runId, stepKey, nowMs, attempt }) {
      const opened = tasks.open({ ...taskOf(input), runId, stepKey, attempt, nowMs });
      return {
        state: { taskId: opened.taskId, onDeadline: input.onDeadline ?? opened.onDeadline ?? null },
        deadlineMs: opened.deadlineAtMs,
        writes: [opened.write],
        pins: [
          {
            kind: 'queue',
            name: input.queue as string,
            version: String(opened.version),
            digest: opened.digest,
          },
        ],
      };
    },
    async complete(outcome, state, input, context) {
      const { taskId, onDeadline } = state as { taskId: string; onDeadline: Json };
      if (outcome.kind === 'signal') {
        const payload = isObject(outcome.payload) ? outcome.payload : {};
        const { result = null, decidedBy = null, returned, message = null } = payload;
        const said = returned === true ? { returned, message } : { returned: false };
        return { output: { result, decidedBy, expired: false, ...said, taskId } };
      }
      const answer = await tasks.expire(taskId, context.nowMs);
      if (answer) {
        const { result, decidedBy, returned: message } = answer;
        const said = message === undefined ? { returned: false } : { returned: true, message };
        return { output: { result, decidedBy, expired: false, ...said, taskId } };
      }
      const expired = audit({
        kind: 'task',
        action: 'expired',
        actor: actorOf(context),
        object: `task:${taskId}`,
        at: context.nowMs,
        payload: { queue: input.queue ?? null, result: onDeadline },
      });
      return {
        output: { result: onDeadline, decidedBy: null, expired: true, returned: false, taskId },
        writes: [tasks.close(taskId, 'expired', context.nowMs), expired],
      };
    },
    cancel: (state) => [tasks.close((state as { taskId: string }).taskId, 'canceled')],
  };
}

type Asked = Omit<Parameters<HumanTaskPort['open']>[0], 'runId' | 'stepKey' | 'nowMs'>;

/** What the input asks, as it says it: what is left out or null is the queue's to say. */
function taskOf(input: JsonObject): Asked {
  const { onDeadline: _, ...asked } = input;
  const said = Object.entries(asked).filter(([name, value]) => value !== null || name === 'suggestion');
  return Object.fromEntries(said) as unknown as Asked;
}
