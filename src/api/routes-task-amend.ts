import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { JsonObject } from '../kernel/json.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams } from './shapes.ts';
import { TaskShape, taskToJson } from './task-shape.ts';

/** What a case shows, put right by people before they answer. */
export function taskAmendRoutes({ tasks }: { tasks: Tasks }): (server: FastifyInstance) => void {
  return (server) =>
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/amend',
      permission: 'tasks.act',
      summary:
        'Correct the data of a case: everybody is asked again, and the person who corrected it may not answer; returns the new task',
      tag: 'tasks',
      params: IdParams,
      body: Type.Object(
        {
          context: AnyObject,
          contextDigest: Type.String({ description: 'contextDigest of the task as it was shown' }),
        },
        { additionalProperties: false },
      ),
      answer: TaskShape,
      handle: async ({ params, body, caller }) =>
        taskToJson(
          await tasks.amend({
            id: params.id,
            by: caller,
            context: body.context as JsonObject,
            contextDigest: body.contextDigest,
          }),
        ),
    });
}
