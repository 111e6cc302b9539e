import type { Database, Queryable } from '../../store/database.ts';
import { plannedLane, type Write, write } from '../../store/lane.ts';
import { columns, timestamp } from '../../store/rows.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { RunStore } from './run-store.ts';
import type {
  LastRun,
  LockedSchedule,
  QueuedTime,
  ScheduleChange,
  ScheduleDefinition,
  ScheduleRow,
  ScheduleState,
  ScheduleStore,
} from './schedule-store.ts';
import type { RunChange } from './stored-run.ts';

interface Row {
  workflow: string;
  version: number;
  paused: boolean;
  due_at: number | null;
  look_at: number | null;
  run_id: string | null;
  run: QueuedTime | null;
  queued: QueuedTime[];
  skipped: number;
  awaited: boolean;
}

const READ = 'workflow, version, paused, due_at, look_at, run_id, run, queued, skipped, awaited';

/** Rows are locked in the order of names, so that two flushes cannot deadlock; a look holds one of them. */
const endedLane = plannedLane<{ id: string; updatedAtMs: number }>({
  name: 'workflow.schedules',
  order: 27,
  plan: (ends) => {
    const ids = ends.map(({ id }) => id);
    return {
      statements: [
        {
          text: 'select from workflow_schedules where run_id = any($1) order by workflow for no key update',
          values: [ids],
        },
        {
          text: `update workflow_schedules s set look_at = least(s.look_at, e.at)
            from unnest($1::text[], $2::timestamptz[]) as e(run_id, at) where s.run_id = e.run_id and s.awaited`,
          values: [ids, ends.map(({ updatedAtMs }) => timestamp(updatedAtMs))],
        },
      ],
    };
  },
});

/** Schedules in Postgres: a row is locked while a process looks at it, the others pass it by. */
export class PostgresSchedules implements ScheduleStore {
  readonly #db: Database;
  readonly #insert: RunStore['insert'];

  /** `insert` is that of the runs, inside a transaction. */
  constructor(db: Database, insert: RunStore['insert']) {
    this.#db = db;
    this.#insert = insert;
  }

  async put(definitions: readonly ScheduleDefinition[], nowMs: number): Promise<void> {
    if (definitions.length === 0) return;
    const sorted = [...definitions].sort((a, b) => (a.workflow < b.workflow ? -1 : 1));
    const [names, versions, times] = columns(sorted, (each) => [each.workflow, each.version, each.times]);
    await this.#db.transaction(async (tx) => {
      await tx.query(
        `insert into workflow_schedules (workflow, version, times)
         select * from unnest($1::text[], $2::int[], $3::text[]) as d(workflow, version, times)
         where d.times is not null or exists (select from workflow_schedules s where s.workflow = d.workflow)
         on conflict (workflow) do update set
           version = excluded.version, times = excluded.times, look_at = excluded.look_at,
           due_at = case when excluded.times = workflow_schedules.times then workflow_schedules.due_at end,
           queued = case when excluded.times is null then '[]' else workflow_schedules.queued end,
           awaited = workflow_schedules.awaited and excluded.times is not null
         where workflow_schedules.version < excluded.version`,
        [names, versions, times],
      );
      await tx.query(
        'update workflow_schedules set look_at = $1 where workflow = any($2) and times is not null and look_at is null',
        [timestamp(nowMs), names],
      );
    });
  }

  async list(): Promise<ScheduleRow[]> {
    const rows = await this.#db.query<Row>(
      `select ${READ} from workflow_schedules where times is not null order by workflow`,
    );
    return rows.map(fromRow);
  }

  async due(nowMs: number, limit: number): Promise<string[]> {
    const rows = await this.#db.query<{ workflow: string }>(
      'select workflow from workflow_schedules where look_at <= $1 and times is not null order by look_at limit $2',
      [timestamp(nowMs), limit],
    );
    return rows.map(({ workflow }) => workflow);
  }

  change(
    workflow: string,
    waits: boolean,
    change: (schedule: LockedSchedule) => Promise<ScheduleChange | undefined>,
  ): Promise<(() => void) | undefined> {
    return this.#db.transaction(async (tx) => {
      const [row] = await tx.query<Row>(
        `select ${READ} from workflow_schedules where workflow = $1 and times is not null for update ${waits ? '' : 'skip locked'}`,
        [workflow],
      );
      if (!row) return undefined;
      const result = await change({
        row: fromRow(row),
        lastRun: await lastRunOf(tx, row.run_id),
        started: (keys) => startedOf(tx, workflow, keys),
        insert: (runs) => this.#insert(tx, runs),
      });
      if (!result) return () => {};
      await writeState(tx, workflow, result.state);
      return writeInTransaction(tx, result.writes ?? []);
    });
  }

  ended(change: RunChange): Write[] {
    return change.result && change.origin.scheduledMs !== undefined ? [write(endedLane, change)] : [];
  }
}

async function lastRunOf(tx: Queryable, id: string | null): Promise<LastRun | undefined> {
  if (id === null) return undefined;
  const [run] = await tx.query<LastRun>(
    'select status, updated_at as "updatedAtMs" from workflow_runs where id = $1',
    [id],
  );
  return run;
}

async function startedOf(tx: Queryable, workflow: string, keys: readonly string[]): Promise<Set<string>> {
  const rows = await tx.query<{ key: string }>(
    'select idempotency_key as key from workflow_runs where workflow = $1 and idempotency_key = any($2)',
    [workflow, keys],
  );
  return new Set(rows.map(({ key }) => key));
}

async function writeState(tx: Queryable, workflow: string, state: ScheduleState): Promise<void> {
  const { run, queued } = state;
  await tx.query(
    `update workflow_schedules set paused = $2, due_at = $3, look_at = $4, run_id = $5, run = $6, queued = $7, skipped = $8, awaited = $9
     where workflow = $1`,
    [
      workflow,
      state.paused,
      state.dueMs === null ? null : timestamp(state.dueMs),
      state.lookMs === null ? null : timestamp(state.lookMs),
      run?.id ?? null,
      run === null ? null : JSON.stringify({ dueMs: run.dueMs, madeUp: run.madeUp }),
      JSON.stringify(queued),
      state.skipped,
      state.awaited,
    ],
  );
}

function fromRow(row: Row): ScheduleRow {
  const { workflow, version, paused, queued, skipped, awaited, due_at, look_at, run_id, run } = row;
  return {
    workflow,
    version,
    paused,
    dueMs: due_at,
    lookMs: look_at,
    run: run_id !== null && run !== null ? { id: run_id, ...run } : null,
    queued,
    skipped,
    awaited,
  };
}
