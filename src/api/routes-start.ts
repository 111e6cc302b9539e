import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseEvents } from '../events/cloudevents-http.ts';
import type { EventConsumers } from '../events/consumers.ts';
import type { Appended } from '../events/head.ts';
import type { EventLog } from '../events/log.ts';
import { type CloudEvent, postedBy } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { strictJson } from '../kernel/exact-integers.ts';
import { isObject, type Json } from '../kernel/json.ts';
import { requireDepth } from '../kernel/json-depth.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Committer } from '../store/group-commit.ts';
import { eventRunId, START_GROUP } from '../workflow/engine/event-start.ts';
import { route } from './routes.ts';
import { type RunDependencies, RunSummary, stateToJson, waitMsOf } from './routes-runs.ts';
import { NameParams } from './shapes.ts';
import { traced } from './tracing.ts';

interface StartDependencies extends Pick<RunDependencies, 'engine' | 'clock' | 'limits'> {
  commit: Committer;
  log: Pick<EventLog, 'write' | 'read'>;
  consumers: Pick<EventConsumers, 'groups'>;
  /** Holds an event to its contract; throws when it does not fit. */
  check(event: CloudEvent): unknown;
}

const Started = Type.Object(
  { ...RunSummary.properties, output: Type.Optional(Type.Unknown()) },
  { additionalProperties: true },
);

/** Starts runs: by input, or by the event that the flow starts on. This is the path that is measured: it reads nothing back. */
export function startRoutes(dependencies: StartDependencies): (server: FastifyInstance) => void {
  return (server) => {
    server.register(async (scope) => {
      // An event comes in any mode of the CloudEvents binding, an input as JSON: the bytes are parsed once, by what they are.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
      route(scope, {
        method: 'POST',
        url: '/api/v1/workflows/:name/runs',
        permission: 'runs.start',
        summary:
          'Start a run with `{input}`, or with a CloudEvent that the flow starts on; with `wait` the answer comes when it has ended or waits for a person',
        tag: 'runs',
        params: NameParams,
        query: Type.Object({
          wait: Type.Optional(Type.String({ description: 'How long to wait, such as 30s' })),
        }),
        answer: Started,
        handle: ({ request, reply, params, query }) => {
          const waitMs = waitMsOf(query.wait, dependencies.limits);
          const start = isEvent(request) ? startByEvent : startByInput;
          return start(dependencies, params.name, waitMs, request, reply);
        },
      });
    });
  };
}

function isEvent({ headers }: FastifyRequest): boolean {
  return (
    headers['ce-specversion'] !== undefined ||
    headers['content-type']?.startsWith('application/cloudevents+json') === true
  );
}

async function startByInput(
  { engine, limits }: StartDependencies,
  workflow: string,
  waitMs: number,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const key = request.headers['idempotency-key'];
  const start = {
    workflow,
    input: inputOf(request, limits),
    ...(request.caller && { startedBy: request.caller.id }),
    ...(typeof key === 'string' ? { idempotencyKey: key } : {}),
  };
  if (waitMs > 0) {
    const state = await engine.run(start, waitMs);
    if (state.status === 'running' || state.status === 'pending') reply.code(202);
    return stateToJson(state);
  }
  const { runId } = await engine.start(start);
  reply.code(202);
  return { id: runId, workflow, status: engine.isQueued(workflow) ? 'pending' : 'running' };
}

function inputOf({ body, headers }: FastifyRequest, limits: Limits): Json {
  const bytes = body as Buffer | undefined;
  if (!bytes || bytes.length === 0) return {};
  const type = headers['content-type'] ?? '';
  if (!type.startsWith('application/json')) {
    throw new AiosError('request.media_type', {
      detail: `“${type}” starts no run: send application/json, or a CloudEvent as application/cloudevents+json.`,
    });
  }
  let value: unknown;
  try {
    value = strictJson(bytes.toString('utf8'));
  } catch (cause) {
    if (cause instanceof AiosError) throw cause;
    throw new AiosError('request.malformed', { detail: (cause as Error).message, cause });
  }
  requireDepth(value, limits.jsonDepthMax);
  const unknown = isObject(value) ? Object.keys(value).find((name) => name !== 'input') : '';
  if (unknown === undefined) return (value as { input?: Json }).input ?? {};
  const issue = {
    path: unknown === '' ? '' : `/${unknown}`,
    message: 'the body is {input}',
    expected: 'input',
  };
  throw new AiosError('request.invalid', { issues: [issue] });
}

/** The event goes into the log as any other; the run that it starts is known by the event, so that the same event twice is the same run. */
async function startByEvent(
  dependencies: StartDependencies,
  workflow: string,
  waitMs: number,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { engine, commit, clock, limits, log, check } = dependencies;
  const bytes = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const [parsed] = parseEvents(request.headers, bytes, clock.now(), limits);
  if (parsed === undefined || parsed instanceof AiosError) throw parsed ?? new AiosError('request.malformed');
  check(parsed);
  const event = traced(engine.keepsPosters ? postedBy(parsed, request.caller?.id) : parsed);
  if (!engine.startsOn(workflow, event)) {
    const issue = { path: '/type', message: `${workflow} does not start on this event`, found: event.type };
    throw new AiosError('request.invalid', { issues: [issue] });
  }
  let id = eventRunId(workflow, { event, timeMs: Date.parse(event.time) });
  // Watched from before the event is in the log: the run may have ended by the time that the commit is told.
  const ended = waitMs > 0 ? engine.waitFor(id, waitMs, true) : undefined;
  ended?.catch(() => {});
  const [{ partition, offset, duplicate }] = (await commit.commit([log.write(event)])) as [Appended];
  if (duplicate || ended) {
    const [logged] = await log.read(partition, offset, 1); // from memory, as a rule
    // An event that says no time got that of its coming: the one that came first has begun the run.
    if (duplicate && logged) id = eventRunId(workflow, logged);
    else if (logged) engine.startAhead(workflow, id, logged);
  }
  if (duplicate) await requireRun(dependencies, workflow, id, { partition, offset });
  const state = await (ended && duplicate ? engine.waitFor(id, waitMs) : ended);
  const position = { partition, offset, duplicate };
  if (state) return { ...stateToJson(state), position };
  reply.code(202);
  return { id, workflow, status: engine.isQueued(workflow) ? 'pending' : 'running', position };
}

/**
 * An event that was logged before may have passed the flow by: then there is no run, and none comes that could be waited for.
 *
 * @throws AiosError `workflow.event_passed`
 */
async function requireRun(
  { engine, consumers }: StartDependencies,
  workflow: string,
  id: string,
  { partition, offset }: Pick<Appended, 'partition' | 'offset'>,
): Promise<void> {
  // The place first: what is passed after this look has its run by the next one.
  const starts = (await consumers.groups()).find(({ group }) => group === START_GROUP);
  const place = starts?.partitions.find((one) => one.partition === partition)?.offset ?? 0;
  if (place <= offset || (await engine.runs.exists(id))) return;
  throw new AiosError('workflow.event_passed', {
    detail: `The event was logged before, and ${workflow} has no run of it: it did not start on such events yet, or the run was deleted.`,
  });
}
