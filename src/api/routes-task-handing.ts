import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Tasks } from '../tasks/tasks.ts';
import { route } from './routes.ts';
import { IdParams, pageOf } from './shapes.ts';
import { TaskShape, taskToJson } from './task-shape.ts';

const Message = Type.Optional(Type.String({ minLength: 1, maxLength: 10_000 }));
const Person = Type.String({ minLength: 1, description: 'An id from the candidates of the task' });
const tag = 'tasks';

/** In whose hands a task is, how pressing it is, when it is looked at again. */
export function taskHandingRoutes({ tasks }: { tasks: Tasks }): (server: FastifyInstance) => void {
  return (server) => {
    personRoutes(server, tasks);
    leadRoutes(server, tasks);
  };
}

function personRoutes(server: FastifyInstance, tasks: Tasks): void {
  const shared = { permission: 'tasks.act', tag, params: IdParams, answer: TaskShape };
  route(server, {
    ...shared,
    method: 'POST',
    url: '/api/v1/tasks/:id/delegate',
    summary:
      'Delegate a claimed task to somebody else, who answers it or hands it back; its owner stays accountable',
    body: Type.Object({ to: Person, message: Message }, { additionalProperties: false }),
    handle: async ({ params, body, caller }) =>
      taskToJson(await tasks.handing.delegate(params.id, caller, body.to, body.message)),
  });
  route(server, {
    ...shared,
    method: 'POST',
    url: '/api/v1/tasks/:id/hand-back',
    summary: 'Return a delegated task to its owner; the owner may call this, too',
    body: Type.Object({ message: Message }, { additionalProperties: false }),
    handle: async ({ params, body, caller }) =>
      taskToJson(await tasks.handing.handBack(params.id, caller, body.message)),
  });
  route(server, {
    ...shared,
    method: 'PUT',
    url: '/api/v1/tasks/:id/follow-up',
    summary: 'Defer a task until a time; null brings it back',
    body: Type.Object(
      { at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]) },
      { additionalProperties: false },
    ),
    handle: async ({ params, body, caller }) =>
      taskToJson(
        await tasks.handing.putOff(params.id, caller, body.at === null ? null : Date.parse(body.at)),
      ),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks/:id/candidates',
    permission: 'tasks.read',
    summary: 'The people to whom a task can be assigned',
    tag,
    params: IdParams,
    answer: pageOf(
      Type.Object({ id: Type.String(), name: Type.String(), groups: Type.Array(Type.String()) }),
    ),
    handle: async ({ params }) => {
      const people = await tasks.handing.candidates(params.id);
      return {
        items: people.map(({ id, name, groups = [] }) => ({ id, name, groups })),
        nextCursor: null,
      };
    },
  });
}

function leadRoutes(server: FastifyInstance, tasks: Tasks): void {
  const shared = { permission: 'tasks.assign', tag, params: IdParams, answer: TaskShape };
  route(server, {
    ...shared,
    method: 'POST',
    url: '/api/v1/tasks/:id/assign',
    summary: "Put a task into somebody's hands, whoever has it",
    body: Type.Object({ to: Person }, { additionalProperties: false }),
    handle: async ({ params, body, caller }) =>
      taskToJson(await tasks.handing.assign(params.id, caller, body.to)),
  });
  route(server, {
    ...shared,
    method: 'PUT',
    url: '/api/v1/tasks/:id/priority',
    summary: 'Set the priority of a task: 0 to 100, higher first',
    body: Type.Object(
      { priority: Type.Integer({ minimum: 0, maximum: 100 }) },
      { additionalProperties: false },
    ),
    handle: async ({ params, body, caller }) =>
      taskToJson(await tasks.handing.prioritize(params.id, caller, body.priority)),
  });
}
