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
  rejected: Type.Integer({ description: 'Messages of a source that were put aside' }),
  position: Type.Optional(
    Type.Unsafe<object>({
      type: 'object',
      additionalProperties: true,
      description:
        'The place of a source on the other side; of a sink the name (`space`) that its places there go under',
    }),
  ),
  movable: Type.Boolean({
    description:
      'Whether it can be told to go on from another place: not where the other side keeps that of a source',
  }),
  lag: Type.Optional(
    Type.Integer({
      description:
        'Events of the log that a sink has not passed; messages (of a folder: files) that a source has not taken, where the other side says it',
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
      'As a bridge has shown it; null for where it begins without one (`start`), of a sink for the place of its consumer group',
  }),
});
const tag = 'bridges';
const SUMMARIES = {
  pause: 'Stop a bridge, in every process, until it is resumed; it keeps its place',
  resume: 'Let a bridge go on where it was',
  restart: 'Open a bridge anew in every process: with new connections, and secrets as they are now',
};

/** Bridges as they fare; their definitions are put, and their versions read, as those of every kind. */
export function bridgeRoutes({ bridges }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/bridges',
      permission: 'events.read',
      summary:
        'Bridges to other systems: where each stands, what it brought or sent, and what is wrong with it',
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
        'Let a bridge go on from another place. Events that a source brings again are known by their ids; a sink leaves out what was sent up to the places of the `space`',
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
