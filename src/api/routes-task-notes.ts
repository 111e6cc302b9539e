import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Tasks } from '../tasks/tasks.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams, iso, pageOf } from './shapes.ts';

const Entry = Type.Object({
  id: Type.String(),
  taskId: Type.String(),
  kind: Type.String(),
  at: Type.String({ format: 'date-time' }),
  by: Type.Optional(Type.String({ description: 'Absent for actions of AIOS itself' })),
  byId: Type.Optional(Type.String()),
  detail: AnyObject,
});
const History = pageOf(Entry);
const tag = 'tasks';

/** What is said about a task, and what happened to it. */
export function taskNoteRoutes({ tasks }: { tasks: Tasks }): (server: FastifyInstance) => void {
  const history = async (id: string) => ({
    items: (await tasks.notes.history(id)).map(({ by, at, ...entry }) => ({
      ...entry,
      at: iso(at),
      by: by?.name,
      byId: by?.id,
    })),
    nextCursor: null,
  });
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/tasks/:id/history',
      permission: 'tasks.read',
      summary: 'The history of a task, oldest first: who saw, claimed, delegated, commented, answered',
      tag,
      params: IdParams,
      answer: History,
      handle: ({ params }) => history(params.id),
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/comments',
      permission: 'tasks.act',
      summary: 'Comment on a task; with the same Idempotency-Key it is added once',
      tag,
      params: IdParams,
      body: Type.Object({ text: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
      answer: History,
      handle: async ({ params: { id }, body: { text }, caller, request }) => {
        const header = request.headers['idempotency-key'];
        const key = Array.isArray(header) ? header[0] : header;
        await tasks.notes.comment({ id, by: caller, text, key });
        return await history(id);
      },
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/seen',
      permission: 'tasks.read',
      summary: 'Record that the caller has viewed a task; only the first time is recorded',
      tag,
      params: IdParams,
      answer: Type.Object({ seen: Type.Boolean() }),
      handle: async ({ params, caller }) => {
        await tasks.notes.seen(params.id, caller);
        return { seen: true };
      },
    });
  };
}
