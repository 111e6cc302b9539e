import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { EventConsumers } from '../events/consumers.ts';
import type { EventLog } from '../events/log.ts';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { toAiosError } from '../kernel/errors.ts';
import type { Publisher } from './publisher.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams, iso, pageOf, pageQuery } from './shapes.ts';

export interface EventDependencies {
  log: EventLog;
  consumers: EventConsumers;
  publisher: Publisher;
}

const Accepted = Type.Object({
  accepted: Type.Integer(),
  duplicates: Type.Integer(),
  rejected: Type.Array(Type.Object({ index: Type.Integer(), problem: AnyObject })),
  quarantined: Type.Optional(Type.Integer({ description: 'Events that were quarantined by their contract' })),
});
const tag = 'events';

/** CloudEvents in every mode of the HTTP binding; the log and the dead letters to look at. */
export function eventRoutes(dependencies: EventDependencies): (server: FastifyInstance) => void {
  return (server) => {
    postRoute(server, dependencies);
    searchRoute(server, dependencies);
    deadLetterRoutes(server, dependencies);
  };
}

function postRoute(server: FastifyInstance, { publisher }: EventDependencies): void {
  server.register(async (scope) => {
    // Before the body is read: what there is no room for must not come into memory first.
    scope.addHook('onRequest', (request, reply, done) => {
      const length = request.headers['content-length'];
      try {
        const release = publisher.intake.take(length === undefined ? undefined : Number(length));
        reply.raw.once('close', release);
        done();
      } catch (error) {
        reply.header('connection', 'close'); // the body is not read
        done(error as Error);
      }
    });
    // The binding has three modes and any content type: the bytes are read as they are, and parsed once.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    // Single events and small batches of a plain connection are taken by the event door, before this route.
    route(scope, {
      method: 'POST',
      url: '/api/v1/events',
      permission: 'events.write',
      summary: 'Publish CloudEvents: binary, structured or batch',
      tag,
      status: 202,
      answer: Accepted,
      handle: ({ request, caller }) =>
        publisher.publish(
          request.headers,
          (request.body as Buffer | undefined) ?? Buffer.alloc(0),
          caller.id,
        ),
    });
  });
}

function searchRoute(server: FastifyInstance, { log }: EventDependencies): void {
  const filters = {
    type: Type.Optional(Type.String()),
    source: Type.Optional(Type.String()),
    subject: Type.Optional(Type.String()),
    since: Type.Optional(Type.String({ format: 'date-time' })),
    until: Type.Optional(Type.String({ format: 'date-time' })),
    filter: Type.Optional(
      Type.String({
        description: 'CEL over the attributes of the event and its data, such as data.total > 100.0',
      }),
    ),
  };
  route(server, {
    method: 'GET',
    url: '/api/v1/events',
    permission: 'events.read',
    summary: 'Search the log, newest first',
    tag,
    query: pageQuery(filters),
    answer: Type.Object({
      ...pageOf(AnyObject).properties,
      scanned: Type.Integer({ description: 'Events that the filter was evaluated on' }),
      isBounded: Type.Boolean({
        description: 'Whether the scan stopped at its limit (eventScanMax); nextCursor continues from there',
      }),
    }),
    handle: async ({ query }) => {
      const { since, until, cursor, limit = 50, ...rest } = query;
      const page = await log.search({
        ...rest,
        since: since ? Date.parse(since) : undefined,
        until: until ? Date.parse(until) : undefined,
        before: cursor,
        limit,
      });
      return { ...page, items: page.items.map(toJson) };
    },
  });
}

function toJson({ event, partition, offset, recordedAtMs }: LoggedEvent) {
  return { ...event, partition, offset, recordedAt: iso(recordedAtMs) };
}

function deadLetterRoutes(server: FastifyInstance, { consumers }: EventDependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/dead-letters',
    permission: 'events.read',
    summary: 'Events that a consumer group could not handle, newest first',
    tag,
    query: pageQuery({ group: Type.Optional(Type.String()), status: Type.Optional(Type.String()) }),
    answer: pageOf(AnyObject),
    handle: async ({ query: { group, status, cursor, limit = 50 } }) => {
      const page = await consumers.deadLetters.list({ group, status, before: cursor, limit });
      const items = page.items.map(({ partition, offset, recordedAt, failedAt, ...letter }) => ({
        ...letter,
        ...(partition === null ? {} : { position: { partition, offset } }),
        recordedAt: iso(recordedAt),
        failedAt: iso(failedAt),
      }));
      return { ...page, items };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/dead-letters/replay',
    permission: 'dead-letters.replay',
    summary: 'Replay dead letters to their groups',
    tag,
    body: Type.Object({ ids: Type.Array(Type.String(), { minItems: 1, maxItems: 500 }) }),
    answer: Type.Object({
      replayed: Type.Integer(),
      failed: Type.Array(Type.Object({ id: Type.String(), problem: AnyObject })),
    }),
    handle: async ({ body }) => {
      const failed: { id: string; problem: unknown }[] = [];
      for (const id of body.ids) {
        await consumers.deadLetters
          .replay(id)
          .catch((error: unknown) => failed.push({ id, problem: toAiosError(error).toProblem() }));
      }
      return { replayed: body.ids.length - failed.length, failed };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/dead-letters/:id/dismiss',
    permission: 'dead-letters.replay',
    summary: 'Dismiss a dead letter',
    tag,
    params: IdParams,
    handle: async ({ params }) => {
      await consumers.deadLetters.dismiss(params.id);
      return { id: params.id, status: 'dismissed' };
    },
  });
}
