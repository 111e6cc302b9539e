import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Lineage } from '../ledger/lineage.ts';
import type { LineageGraph } from '../ledger/lineage-graph/graph.ts';
import { nodeKindsOf } from '../ledger/lineage-graph/node-kinds.ts';
import type { Outbox } from '../ledger/openlineage/outbox.ts';
import type { Definitions } from '../store/definitions.ts';
import { route } from './routes.ts';
import { AnyObject, iso, pageOf } from './shapes.ts';

interface Dependencies {
  lineage: Lineage;
  graph: LineageGraph;
  /** Takes in an event of another system. */
  takeLineage(event: JsonObject): Promise<void>;
  definitions: Pick<Definitions, 'list'>;
  outbox: Pick<Outbox, 'status'>;
  limits: Pick<Limits, 'lineageOutboxMax'>;
}

const tag = 'lineage';

/** Where data comes from and where it goes: the graph of definitions, runs and other systems' jobs. */
export function lineageRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    graphRoutes(server, dependencies);
    sinkRoute(server, dependencies);
  };
}

function graphRoutes(server: FastifyInstance, { graph, lineage, takeLineage }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/lineage',
    permission: 'audit.read',
    summary:
      'What a node of the graph depends on (up) and what depends on it (down); with `run`, only what that run used',
    tag,
    query: Type.Object(
      {
        node: Type.Optional(
          Type.String({ minLength: 1, description: 'kind:name, such as feature:view.name' }),
        ),
        run: Type.Optional(Type.String({ minLength: 1 })),
        direction: Type.Optional(Type.Enum(['up', 'down', 'both'])),
        depth: Type.Optional(Type.Integer({ minimum: 1 })),
        kinds: Type.Optional(Type.String({ description: 'kinds of nodes to return, separated by commas' })),
        asOf: Type.Optional(Type.String({ format: 'date-time' })),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000 })),
        cursor: Type.Optional(Type.String()),
      },
      { additionalProperties: false },
    ),
    answer: AnyObject,
    handle: async ({ query: { node, run, kinds, asOf, direction = 'both', ...rest } }) => {
      if (run !== undefined && node === undefined) return lineage.graph(run);
      if (node === undefined)
        throw new AiosError('request.invalid', { issues: [{ path: '/node', message: 'is missing' }] });
      const answer = await graph.query({
        ...{ node, direction, kinds: kinds === undefined ? undefined : nodeKindsOf(kinds) },
        asOf: asOf === undefined ? undefined : Date.parse(asOf),
        ...rest,
      });
      return { ...answer, asOf: answer.asOf === null ? null : new Date(answer.asOf).toISOString() };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/lineage',
    permission: 'lineage.write',
    summary:
      'Receive an OpenLineage 2-0-2 event of a run, a job or a dataset; the same event again changes nothing',
    tag,
    body: AnyObject,
    status: 201,
    handle: async ({ body, reply }) => {
      await takeLineage(body as JsonObject);
      return reply.send();
    },
  });
}

function sinkRoute(server: FastifyInstance, { definitions, outbox, limits }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/lineage-sinks',
    permission: 'definitions.read',
    summary: 'The receivers of OpenLineage events, with the events that wait for each and its problem',
    tag,
    answer: pageOf(
      Type.Object({
        name: Type.String(),
        version: Type.Integer(),
        transport: AnyObject,
        emit: AnyObject,
        waiting: Type.Integer(),
        sent: Type.Integer(),
        refused: Type.Integer(),
        problem: Type.Union([Type.String(), Type.Null()]),
        nextAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
      }),
    ),
    handle: async () => {
      const status = new Map((await outbox.status(limits.lineageOutboxMax)).map((each) => [each.sink, each]));
      const items = definitions
        .list('lineage-sink')
        .map(({ name, version, body: { transport, emit = {} } }) => {
          const { waiting = 0, sent = 0, refused = 0, problem = null, next_at } = status.get(name) ?? {};
          const nextAt = problem === null || next_at === undefined ? null : iso(next_at);
          return { name, version, transport, emit, waiting, sent, refused, problem, nextAt };
        });
      return { items, nextCursor: null };
    },
  });
}
