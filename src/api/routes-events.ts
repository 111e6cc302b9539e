import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { isQuarantined, type Quarantine } from '../contracts/quarantine.ts';
import { parseEvents } from '../events/cloudevents-http.ts';
import type { EventConsumers } from '../events/consumers.ts';
import { Intake } from '../events/intake.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams, iso, pageOf, pageQuery } from './shapes.ts';
import { traced } from './tracing.ts';

export interface EventDependencies {
  log: EventLog;
  consumers: EventConsumers;
  clock: Clock;
  limits: Limits;
  /** Holds an event to its contract; throws when it does not fit. */
  check(event: CloudEvent): unknown;
  quarantine: Pick<Quarantine, 'keep'>;
}

const Accepted = Type.Object({
  accepted: Type.Integer(),
  duplicates: Type.Integer(),
  rejected: Type.Array(Type.Object({ index: Type.Integer(), problem: AnyObject })),
  quarantined: Type.Optional(Type.Integer({ description: 'Events that their contract keeps apart' })),
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

function postRoute(server: FastifyInstance, dependencies: EventDependencies): void {
  const { log, clock, limits, check, quarantine } = dependencies;
  server.register(async (scope) => {
    const intake = limits && new Intake(limits); // the document is made without limits
    // Before the body is read: what there is no room for must not come into memory first.
    scope.addHook('onRequest', (request, reply, done) => {
      const length = request.headers['content-length'];
      try {
        reply.raw.once('close', intake.take(length === undefined ? undefined : Number(length)));
        done();
      } catch (error) {
        reply.header('connection', 'close'); // the body is not read
        done(error as Error);
      }
    });
    // The binding has three modes and any content type: the bytes are read as they are, and parsed once.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    route(scope, {
      method: 'POST',
      url: '/api/v1/events',
      permission: 'events.write',
      summary: 'Publish CloudEvents: binary, structured or batch',
      tag,
      status: 202,
      answer: Accepted,
      handle: async ({ request }) => {
        const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
        const parsed = parseEvents(request.headers, body, clock.now(), limits);
        const rejected: { index: number; problem: unknown }[] = [];
        const events: CloudEvent[] = [];
        const apart: { event: CloudEvent; fault: AiosError }[] = [];
        const indexes: number[] = [];
        for (const [index, event] of parsed.entries()) {
          const fault = event instanceof AiosError ? event : faultOf(check, event);
          if (fault && isQuarantined(fault)) apart.push({ event: event as CloudEvent, fault });
          else if (fault) rejected.push({ index, problem: fault.toProblem() });
          else indexes[events.push(traced(event as CloudEvent)) - 1] = index;
        }
        await quarantine.keep(apart);
        let duplicates = 0;
        for (const [position, outcome] of (await log.append(events)).entries()) {
          if (outcome.status === 'rejected')
            rejected.push({ index: indexes[position]!, problem: toAiosError(outcome.reason).toProblem() });
          else if (outcome.value.duplicate) duplicates++;
        }
        const isAllLater = rejected.length === parsed.length && rejected.every(isOverload);
        if (parsed.length === 1 || isAllLater) {
          const [alone] = rejected;
          if (alone) throw problemAlone(parsed[0]!, alone.problem);
        }
        const accepted = parsed.length - rejected.length - duplicates - apart.length;
        return { accepted, duplicates, rejected, ...(apart.length > 0 ? { quarantined: apart.length } : {}) };
      },
    });
  });
}

function isOverload({ problem }: { problem: unknown }): boolean {
  return (problem as { code: string }).code === 'request.overloaded';
}

/** A request with one event, refused, is a refused request: its status says so. */
function problemAlone(event: CloudEvent | AiosError, problem: unknown): AiosError {
  if (event instanceof AiosError) return event;
  const { code, detail, issues } = problem as ReturnType<AiosError['toProblem']>;
  return new AiosError(code, { detail, issues: issues ?? [] });
}

function faultOf(check: EventDependencies['check'], event: CloudEvent): AiosError | undefined {
  try {
    check(event);
    return undefined;
  } catch (error) {
    return toAiosError(error);
  }
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
        description: 'CEL over the attributes of the event and its data, as in data.total > 100.0',
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
      scanned: Type.Integer({ description: 'Events that the filter was tried on' }),
      isBounded: Type.Boolean({
        description: 'Whether the scan ended at its limit (eventScanMax): nextCursor goes on from there',
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
      const items = page.items.map(({ partition, offset, failedAt, ...letter }) => ({
        ...letter,
        position: { partition, offset },
        failedAt: iso(failedAt),
      }));
      return { ...page, items };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/dead-letters/replay',
    permission: 'dead-letters.replay',
    summary: 'Hand dead letters to their groups again',
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
