import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { QualityMonitor } from '../contracts/quality-monitor.ts';
import type { Quarantine } from '../contracts/quarantine.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, NameParams, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  quarantine: Quarantine;
  qualityMonitor: Pick<QualityMonitor, 'windows' | 'states'>;
}

const Status = Type.Enum(['open', 'released', 'discarded']);
const QuarantinedShape = Type.Object({
  id: Type.String(),
  contract: Type.String(),
  version: Type.String(),
  event: AnyObject,
  problem: AnyObject,
  arrivedAt: Type.String({ format: 'date-time' }),
  status: Status,
  resolvedAt: Type.Optional(Type.String({ format: 'date-time' })),
  resolvedBy: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
});
const WindowShape = Type.Object({
  rule: Type.String(),
  start: Type.String({ format: 'date-time' }),
  end: Type.String({ format: 'date-time' }),
  rows: Type.Integer(),
  late: Type.Integer({ description: 'Events that arrived after the window was evaluated' }),
  value: Type.Optional(Type.Number({ description: 'In the unit of the rule; freshness in seconds' })),
  status: Type.Union(['open', 'passed', 'failed', 'empty'].map((status) => Type.Literal(status))),
});
const tag = 'contracts';

/** What contracts keep apart, and what they measure. */
export function quarantineRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    listRoute(server, dependencies);
    resolveRoutes(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/contracts/:name/quality',
      permission: 'definitions.read',
      summary: 'The state of the measured quality rules of a contract, and their last windows, newest first',
      tag,
      params: NameParams,
      query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })) }),
      answer: Type.Object({
        rules: Type.Array(
          Type.Object({
            rule: Type.String(),
            status: Type.Union([Type.Literal('passed'), Type.Literal('failed')]),
            judgedUntil: Type.String({ format: 'date-time' }),
          }),
        ),
        windows: Type.Array(WindowShape),
      }),
      handle: async ({ params: { name }, query: { limit = 100 } }) => {
        const { qualityMonitor } = dependencies;
        const rules = (await qualityMonitor.states(name)).map(({ judgedUntilMs, ...rest }) => ({
          ...rest,
          judgedUntil: iso(judgedUntilMs),
        }));
        const windows = (await qualityMonitor.windows(name, limit)).map((window) => ({
          rule: window.rule,
          start: iso(window.startMs),
          end: iso(window.endMs),
          rows: window.rows,
          late: window.late,
          value: window.value ?? undefined,
          status: window.status,
        }));
        return { rules, windows };
      },
    });
  };
}

function listRoute(server: FastifyInstance, { quarantine }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/quarantine',
    permission: 'events.read',
    summary: 'Events in quarantine, newest first',
    tag,
    query: pageQuery({ contract: Type.Optional(Type.String()), status: Type.Optional(Status) }),
    answer: pageOf(QuarantinedShape),
    handle: async ({ query: { contract, status, cursor, limit = 50 } }) => {
      const page = await quarantine.list({ contract, status, before: cursor, limit });
      const items = page.items.map(({ arrivedAt, resolvedAt, resolvedBy, reason, ...rest }) => ({
        ...rest,
        arrivedAt: iso(arrivedAt),
        resolvedAt: isoOrUndefined(resolvedAt),
        resolvedBy: resolvedBy ?? undefined,
        reason: reason ?? undefined,
      }));
      return { ...page, items };
    },
  });
}

/** Each is a commit of its own: a page takes about a second. */
const RELEASED_MAX = 500;

function resolveRoutes(server: FastifyInstance, { quarantine }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/quarantine/release',
    permission: 'quarantine.resolve',
    summary:
      'Release events from quarantine: validate them again and append those that fit, in order of arrival; the given ones, or the open ones of a contract, 500 at a time',
    tag,
    body: Type.Object(
      {
        ids: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: RELEASED_MAX })),
        contract: Type.Optional(Type.String({ minLength: 1 })),
        after: Type.Optional(
          Type.String({
            description: 'With `contract`: continue after this event, the `next` of the previous page',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    answer: Type.Object({
      released: Type.Integer(),
      failed: Type.Array(Type.Object({ id: Type.String(), problem: AnyObject })),
      next: Type.Optional(
        Type.String({ description: 'With `contract`: there may be more after this event' }),
      ),
    }),
    handle: async ({ body: { ids: named, contract, after }, caller }) => {
      if ((named === undefined) === (contract === undefined))
        throw new AiosError('request.invalid', { detail: 'Name the events by “ids”, or their “contract”.' });
      const ids = named
        ? await quarantine.inOrder(named)
        : await quarantine.openOf(contract!, after, RELEASED_MAX);
      const failed: { id: string; problem: unknown }[] = [];
      // One after the other: they come into the log in the order in which they came.
      for (const id of ids)
        await quarantine
          .release(id, actorOf(caller))
          .catch((error: unknown) => failed.push({ id, problem: toAiosError(error).toProblem() }));
      const next = !named && ids.length === RELEASED_MAX ? ids.at(-1) : undefined;
      return { released: ids.length - failed.length, failed, next };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/quarantine/:id/discard',
    permission: 'quarantine.resolve',
    summary: 'Discard a quarantined event: it stays listed, with the reason',
    tag,
    params: IdParams,
    body: Type.Object({ reason: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    handle: async ({ params: { id }, body: { reason }, caller }) => {
      await quarantine.discard(id, actorOf(caller), reason);
      return { id, status: 'discarded' };
    },
  });
}
