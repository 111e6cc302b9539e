import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { BridgeView } from '../events/bridges/running/bridge-view.ts';
import type { Bridges } from '../events/bridges/running/bridges.ts';
import type { JsonObject } from '../kernel/json.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  bridges: Bridges;
}

const moment = Type.String({ format: 'date-time' });
const View = Type.Object({
  name: Type.String(),
  version: Type.Integer({ description: 'Of its definition' }),
  direction: Type.String({ enum: ['source', 'sink'] }),
  protocol: Type.String(),
  state: Type.String({
    enum: ['running', 'paused', 'failing', 'waiting'],
    description: 'waiting: no process runs it at the moment',
  }),
  passed: Type.Integer({ description: 'Events that a source brought, or that a sink sent' }),
  rejected: Type.Integer({ description: 'Messages of a source that became dead letters' }),
  position: Type.Optional(
    Type.Unsafe<object>({
      type: 'object',
      additionalProperties: true,
      description:
        'The position of a source on the other side; for a sink the name (`space`) under which its positions are stored there',
    }),
  ),
  movable: Type.Boolean({
    description: 'Whether its position can be set: not if the other side keeps the position of a source',
  }),
  lag: Type.Optional(
    Type.Integer({
      description:
        'Events of the log that a sink has not sent; messages (in a folder: files) that a source has not read, if the other side reports it',
    }),
  ),
  movedAt: Type.Optional(moment),
  problem: Type.Optional(AnyObject),
  problemAt: Type.Optional(moment),
  notice: Type.Optional(AnyObject),
  noticeAt: Type.Optional(moment),
});
const Position = Type.Object({
  position: Type.Union([AnyObject, Type.Null()], {
    description:
      'As the bridge has shown it; null to begin as without a position (`start`), for a sink at the position of its consumer group',
  }),
});
const tag = 'bridges';
const SUMMARIES = {
  pause: 'Stop a bridge, in every process, until it is resumed; it keeps its position',
  resume: 'Resume a bridge where it stopped',
  restart: 'Restart a bridge in every process, with new connections and the current secrets',
};

/** Bridges as they fare; their definitions are put, and their versions read, as those of every kind. */
export function bridgeRoutes({ bridges }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/bridges',
      permission: 'events.read',
      summary: 'Bridges to other systems, with the state, counts and problem of each',
      tag,
      answer: pageOf(View),
      // As many as are defined: no page is cut.
      handle: async () => ({ items: (await bridges.list()).map(toJson), nextCursor: null }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/bridges/:name',
      permission: 'events.read',
      summary: 'A bridge',
      tag,
      params: NameParams,
      answer: View,
      handle: async ({ params }) => toJson(await bridges.get(params.name)),
    });
    for (const verb of ['pause', 'resume', 'restart'] as const)
      route(server, {
        method: 'POST',
        url: `/api/v1/bridges/:name/${verb}`,
        permission: 'bridges.control',
        summary: SUMMARIES[verb],
        tag,
        params: NameParams,
        answer: View,
        handle: async ({ params, caller }) => toJson(await bridges[verb](params.name, actorOf(caller))),
      });
    route(server, {
      method: 'PUT',
      url: '/api/v1/bridges/:name/position',
      permission: 'bridges.control',
      summary:
        'Set the position of a bridge. Events that a source reads again are recognised by their ids; a sink skips what was sent up to the positions of the `space`',
      tag,
      params: NameParams,
      body: Position,
      answer: View,
      handle: async ({ params, body, caller }) =>
        toJson(await bridges.move(params.name, body.position as JsonObject | null, actorOf(caller))),
    });
  };
}

function toJson({ position, movedAt, problem, problemAt, notice, noticeAt, ...bridge }: BridgeView) {
  return {
    ...bridge,
    position: position ?? undefined,
    movedAt: isoOrUndefined(movedAt),
    problem: problem ?? undefined,
    problemAt: isoOrUndefined(problemAt ?? null),
    notice: notice ?? undefined,
    noticeAt: isoOrUndefined(noticeAt),
  };
}
