import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Clock } from '../kernel/clock.ts';
import { parseDuration } from '../kernel/duration.ts';
import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { AuditReader } from '../ledger/audit-reader.ts';
import type { Costs } from '../ledger/costs.ts';
import type { Lineage } from '../ledger/lineage.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import type { RunDetail, StepView } from '../workflow/engine/reading.ts';
import type { RunState } from '../workflow/engine/run-state.ts';
import { ENDED, type ListedRun } from '../workflow/engine/stored-run.ts';
import { openEventStream } from './event-stream.ts';
import { actorOf, route } from './routes.ts';
import { attemptToJson, operationRoutes } from './routes-operations.ts';
import { ATTRIBUTE_QUERY, filtersOf, RunQuery, RunStatusName } from './run-query.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';

export interface RunDependencies {
  engine: WorkflowEngine;
  clock: Clock;
  limits: Limits;
  audit: Pick<AuditReader, 'about'>;
  costs: Costs;
  lineage: Lineage;
}

export const RunSummary = Type.Object({
  id: Type.String(),
  workflow: Type.String(),
  version: Type.Integer(),
  status: RunStatusName,
  startedAt: Type.Optional(Type.String({ format: 'date-time' })),
  endedAt: Type.Optional(Type.String({ format: 'date-time' })),
  updatedAt: Type.String({ format: 'date-time' }),
  outcome: Type.Optional(Type.String()),
  subject: Type.Optional(Type.String()),
  waitingFor: Type.Optional(Type.String()),
  attributes: Type.Optional(AnyObject),
  costMicroUsd: Type.Optional(Type.Integer()),
});
const Run = Type.Object(
  { ...RunSummary.properties, output: Type.Optional(Type.Unknown()), error: Type.Optional(AnyObject) },
  { additionalProperties: true },
);
const tag = 'runs';

/** Runs: started in routes-start.ts; here looked at, followed and acted upon. */
export function runRoutes(dependencies: RunDependencies): (server: FastifyInstance) => void {
  return (server) => {
    listRoute(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/runs/:id',
      permission: 'runs.read',
      summary: 'One run with its steps, graph, costs and audit entries',
      tag,
      params: IdParams,
      query: Type.Object(
        {
          attempt: Type.Optional(
            Type.Integer({ minimum: 1, description: 'The run as it was after an earlier attempt' }),
          ),
        },
        { additionalProperties: false },
      ),
      answer: Run,
      handle: ({ params, query }) => readRun(dependencies, params.id, query.attempt),
    });
    payloadRoute(server, dependencies);
    streamRoute(server, dependencies);
    actionRoutes(server, dependencies);
    operationRoutes(server, dependencies.engine, (id) => readRun(dependencies, id));
  };
}

function listRoute(server: FastifyInstance, { engine, costs }: RunDependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/runs',
    permission: 'runs.read',
    summary: 'Runs, newest first',
    tag,
    query: pageQuery(RunQuery, ATTRIBUTE_QUERY),
    answer: pageOf(RunSummary),
    handle: async ({ query: { cursor, limit = 50, ...query } }) => {
      const page = await engine.runs.list(filtersOf(query), cursor, limit);
      const ids = page.items.map(({ id }) => id);
      const [sums, attributes] = await Promise.all([costs.sums(ids), engine.runs.attributesOf(ids)]);
      const items = page.items.map((run) => ({
        ...summaryOf(run),
        attributes: attributes.get(run.id),
        costMicroUsd: sums.get(run.id),
      }));
      return { items, nextCursor: page.nextCursor ?? null };
    },
  });
}

async function readRun({ engine, audit, costs, lineage }: RunDependencies, id: string, attempt?: number) {
  const [run, pins, charges, entries] = await Promise.all([
    engine.runs.get(id, attempt),
    lineage.pinsOf(id),
    costs.ofRun(id),
    audit.about(`run:${id}`),
  ]);
  return {
    ...detailOf(run),
    costMicroUsd: charges.reduce((sum, { amountMicroUsd }) => sum + amountMicroUsd, 0),
    pins,
    costs: charges.map(({ runId: _, at, ...charge }) => ({ ...charge, at: iso(at) })),
    audit: entries,
    queue: run.origin.queue && {
      name: run.origin.queue.name,
      key: run.origin.queue.line,
      ahead: run.status === 'pending' ? await engine.runQueues.ahead(id) : undefined,
    },
  };
}

/** Large values stand in a step as `inputRef` and `outputRef`. */
function payloadRoute(server: FastifyInstance, { engine }: RunDependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/runs/:id/payloads/:digest',
    permission: 'runs.read',
    summary: 'A large value of a step, by the digest that the step names',
    tag,
    params: Type.Object({ id: Type.String(), digest: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
    answer: Type.Object({ value: Type.Unknown() }),
    handle: async ({ params: { id, digest } }) => ({ value: await engine.runs.payload(id, digest) }),
  });
}

