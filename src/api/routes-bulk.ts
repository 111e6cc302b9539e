import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { BulkProgress } from '../workflow/engine/bulk-store.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { filtersOf, RunQuery } from './run-query.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, pageOf } from './shapes.ts';

const tag = 'runs';
/** As many operations are listed. */
const LISTED = 100;

const Bulk = Type.Object({
  id: Type.String(),
  action: Type.String({ enum: ['cancel', 'pause', 'resume', 'retry', 'delete'] }),
  filter: AnyObject,
  status: Type.String({ enum: ['prepared', 'running', 'completed'] }),
  count: Type.Integer({ description: 'Runs that it includes, counted when it was prepared' }),
  idsDigest: Type.String({ description: 'SHA-256 over their ids, each with a line feed' }),
  done: Type.Integer(),
  skipped: Type.Object(
    {},
    { additionalProperties: Type.Integer(), description: 'Runs that refused it, by error code' },
  ),
  by: AnyObject,
  createdAt: Type.String({ format: 'date-time' }),
  startedAt: Type.Optional(Type.String({ format: 'date-time' })),
  endedAt: Type.Optional(Type.String({ format: 'date-time' })),
});
const Prepared = Type.Object({ ...Bulk.properties, token: Type.String({ description: 'What starts it' }) });

const Prepare = Type.Object(
  {
    action: Bulk.properties.action,
    filter: Type.Object(
      {
        ...RunQuery,
        ids: Type.Optional(Type.Array(Type.String(), { maxItems: 10_000 })),
        attributes: Type.Optional(
          Type.Object(
            {},
            {
              additionalProperties: Type.String(),
              description: 'orderId: o-1, or total.gte: 100',
            },
          ),
        ),
      },
      { additionalProperties: false },
    ),
    step: Type.Optional(Type.String({ description: 'For retry: the step that each run goes back to' })),
    fromStart: Type.Optional(Type.Boolean({ description: 'For retry: repeat each run from the beginning' })),
  },
  { additionalProperties: false },
);

interface BulkDependencies {
  engine: WorkflowEngine;
  can(caller: Caller, permission: string): boolean;
}

/** One action on many runs: counted first, then started by the token that came with the count. */
export function bulkRoutes({ engine, can }: BulkDependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'POST',
      url: '/api/v1/bulk-operations',
      permission: 'runs.control',
      summary:
        'Prepare an action: count the runs that it would apply to and store the list; nothing is done yet. Runs in the wrong state are not counted; delete also needs runs.delete',
      tag,
      body: Prepare,
      answer: Prepared,
      status: 201,
      handle: async ({ body: { action, filter, step, fromStart }, caller }) => {
        allowed(caller, action);
        const { ids, attributes = {}, ...query } = filter;
        const named = Object.fromEntries(
          Object.entries(attributes).map(([name, value]) => [`attr.${name}`, value]),
        );
        const filters = { ...filtersOf({ ...query, ...named }), ...(ids ? { ids } : {}) };
        const request = {
          ...(step === undefined ? {} : { step }),
          ...(fromStart === undefined ? {} : { fromStart }),
        };
        const prepared = await engine.bulk.prepare(
          { action: action as BulkProgress['action'], filters, ...request },
          actorOf(caller),
        );
        return { ...toJson(prepared), token: prepared.token };
      },
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/bulk-operations/:id/start',
      permission: 'runs.control',
      summary:
        'Start a prepared bulk operation on behalf of the caller; a repeated call returns the progress',
      tag,
      params: IdParams,
      body: Type.Object({ token: Type.String() }, { additionalProperties: false }),
      answer: Bulk,
      status: 202,
      handle: async ({ params, body, caller }) => {
        allowed(caller, (await engine.bulk.get(params.id)).action);
        return toJson(await engine.bulk.start(params.id, body.token, actorOf(caller)));
      },
    });
    readRoutes(server, engine);
  };

  function allowed(caller: Caller, action: string): void {
    if (action === 'delete' && !can(caller, 'runs.delete'))
      throw new AiosError('access.forbidden', { detail: 'Deleting runs needs the permission runs.delete.' });
  }
}

function readRoutes(server: FastifyInstance, engine: WorkflowEngine): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/bulk-operations',
    permission: 'runs.read',
    summary: 'The newest bulk operations',
    tag,
    answer: pageOf(Bulk),
    handle: async () => ({ items: (await engine.bulk.list(LISTED)).map(toJson), nextCursor: null }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/bulk-operations/:id',
    permission: 'runs.read',
    summary: 'The progress of a bulk operation',
    tag,
    params: IdParams,
    answer: Bulk,
    handle: async ({ params }) => toJson(await engine.bulk.get(params.id)),
  });
}

function toJson(bulk: BulkProgress) {
  const { id, action, filters, step, fromStart, status, count, idsDigest, done, skipped, by } = bulk;
  return {
    ...{ id, action, filter: filters, status, count, idsDigest, done, skipped, by },
    ...(step === null ? {} : { step }),
    ...(fromStart ? { fromStart } : {}),
    createdAt: iso(bulk.createdAtMs),
    startedAt: isoOrUndefined(bulk.startedAtMs),
    endedAt: isoOrUndefined(bulk.endedAtMs),
  };
}
