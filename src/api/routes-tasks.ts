import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Json } from '../kernel/json.ts';
import { answerable } from '../tasks/review.ts';
import type { TaskStatus } from '../tasks/task-states.ts';
import type { Tasks } from '../tasks/tasks.ts';
import { route } from './routes.ts';
import { IdParams, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';
import { TaskShape, taskToJson } from './task-shape.ts';

const Time = Type.String({ format: 'date-time' });
const QueueCounts = Type.Object({
  queue: Type.String(),
  open: Type.Integer(),
  claimed: Type.Integer(),
  overdue: Type.Integer(),
  oldestAt: Type.Optional(Time),
});
const SHOWN = {
  contextDigest: Type.String({ description: 'contextDigest of the task as it was shown' }),
  minutes: Type.Optional(
    Type.Number({ minimum: 0, description: 'Minutes of work; measured since the claim when absent' }),
  ),
};
const Completion = Type.Object(
  { result: Type.Unknown({ description: 'The answer, as the form of the task requires' }), ...SHOWN },
  { additionalProperties: false },
);
const Question = Type.Object(
  { message: Type.String({ minLength: 1, maxLength: 10_000 }), ...SHOWN },
  { additionalProperties: false },
);

/** What the filter `status` of a list may say; `waiting` is open or claimed, `done` is completed. */
const STATUSES: Readonly<Record<string, readonly TaskStatus[]>> = {
  waiting: ['open', 'claimed'],
  open: ['open'],
  claimed: ['claimed'],
  done: ['completed'],
  completed: ['completed'],
  returned: ['returned'],
  expired: ['expired'],
  canceled: ['canceled'],
};
const tag = 'tasks';

/** The inbox: what waits for people, claimed and answered. */
export function taskRoutes({ tasks }: { tasks: Tasks }): (server: FastifyInstance) => void {
  return (server) => {
    readRoutes(server, tasks);
    for (const action of ['claim', 'release'] as const) {
      route(server, {
        method: 'POST',
        url: `/api/v1/tasks/:id/${action}`,
        permission: action === 'claim' ? 'tasks.act' : 'tasks.release',
        summary:
          action === 'claim'
            ? 'Claim a task'
            : 'Give a task back; an operator may give back the claim of another',
        tag,
        params: IdParams,
        answer: TaskShape,
        handle: async ({ params, caller }) => taskToJson(await tasks[action](params.id, caller)),
      });
    }
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/complete',
      permission: 'tasks.act',
      summary: 'Answer a task, bound to exactly what it showed; its run continues',
      tag,
      params: IdParams,
      body: Completion,
      answer: TaskShape,
      handle: async ({ params, body, caller }) => {
        const { result, contextDigest, minutes } = body;
        return taskToJson(
          await tasks.complete({ id: params.id, by: caller, result: result as Json, contextDigest, minutes }),
        );
      },
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/return',
      permission: 'tasks.act',
      summary: 'Send a task back to the requester with a question, with which its run continues',
      tag,
      params: IdParams,
      body: Question,
      answer: TaskShape,
      handle: async ({ params, body, caller }) =>
        taskToJson(await tasks.returnToRequester({ id: params.id, by: caller, ...body })),
    });
  };
}

function readRoutes(server: FastifyInstance, tasks: Tasks): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks',
    permission: 'tasks.read',
    summary: 'Tasks: open ones by priority, due date and age, others newest first',
    tag,
    query: pageQuery({
      queue: Type.Optional(Type.String()),
      status: Type.Optional(Type.String({ enum: Object.keys(STATUSES) })),
      run: Type.Optional(Type.String()),
      forMe: Type.Optional(
        Type.Boolean({
          description: "In the caller's hands, or open for their groups and roles; without what is put off",
        }),
      ),
      mine: Type.Optional(Type.Boolean({ description: 'Claimed or answered by the caller' })),
    }),
    answer: pageOf(TaskShape),
    handle: async ({ query: { queue, status, run, mine, forMe, cursor, limit = 50 }, caller }) => {
      const page = await tasks.list({
        queue,
        statuses: status === undefined ? undefined : STATUSES[status],
        runId: run,
        by: mine ? caller.id : undefined,
        ...(forMe ? tasks.waitingFor(caller) : {}),
        cursor,
        limit,
      });
      const items = forMe ? answerable(page.items, caller) : page.items;
      return { ...page, items: items.map(taskToJson) };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks/counts',
    permission: 'tasks.read',
    summary: 'The number of waiting tasks in each queue',
    tag,
    answer: pageOf(QueueCounts),
    handle: async () => ({
      items: (await tasks.counts()).map((count) => ({ ...count, oldestAt: isoOrUndefined(count.oldestAt) })),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks/:id',
    permission: 'tasks.read',
    summary: 'One task',
    tag,
    params: IdParams,
    answer: TaskShape,
    handle: async ({ params }) => taskToJson(await tasks.get(params.id)),
  });
}