/** The run at each change, from whichever process makes it, until it has ended. */
function streamRoute(server: FastifyInstance, dependencies: RunDependencies): void {
  const { engine, limits } = dependencies;
  route(server, {
    method: 'GET',
    url: '/api/v1/runs/:id/stream',
    permission: 'runs.read',
    summary: 'Server-sent events: `run` with the complete run at each change, until it has ended',
    tag,
    params: IdParams,
    handle: async ({ params, request, reply }) => {
      const first = await readRun(dependencies, params.id); // a problem, while the reply can still be one
      const stream = openEventStream(request, reply);
      let shown = JSON.stringify(first);
      let reading = false;
      const show = async () => {
        if (reading || stream.closed) return;
        reading = true;
        try {
          const run = await readRun(dependencies, params.id);
          const text = JSON.stringify(run);
          if (text !== shown && stream.send('run', run)) shown = text;
          if (ENDED.has(run.status)) stream.close();
        } catch {
          // the database is away: the next look shows more
        } finally {
          reading = false;
        }
      };
      const stop = engine.onRunChanged(({ runId }) => void (runId === params.id && show()));
      const poll = setInterval(() => void show(), limits.runPollMs);
      stream.onClose(() => {
        stop();
        clearInterval(poll);
      });
      stream.send('run', first);
      if (ENDED.has(first.status)) stream.close();
    },
  });
}

function actionRoutes(server: FastifyInstance, dependencies: RunDependencies): void {
  const { engine } = dependencies;
  const summaries = {
    cancel: 'End a run as canceled',
    pause: 'Stop a run before its next step',
    resume: 'Let a paused run go on',
  } as const;
  for (const action of ['cancel', 'pause', 'resume'] as const) {
    route(server, {
      method: 'POST',
      url: `/api/v1/runs/:id/${action}`,
      permission: 'runs.control',
      summary: summaries[action],
      tag,
      params: IdParams,
      answer: Run,
      handle: async ({ params, caller }) => {
        await engine.operations[action](params.id, actorOf(caller));
        return readRun(dependencies, params.id);
      },
    });
  }
  route(server, {
    method: 'POST',
    url: '/api/v1/runs/:id/signal',
    permission: 'runs.control',
    summary:
      'Signal a waiting step: end a `wait`, or answer a function of the program that embeds AIOS; the first answer counts. Steps that wait for tasks, events or other runs refuse signals',
    tag,
    params: IdParams,
    body: Type.Object(
      { name: Type.String({ minLength: 1, description: 'The key of the step' }), payload: Type.Unknown() },
      { additionalProperties: false },
    ),
    answer: Run,
    handle: async ({ params, body, caller }) => {
      const payload = body.payload as Json | undefined;
      await engine.operations.signal(params.id, { step: body.name, payload }, actorOf(caller));
      return readRun(dependencies, params.id);
    },
  });
}

export function summaryOf(run: ListedRun | RunState) {
  const { workflow, version, status, waitingFor, subject, outcome, updatedAtMs } = run;
  return {
    id: 'id' in run ? run.id : run.runId,
    workflow,
    version,
    status,
    startedAt: 'startedAtMs' in run ? iso(run.startedAtMs) : undefined,
    endedAt: ENDED.has(status) ? iso(updatedAtMs) : undefined,
    updatedAt: iso(updatedAtMs),
    outcome: outcome ?? undefined,
    subject: subject ?? undefined,
    waitingFor: waitingFor ?? undefined,
  };
}

/** What a start answers with: no more than the engine holds in memory. */
export function stateToJson(state: RunState) {
  return { ...summaryOf(state), output: state.result?.output, error: state.result?.error };
}

function detailOf(run: RunDetail) {
  const {
    origin,
    result,
    digest,
    graph,
    steps,
    events,
    idempotencyKey,
    attempt,
    attempts,
    forks,
    attributes,
  } = run;
  return {
    ...summaryOf(run),
    digest,
    idempotencyKey: idempotencyKey ?? undefined,
    input: origin.input,
    event: origin.event?.event,
    parent: origin.parent,
    scheduledAt: isoOrUndefined(origin.scheduledMs),
    attempt,
    attempts: attempts.map(attemptToJson),
    forkedFrom: origin.fork,
    forks,
    attributes,
    edited: origin.edited,
    output: result?.output,
    error: result?.error,
    steps: steps.map(stepToJson),
    events: events.map(({ atMs, event }) => ({ at: iso(atMs), event })),
    graph,
  };
}

function stepToJson({ startedAtMs, durationMs, ...step }: StepView) {
  return {
    ...step,
    startedAt: iso(startedAtMs),
    endedAt: durationMs === undefined ? undefined : iso(startedAtMs + durationMs),
    durationMs,
  };
}

/** `30s`, held to the limit; 0 when the caller does not wait. */
export function waitMsOf(wait: string | undefined, limits: Limits): number {
  return wait === undefined ? 0 : Math.min(parseDuration(wait), limits.runAnswerMs);
}
