import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Json } from '../kernel/json.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import type { RunAttempt } from '../workflow/engine/operation-store.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

const tag = 'runs';

const Back = Type.Object(
  {
    step: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'The key of a step that the run reached; by default the one that failed or was canceled',
      }),
    ),
    fromStart: Type.Optional(Type.Boolean({ description: 'Repeat the run from the beginning' })),
    input: Type.Optional(
      Type.Unknown({
        description: 'A new input for the step: the arguments of a call; with fromStart the input of the run',
      }),
    ),
  },
  { additionalProperties: false },
);

/** Ended runs that go back to an earlier step, and new runs from the journal of another. */
export function operationRoutes(
  server: FastifyInstance,
  engine: WorkflowEngine,
  read: (runId: string) => Promise<unknown>,
): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/runs/:id/retry',
    permission: 'runs.control',
    summary:
      'Retry an ended run from a step: earlier steps are kept, the rest is repeated as its next attempt. With Idempotency-Key: once per key',
    tag,
    params: IdParams,
    body: Back,
    answer: AnyObject,
    handle: async ({ params, body, caller, request }) => {
      await engine.operations.retry(params.id, requested(body, request), actorOf(caller));
      return read(params.id);
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/runs/:id/fork',
    permission: 'runs.start',
    summary:
      'Start a new run from the state that this one had at a step; this one is not changed. With Idempotency-Key: the same key returns the same fork',
    tag,
    params: IdParams,
    body: Back,
    answer: AnyObject,
    status: 201,
    handle: async ({ params, body, caller, request }) =>
      read(await engine.operations.fork(params.id, requested(body, request), actorOf(caller))),
  });
  deleteRoute(server, engine);
  versionsRoute(server, engine);
}

const VersionInUse = Type.Object({
  version: Type.Integer(),
  current: Type.Boolean({ description: 'New runs use it' }),
  runs: Type.Integer({ description: 'Runs on it that have not ended' }),
  oldestStartedAt: Type.Optional(Type.String({ format: 'date-time' })),
  oldestRunId: Type.Optional(Type.String()),
  stands: Type.Array(
    Type.Object({
      status: Type.String(),
      waitingFor: Type.Optional(Type.String()),
      runs: Type.Integer(),
      oldestStartedAt: Type.String({ format: 'date-time' }),
    }),
  ),
});

function versionsRoute(server: FastifyInstance, engine: WorkflowEngine): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/workflows/:name/versions-in-use',
    permission: 'runs.read',
    summary: 'Versions of a flow with unfinished runs: how many, since when, and at which steps',
    tag,
    params: NameParams,
    answer: pageOf(VersionInUse),
    handle: async ({ params }) => ({
      items: (await engine.runs.versions(params.name)).map(({ oldest, stands, ...version }) => ({
        ...version,
        oldestStartedAt: isoOrUndefined(oldest?.oldestStartedAtMs),
        oldestRunId: oldest?.oldestRunId,
        stands: stands.map(({ status, waitingFor, runs, oldestStartedAtMs }) => ({
          status,
          waitingFor: waitingFor ?? undefined,
          runs,
          oldestStartedAt: iso(oldestStartedAtMs),
        })),
      })),
      nextCursor: null,
    }),
  });
}

/** Deleting is for those who answer for what is kept. */
function deleteRoute(server: FastifyInstance, engine: WorkflowEngine): void {
  route(server, {
    method: 'DELETE',
    url: '/api/v1/runs/:id',
    permission: 'runs.delete',
    summary: 'Delete an ended run and its journal; its audit entries and costs stay',
    tag,
    params: IdParams,
    status: 204,
    handle: async ({ params, caller, reply }) => {
      await engine.operations.remove(params.id, actorOf(caller));
      return reply.code(204).send();
    },
  });
}

function requested(
  { input, ...back }: { step?: string; fromStart?: boolean; input?: unknown },
  { headers }: FastifyRequest,
) {
  const key = headers['idempotency-key'];
  return {
    ...back,
    ...(input === undefined ? {} : { input: input as Json }),
    ...(typeof key === 'string' && key !== '' ? { key } : {}),
  };
}

export function attemptToJson({ endedAtMs, nextAtMs, result, ...attempt }: RunAttempt) {
  return {
    ...attempt,
    endedAt: iso(endedAtMs),
    nextAt: iso(nextAtMs),
    error: result?.error,
    output: result?.output,
  };
}
