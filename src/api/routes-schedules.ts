import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Clock } from '../kernel/clock.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Write } from '../store/lane.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import type { ScheduleView } from '../workflow/engine/scheduler.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { iso, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  engine: WorkflowEngine;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const moment = Type.String({ format: 'date-time' });
const Schedule = Type.Object({
  workflow: Type.String(),
  version: Type.Integer(),
  kind: Type.String({ enum: ['every', 'cron', 'after'] }),
  expression: Type.String({ description: 'The cron pattern; for the other kinds a duration such as PT15M' }),
  timezone: Type.String(),
  overlap: Type.String({ enum: ['skip', 'queue', 'parallel', 'cancel'] }),
  missed: Type.String({ enum: ['skip', 'last', 'all'] }),
  paused: Type.Boolean(),
  nextAt: Type.Optional(moment),
  lastAt: Type.Optional(Type.String({ format: 'date-time', description: 'The due time of the last run' })),
  lastRunId: Type.Optional(Type.String()),
  queued: Type.Integer({ description: 'Due times that wait for earlier runs' }),
  skipped: Type.Integer({ description: 'Due times skipped because a run was still in progress' }),
});
const tag = 'runs';

/** Schedules by time: looked at, paused, resumed, filled back. What people do with them is in the audit log, in the transaction that does it. */
export function scheduleRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { engine } = dependencies;
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/schedules',
      permission: 'runs.read',
      summary: 'Flows that start on a schedule, with their next and last times',
      tag,
      answer: pageOf(Schedule),
      // One row for a flow: there are as many as files in the project, and no page is cut.
      handle: async () => ({ items: (await engine.schedules.list()).map(toJson), nextCursor: null }),
    });
    pauseRoutes(server, dependencies);
    backfillRoute(server, dependencies);
  };
}

function pauseRoutes(server: FastifyInstance, dependencies: Dependencies): void {
  const { engine } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/workflows/:name/schedule/pause',
    permission: 'runs.control',
    summary: 'Pause a schedule; runs in progress continue',
    tag,
    params: NameParams,
    body: Type.Object(
      {
        discardQueued: Type.Optional(
          Type.Boolean({
            default: false,
            description: 'Drop the due times that wait, including those of a back-fill',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    answer: Schedule,
    handle: async ({ params: { name }, body: { discardQueued = false }, caller }) => {
      const record = entry(dependencies, caller, name, 'schedule-paused', { discardQueued });
      await engine.schedules.pause(name, discardQueued, [record]);
      return toJson(await engine.schedules.get(name));
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/workflows/:name/schedule/resume',
    permission: 'runs.control',
    summary: 'Resume a schedule from now on; the times of the pause are not made up for',
    tag,
    params: NameParams,
    answer: Schedule,
    handle: async ({ params: { name }, caller }) => {
      await engine.schedules.resume(name, [entry(dependencies, caller, name, 'schedule-resumed', {})]);
      return toJson(await engine.schedules.get(name));
    },
  });
}

function backfillRoute(server: FastifyInstance, dependencies: Dependencies): void {
  const { engine } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/workflows/:name/schedule/backfill',
    permission: 'runs.control',
    summary:
      'Start the runs of a past range, each once and in order; times that already have a run are skipped',
    tag,
    params: NameParams,
    body: Type.Object({ from: moment, until: moment }, { additionalProperties: false }),
    answer: Type.Object({
      times: Type.Integer({ description: 'Runs that will be started' }),
      alreadyRun: Type.Integer({ description: 'Due times of the range that have a run' }),
      schedule: Schedule,
    }),
    handle: async ({ params: { name }, body: { from, until }, caller }) => {
      const range = { fromMs: Date.parse(from), untilMs: Date.parse(until) };
      const backfill = await engine.schedules.backfill(name, range, ({ times }) => [
        entry(dependencies, caller, name, 'schedule-backfilled', {
          from: iso(range.fromMs),
          until: iso(range.untilMs),
          times,
        }),
      ]);
      return { ...backfill, schedule: toJson(await engine.schedules.get(name)) };
    },
  });
}

function entry(
  { auditLog, clock }: Dependencies,
  caller: Caller,
  workflow: string,
  action: string,
  payload: JsonObject,
): Write {
  return auditLog.entry({
    kind: 'workflow',
    action,
    actor: actorOf(caller),
    object: `workflow:${workflow}`,
    at: clock.now(),
    payload: { workflow, ...payload },
  });
}

function toJson({ schedule, workflow, version, paused, dueMs, run, queued, skipped }: ScheduleView) {
  const { kind, expression, timezone, overlap, missed } = schedule;
  return {
    workflow,
    version,
    kind,
    expression,
    timezone,
    overlap,
    missed,
    paused,
    // What a paused schedule would have done next is passed over when it is resumed.
    nextAt: paused ? undefined : isoOrUndefined(dueMs),
    lastAt: isoOrUndefined(run?.dueMs),
    lastRunId: run?.id,
    queued: queued.length,
    skipped,
  };
}
