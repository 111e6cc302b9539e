import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureBackfills } from '../features/backfills.ts';
import type { Materialization, Materializations } from '../features/materializations.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AuditLog } from '../ledger/audit.ts';
import { PASS, passToJson } from './pass-shapes.ts';
import { actorOf, route } from './routes.ts';
import { IdParams, iso, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  materializations: Materializations;
  featureBackfills: FeatureBackfills;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const moment = Type.String({ format: 'date-time' });
const Mode = Type.Union([Type.Literal('full'), Type.Literal('incremental')]);
const Pass = Type.Object({
  ...PASS,
  view: Type.String(),
  version: Type.Integer({ description: 'The version of the view that it materializes' }),
  mode: Mode,
  status: Type.String({ enum: ['running', 'done', 'failed'] }),
  from: Type.Optional(moment),
  to: moment,
  entities: Type.Integer({ description: 'Entities so far' }),
  total: Type.Optional(Type.Integer({ description: 'Entities in total, once they are counted' })),
  removed: Type.Integer({
    description:
      'Entities removed from the online store, because the fully read source has no row of them any more',
  }),
  newest: Type.Optional(moment),
});
const tag = 'features';
const COUNT_MAX = 100;

/** Passes that bring batch views online, and ranges of stream views that are built anew. Who asked for one is in the audit log, in the transaction that asks. */
export function featurePassRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { materializations } = dependencies;
  return (server) => {
    startRoute(server, dependencies);
    backfillRoute(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/features/materializations',
      permission: 'features.read',
      summary: `The newest ${COUNT_MAX} materializations, of one view or of all, with their progress`,
      tag,
      query: Type.Object({ view: Type.Optional(Type.String()) }),
      answer: pageOf(Pass),
      handle: async ({ query: { view } }) => ({
        items: (await materializations.list(view, COUNT_MAX)).map(toJson),
        nextCursor: null,
      }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/materializations/:id',
      permission: 'features.read',
      summary: 'One materialization with its progress',
      tag,
      params: IdParams,
      answer: Pass,
      handle: async ({ params: { id } }) => toJson(await materializations.get(id)),
    });
  };
}

function startRoute(server: FastifyInstance, { materializations, clock, auditLog }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/feature-views/:name/materialize',
    permission: 'features.control',
    summary:
      'Materialize a batch view: load its newest rows, all or those added since the last time; older versions that something is pinned to get materializations of their own',
    tag,
    params: NameParams,
    body: Type.Object({ mode: Type.Optional(Mode) }, { additionalProperties: false }),
    status: 202,
    answer: Pass,
    handle: async ({ params: { name }, body: { mode = 'incremental' }, caller, reply }) => {
      const record = auditLog.entry({
        kind: 'feature-view',
        action: 'materialized',
        actor: actorOf(caller),
        object: `feature-view:${name}`,
        at: clock.now(),
        payload: { name, mode },
      });
      const id = await materializations.start({ view: name, mode, by: caller.id }, [record]);
      reply.status(202);
      return toJson(await materializations.get(id));
    },
  });
}

function backfillRoute(server: FastifyInstance, { featureBackfills, clock, auditLog }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/feature-views/:name/backfill',
    permission: 'features.control',
    summary:
      'Rebuild a range of event times of a stream view from the log while the stream continues; until it is done the view is served as before',
    tag,
    params: NameParams,
    body: Type.Object(
      {
        from: moment,
        to: moment,
        includeLate: Type.Optional(
          Type.Boolean({
            default: false,
            description: 'Also count events that arrived later than the view allows',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    status: 202,
    answer: Type.Object({
      view: Type.String(),
      from: Type.String({ format: 'date-time', description: 'The range that is rebuilt: whole tiles' }),
      to: moment,
      includeLate: Type.Boolean(),
    }),
    handle: async ({ params: { name }, body: { from, to, includeLate = false }, caller, reply }) => {
      const record = auditLog.entry({
        kind: 'feature-view',
        action: 'backfilled',
        actor: actorOf(caller),
        object: `feature-view:${name}`,
        at: clock.now(),
        payload: { name, from, to, includeLate },
      });
      const range = { view: name, fromMs: Date.parse(from), toMs: Date.parse(to), includeLate };
      const { view, fromMs, toMs } = await featureBackfills.start(range, [record]);
      reply.status(202);
      return { view, from: iso(fromMs), to: iso(toMs), includeLate };
    },
  });
}

function toJson(pass: Materialization) {
  const { view, version, mode, entities, total, removed, fromMs, toMs, newestMs } = pass;
  return {
    ...passToJson(pass),
    ...{ view, version, mode, entities, removed },
    to: iso(toMs),
    ...(fromMs === null ? {} : { from: iso(fromMs) }),
    ...(total === null ? {} : { total }),
    ...(newestMs === null ? {} : { newest: iso(newestMs) }),
  };
}
