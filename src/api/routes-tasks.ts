import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Json } from '../kernel/json.ts';
import type { TaskStatus } from '../tasks/task-lanes.ts';
import type { Task, Tasks } from '../tasks/tasks.ts';
import { route } from './routes.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';

const Time = Type.String({ format: 'date-time' });

const TaskShape = Type.Object({
  id: Type.String(),
  queue: Type.String(),
  queueTitle: Type.String(),
  title: Type.String(),
  instructions: Type.Optional(Type.String()),
  status: Type.String({ enum: ['open', 'claimed', 'completed', 'expired', 'canceled'] }),
  priority: Type.Integer(),
  runId: Type.String(),
  context: AnyObject,
  contextDigest: Type.String(),
  form: AnyObject,
  suggestion: Type.Optional(Type.Unknown()),
  result: Type.Optional(Type.Unknown()),
  createdAt: Time,
  dueAt: Type.Optional(Time),
  claimedAt: Type.Optional(Time),
  endedAt: Type.Optional(Time),
  claimedBy: Type.Optional(Type.String()),
  claimedById: Type.Optional(Type.String()),
  decidedBy: Type.Optional(Type.String()),
  minutes: Type.Optional(Type.Number()),
});
const QueueCounts = Type.Object({
  queue: Type.String(),
  open: Type.Integer(),
  claimed: Type.Integer(),
  overdue: Type.Integer(),
  oldestAt: Type.Optional(Time),
});
const Completion = Type.Object(
  {
    result: Type.Unknown({ description: 'What the form of the task asks for' }),
    contextDigest: Type.String({ description: 'contextDigest of the task as it was shown' }),
    minutes: Type.Optional(
      Type.Number({ minimum: 0, description: 'Of work; measured since the claim when absent' }),
    ),
  },
  { additionalProperties: false },
);

/** What the filter `status` of a list may say; `waiting` is open or claimed, `done` is completed. */
const STATUSES: Readonly<Record<string, readonly TaskStatus[]>> = {
  waiting: ['open', 'claimed'],
  open: ['open'],
  claimed: ['claimed'],
  done: ['completed'],
  completed: ['completed'],
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
        handle: async ({ params, caller }) => toJson(await tasks[action](params.id, caller)),
      });
    }
    route(server, {
      method: 'POST',
      url: '/api/v1/tasks/:id/complete',
      permission: 'tasks.act',
      summary: 'Answer a task, bound to exactly what it showed; its run goes on',
      tag,
      params: IdParams,
      body: Completion,
      answer: TaskShape,
      handle: async ({ params, body, caller }) => {
        const { result, contextDigest, minutes } = body;
        return toJson(
          await tasks.complete({ id: params.id, by: caller, result: result as Json, contextDigest, minutes }),
        );
      },
    });
  };
}

function readRoutes(server: FastifyInstance, tasks: Tasks): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks',
    permission: 'tasks.read',
    summary: 'Tasks: those that wait by priority and age, others newest first',
    tag,
    query: pageQuery({
      queue: Type.Optional(Type.String()),
      status: Type.Optional(Type.String({ enum: Object.keys(STATUSES) })),
      run: Type.Optional(Type.String()),
      mine: Type.Optional(Type.Boolean({ description: 'Claimed or answered by the caller' })),
    }),
    answer: pageOf(TaskShape),
    handle: async ({ query: { queue, status, run, mine, cursor, limit = 50 }, caller }) => {
      const page = await tasks.list({
        queue,
        statuses: status === undefined ? undefined : STATUSES[status],
        runId: run,
        by: mine ? caller.id : undefined,
        cursor,
        limit,
      });
      return { ...page, items: page.items.map(toJson) };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/tasks/counts',
    permission: 'tasks.read',
    summary: 'How much waits in each queue',
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
    handle: async ({ params }) => toJson(await tasks.get(params.id)),
  });
}

/** What does not apply is absent: an open task has no `claimedBy`. */
function toJson(task: Task) {
  const { stepKey: _, queueVersion: __, subject: ___, ...shown } = task;
  return {
    ...shown,
    instructions: task.instructions ?? undefined,
    suggestion: task.suggestion ?? undefined,
    result: task.result ?? undefined,
    createdAt: iso(task.createdAt),
    dueAt: isoOrUndefined(task.dueAt),
    claimedAt: isoOrUndefined(task.claimedAt),
    endedAt: isoOrUndefined(task.endedAt),
    claimedBy: task.claimedBy?.name,
    claimedById: task.claimedBy?.id,
    decidedBy: task.decidedBy?.name,
    minutes: task.minutes ?? undefined,
  };
}
