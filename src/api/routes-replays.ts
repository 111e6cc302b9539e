import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { EventConsumers } from '../events/consumers.ts';
import type { Replay } from '../events/replay/replay-store.ts';
import type { ReplayPlan, ReplayRequest, Replays } from '../events/replay/replays.ts';
import type { Retention } from '../events/retention/retention.ts';
import type { Clock } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Write } from '../store/lane.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { IdParams, iso, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  replays: Replays;
  retention: Retention;
  consumers: EventConsumers;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const Offsets = Type.Array(Type.Integer({ minimum: 0 }), {
  description: 'One for each partition of the log',
});
const Place = Type.Object(
  {
    time: Type.Optional(
      Type.String({ format: 'date-time', description: 'Start with events recorded at this time or later' }),
    ),
    offsets: Type.Optional(Offsets),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);
const Target = Type.Object(
  {
    consumer: Type.Optional(
      Type.String({ minLength: 1, description: 'A consumer group that can receive events again' }),
    ),
    workflow: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'A flow; its new runs are marked by `replayid` in their event',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);
const Request = Type.Object(
  {
    target: Target,
    from: Type.Optional(Place),
    until: Type.Optional(Place),
    types: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
    filter: Type.Optional(Type.String({ description: 'CEL over the attributes of the event and its data' })),
    reset: Type.Optional(
      Type.Boolean({
        description: 'Move the group itself to `from`, instead of replaying beside it',
      }),
    ),
    dryRun: Type.Optional(Type.Boolean({ description: 'Only count the events' })),
  },
  { additionalProperties: false },
);
const Plan = Type.Object({
  id: Type.Optional(Type.String()),
  from: Offsets,
  until: Offsets,
  events: Type.Integer(),
  isExact: Type.Boolean({ description: 'False if the filter was evaluated on only a part of the range' }),
});
const ReplayView = Type.Object({
  id: Type.String(),
  target: Target,
  types: Type.Optional(Type.Array(Type.String())),
  filter: Type.Optional(Type.String()),
  from: Offsets,
  until: Offsets,
  status: Type.String({ enum: ['running', 'completed', 'canceled'] }),
  handled: Type.Integer({ description: 'Events delivered' }),
  remaining: Type.Integer({ description: 'Events of the range not yet processed' }),
  createdBy: Type.String(),
  createdAt: Type.String({ format: 'date-time' }),
  endedAt: Type.Optional(Type.String({ format: 'date-time' })),
});
const tag = 'events';

/** Parts of the log given to a consumer or a flow again. Who begins or ends one is in the audit log, in the transaction that does it. */
export function replayRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { replays } = dependencies;
  return (server) => {
    createRoute(server, dependencies);
    groupsRoute(server, dependencies);
    segmentsRoute(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/events/replays',
      permission: 'events.read',
      summary: 'Replays, newest first',
      tag,
      query: pageQuery({}),
      answer: pageOf(ReplayView),
      handle: async ({ query: { cursor, limit = 50 } }) => {
        const page = await replays.list(limit, cursor);
        return { ...page, items: page.items.map(toJson) };
      },
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/events/replays/:id',
      permission: 'events.read',
      summary: 'A replay with its progress',
      tag,
      params: IdParams,
      answer: ReplayView,
      handle: async ({ params: { id } }) => toJson(await replays.get(id)),
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/events/replays/:id/cancel',
      permission: 'events.replay',
      summary: 'Cancel a replay; what it has delivered stays',
      tag,
      params: IdParams,
      answer: ReplayView,
      handle: async ({ params: { id }, caller }) =>
        toJson(
          await replays.cancel(id, () =>
            entry(dependencies, caller, 'replay-canceled', `replay:${id}`, { id }),
          ),
        ),
    });
  };
}

function groupsRoute(server: FastifyInstance, { consumers }: Dependencies): void {
  const count = Type.Integer();
  route(server, {
    method: 'GET',
    url: '/api/v1/consumer-groups',
    permission: 'events.read',
    summary: 'Consumer groups with their positions, lag, and the process that works on each partition',
    tag,
    answer: pageOf(
      Type.Object({
        group: Type.String(),
        lag: count,
        partitions: Type.Array(
          Type.Object({
            partition: count,
            offset: count,
            lag: count,
            owner: Type.Union([Type.String(), Type.Null()]),
          }),
        ),
      }),
    ),
    // A handful of groups: no page is cut.
    handle: async () => ({ items: await consumers.groups(), nextCursor: null }),
  });
}

function segmentsRoute(server: FastifyInstance, { retention }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/events/segments',
    permission: 'events.read',
    summary: 'The segments of the log, the oldest first',
    tag,
    answer: pageOf(
      Type.Object({
        segment: Type.Integer(),
        openedAt: Type.String({ format: 'date-time' }),
        closedAt: Type.Optional(Type.String({ format: 'date-time' })),
        bytes: Type.Integer(),
        behind: Type.Array(Type.String(), { description: 'Consumer groups that have not read all of it' }),
      }),
    ),
    handle: async () => ({
      items: (await retention.segments()).map(({ number, openedAt, closedAt, bytes, behind }) => ({
        segment: number,
        openedAt: iso(openedAt),
        closedAt: isoOrUndefined(closedAt),
        bytes,
        behind,
      })),
      nextCursor: null, // sixteen or so
    }),
  });
}

function createRoute(server: FastifyInstance, dependencies: Dependencies): void {
  const { replays } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/events/replays',
    permission: 'events.replay',
    summary: 'Replay a part of the log to a consumer group or a flow; with `Idempotency-Key`, once',
    tag,
    body: Request,
    answer: Plan,
    handle: async ({ body, caller, request }) => {
      const key = request.headers['idempotency-key'];
      const wanted = requestOf(body, caller, typeof key === 'string' ? key : undefined);
      if (body.dryRun) return replays.plan(wanted);
      const action = body.reset ? 'group-reset' : 'replayed';
      const object =
        'consumer' in wanted.target
          ? `consumer:${wanted.target.consumer}`
          : `workflow:${wanted.target.workflow}`;
      const plan: ReplayPlan & { id?: string | undefined } = await replays.create(wanted, (_plan, payload) =>
        entry(dependencies, caller, action, object, payload),
      );
      return plan;
    },
  });
}

function requestOf(
  { target, from, until, types, filter, reset }: Static<typeof Request>,
  caller: Caller,
  idempotencyKey: string | undefined,
): ReplayRequest {
  return {
    target: target as ReplayRequest['target'],
    from: placeOf(from),
    until: placeOf(until),
    types,
    filter,
    resets: reset,
    idempotencyKey,
    by: caller.id,
  };
}

function placeOf(place: Static<typeof Place> | undefined): ReplayRequest['from'] {
  if (!place) return undefined;
  return place.time === undefined ? { offsets: place.offsets! } : { timeMs: Date.parse(place.time) };
}

function entry(
  { auditLog, clock }: Dependencies,
  caller: Caller,
  action: string,
  object: string,
  payload: JsonObject,
): Write {
  return auditLog.entry({ kind: 'events', action, actor: actorOf(caller), object, at: clock.now(), payload });
}

function toJson({ selection, createdAt, endedAt, ...replay }: Replay) {
  return { ...replay, ...selection, createdAt: iso(createdAt), endedAt: isoOrUndefined(endedAt) };
}
