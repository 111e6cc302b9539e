import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Definition, Definitions } from '../store/definitions.ts';
import type { Committer } from '../store/group-commit.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import type { QueueFigures } from '../workflow/engine/queue-store.ts';
import { type Caller, route } from './routes.ts';
import { AnyObject, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  engine: Pick<WorkflowEngine, 'runQueues'>;
  definitions: Pick<Definitions, 'latest' | 'list'>;
  commit: Committer;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const QueueShape = Type.Object({
  name: Type.String(),
  version: Type.Optional(Type.Integer()),
  body: Type.Optional(AnyObject),
  paused: Type.Boolean(),
  pending: Type.Integer({ description: 'Runs that wait for a slot' }),
  admitted: Type.Integer({ description: 'Runs that hold one' }),
  oldestAt: Type.Optional(
    Type.String({ format: 'date-time', description: 'When the run that has waited longest began to wait' }),
  ),
});
const tag = 'runs';

/** Queues of runs as they stand; their definitions are read and put as those of every kind. */
export function runQueueRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/run-queues',
      permission: 'runs.read',
      summary: 'Run queues: how many runs wait, how many hold a slot, how long the oldest has waited',
      tag,
      answer: pageOf(QueueShape),
      handle: async () => ({ items: await read(dependencies), nextCursor: null }),
    });
    route(server, {
      method: 'PATCH',
      url: '/api/v1/run-queues/:name',
      permission: 'runs.control',
      summary:
        'Pause or resume a run queue: while it is paused, runs that hold a slot continue and no more start',
      tag,
      params: NameParams,
      body: Type.Object({ paused: Type.Boolean() }, { additionalProperties: false }),
      answer: QueueShape,
      handle: async ({ params: { name }, body: { paused }, caller }) => {
        const before = await find(dependencies, name);
        if (before.paused !== paused) await setPaused(dependencies, name, paused, caller);
        return find(dependencies, name);
      },
    });
  };
}

async function read({ engine, definitions }: Dependencies) {
  const figures = new Map((await engine.runQueues.figures()).map((each) => [each.name, each]));
  const defined = new Map(definitions.list('run-queue').map((each) => [each.name, each]));
  const names = [...new Set([...defined.keys(), ...figures.keys()])].sort();
  return names.map((name) => toJson(name, defined.get(name), figures.get(name)));
}

async function find(dependencies: Dependencies, name: string) {
  const found = (await read(dependencies)).find((queue) => queue.name === name);
  if (found) return found;
  throw new AiosError('definition.not_found', { detail: `There is no run-queue “${name}”.` });
}

async function setPaused(
  { engine, commit, clock, auditLog }: Dependencies,
  queue: string,
  paused: boolean,
  { kind, id }: Caller,
): Promise<void> {
  await commit.commit([
    engine.runQueues.setPaused(queue, paused),
    auditLog.entry({
      kind: 'run-queue',
      action: paused ? 'paused' : 'resumed',
      actor: { kind, id },
      object: `run-queue:${queue}`,
      at: clock.now(),
      payload: { queue, paused },
    }),
  ]);
}

function toJson(name: string, definition: Definition | undefined, figures: QueueFigures | undefined) {
  const { paused = false, pending = 0, admitted = 0, oldestAtMs } = figures ?? {};
  const { version, body } = definition ?? {};
  return { name, version, body, paused, pending, admitted, oldestAt: isoOrUndefined(oldestAtMs) };
}
