import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { Pin, StepContext, WaitPrimitive } from './primitive.ts';
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
    confidence?: number;
    requester?: string | null;
    preparedBy?: readonly string[];
    features?: JsonObject;
    case?: string;
    onDeadline?: Json;
    runId: string;
    stepKey: string;
    /** Of the run: after it went back to an earlier step it asks anew. */
    attempt: number;
    nowMs: number;
  }): {
    taskId: string;
    writes: readonly Write[];
    deadlineAtMs: number | undefined;
    /** The answer that counts when nobody answers in time. */
    onDeadline: Json;
    version: number;
    digest: string;
    /** Whether other tasks than this one are part of the case. */
    reviewed: boolean;
    /** Where the confidence has led, and why. */
    routing: Routing | undefined;
    /** The answer when no person is asked. */
    settled: Json | undefined;
  };
  close(taskId: string, status: 'expired' | 'canceled', atMs?: number, reviewed?: boolean): Write;
  /**
   * Ends a task at its deadline, durably when it resolves. A person's answer may have been committed first: then that is answered and stands.
   * The task's row decides, so that no answer is kept which the run did not take.
   */
  expire(
    taskId: string,
    atMs: number,
    reviewed?: boolean,
  ): Promise<
    | { result: Json; decidedBy: string; returned?: string; review?: Readonly<Record<string, unknown>> }
    | undefined
  >;
}

interface Routing {
  readonly route: string;
  readonly band: number;
  readonly confidence: number | null;
  readonly reason: string;
  readonly sampled: boolean;
}

/** Which version of the queue a step was asked under: whoever reads the log finds its form, its deadline and its safe outcome by it. */
interface AskedUnder {
  readonly queue: string;
  readonly queueVersion: number;
  readonly queueDigest: string;
}

/** What the journal keeps of a step that waits for people. */
interface Asking extends AskedUnder {
  taskId: string;
  onDeadline: Json;
  reviewed?: boolean;
  routing?: Routing;
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
    confidence: {
      type: ['number', 'null'],
      description: 'in the suggestion, 0 to 1: where the queue has bands it decides how many people look',
    },
    requester: {
      type: ['string', 'null'],
      description:
        'who asked for it, by id or name: they do not answer; null when nobody did. An approval must say it',
    },
    preparedBy: {
      type: 'array',
      items: { type: 'string' },
      description: 'who prepared what is shown, by id or name: they do not answer either',
    },
    features: {
      type: ['object', 'null'],
      description: 'what the suggestion was made from: kept with the answers as labels',
    },
    case: {
      type: 'string',
      description: 'what identifies the case for the random sample; run and step when left out',
    },
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
 * Where several people answer, `review` says `{ form, reason, votes, approved }`. Where the queue goes by confidence, `routing` says
 * `{ route, band, confidence, reason, sampled }`; on the route `auto` nobody is asked: `result` is the suggestion, `decidedBy` and `taskId` are null.
 */
export function humanTaskPrimitive(tasks: HumanTaskPort, audit: AuditPort): WaitPrimitive {
  return {
    name: 'human-task',
    version: 1,
    kind: 'wait',
    answeredBy: 'the people of its queue answer its task, in the inbox',
    inputSchema: INPUT_SCHEMA,
    open(input, context) {
      const { runId, stepKey, nowMs, attempt } = context;
      const opened = tasks.open({ ...taskOf(input), runId, stepKey, attempt, nowMs });
      const { taskId, writes, version, digest, reviewed, routing, settled } = opened;
      const pins: Pin[] = [{ kind: 'queue', name: input.queue as string, version: String(version), digest }];
      if (settled !== undefined && routing) {
        const decided = audit({
          ...recordOf(context, input),
          action: 'settled',
          payload: { ...askedUnder(input, opened), ...routing, result: settled },
        });
        const output = {
          ...{ result: settled, decidedBy: null, expired: false, returned: false, taskId: null },
          routing: { ...routing },
        };
        return { output, writes: [...writes, decided], pins };
      }
      const state = {
        taskId,
        ...askedUnder(input, opened),
        onDeadline: input.onDeadline ?? opened.onDeadline ?? null,
        ...(reviewed ? { reviewed } : {}),
        ...(routing ? { routing: { ...routing } } : {}),
      };
      return { state, deadlineMs: opened.deadlineAtMs, writes, pins };
    },
    async complete(outcome, state, input, context) {
      const { taskId, onDeadline, reviewed = false, routing, ...under } = state as unknown as Asking;
      const told = { taskId, ...(routing ? { routing: { ...routing } } : {}) };
      if (outcome.kind === 'signal') {
        const payload = isObject(outcome.payload) ? outcome.payload : {};
        const { result = null, decidedBy = null, returned, message = null, review } = payload;
        const said = returned === true ? { returned, message } : { returned: false };
        return {
          output: { result, decidedBy, expired: false, ...said, ...(review ? { review } : {}), ...told },
        };
      }
      const answer = await tasks.expire(taskId, context.nowMs, reviewed);
      if (answer) {
        const { result, decidedBy, returned: message, review } = answer;
        const said = message === undefined ? { returned: false } : { returned: true, message };
        const counted = review ? { review: review as unknown as JsonObject } : {};
        return { output: { result, decidedBy, expired: false, ...said, ...counted, ...told } };
      }
      const expired = audit({
        ...recordOf(context, input),
        action: 'expired',
        payload: { task: taskId, ...under, result: onDeadline },
      });
      return {
        output: { result: onDeadline, decidedBy: null, expired: true, returned: false, ...told },
        writes: [tasks.close(taskId, 'expired', context.nowMs, reviewed), expired],
      };
    },
    cancel: (state) => {
      const { taskId, reviewed } = state as unknown as Asking;
      return [tasks.close(taskId, 'canceled', undefined, reviewed)];
    },
  };
}

/** What the audit entries of a step say alike. */
function recordOf(context: StepContext, { subject }: JsonObject) {
  return {
    kind: 'task',
    actor: actorOf(context),
    // As an answer of a person: what decided stands under the run.
    object: `run:${context.runId}`,
    ...(typeof subject === 'string' ? { subject } : {}),
    at: context.nowMs,
  };
}

function askedUnder({ queue }: JsonObject, opened: ReturnType<HumanTaskPort['open']>): AskedUnder {
  return { queue: queue as string, queueVersion: opened.version, queueDigest: opened.digest };
}

type Asked = Omit<Parameters<HumanTaskPort['open']>[0], 'runId' | 'stepKey' | 'nowMs'>;

/** What the input asks, as it says it: what is left out or null is the queue's to say. */
function taskOf(input: JsonObject): Asked {
  // That nobody asked for it is something said: an approval must say who did.
  const said = Object.entries(input).filter(
    ([name, value]) => value !== null || name === 'suggestion' || name === 'requester',
  );
  return Object.fromEntries(said) as unknown as Asked;
}
