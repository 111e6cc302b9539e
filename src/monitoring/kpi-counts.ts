import type { Clock } from '../kernel/clock.ts';
import { firstId } from '../kernel/ids.ts';
import type { Database, Queryable } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';

/** Ended runs of a flow and a status, with an outcome ('' for none), that a person was asked in or not. */
export interface RunCount {
  workflow: string;
  status: string;
  outcome: string;
  asked: boolean;
  runs: number;
  /** Millionths of a dollar. */
  micro_usd: number;
}

/** How old a run's id is before the count goes past it. What is younger is counted anew at each look. */
const SETTLED_MS = 5_000;
/** A run that was changed later than this is not counted yet: this process is told of its commit within it. */
const TOLD_MS = 2_500;
/** A run that took longer than this to its last change may have been noted. */
const NOTED_MS = 1_000;
/** How long a process keeps a note at most before it brings it. */
const NOTES_MS = 600_000;
/** Rows that one transaction goes past: about half a second. */
const PASS_ROWS_MAX = 100_000;
const HOUR_MS = 3_600_000;
/** Ids of runs that committed late are kept until the next pass; past this many a pass does not wait for its time. */
const LATE_MAX = 50_000;

const ENDED = "('completed', 'failed', 'canceled')";

/**
 * Counts of runs that cost the runs nothing: no counter is written with them and no index is kept for it. Run ids begin with the time, so a pass now and then goes
 * along the primary key, adds the runs that have ended to `kpi_counts`, and puts those that have not into `kpi_pending`, where the next passes find
 * them. A run whose id lies behind (its event was late, its first commit took long) is noted when its change is told, and takes the same way.
 *
 * A run that goes back to an earlier step has ended and has not: there are few, so they are taken out of the counts and read as they are (`kpi_again`).
 *
 * A figure and not a proof: notes of the last seconds are lost with a process. The audit log has every decision.
 */
export class KpiCounts {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #late = new Set<string>();
  #pass: Promise<void> | undefined;
  #settledBefore = { id: '', untilMs: 0 };

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** To be told of each change of a run after its commit. */
  note(runId: string): void {
    const nowMs = this.#clock.now();
    // Not for each run: an id takes longer to make than to compare.
    if (nowMs >= this.#settledBefore.untilMs)
      this.#settledBefore = { id: firstId('run', nowMs - TOLD_MS), untilMs: nowMs + TOLD_MS / 10 };
    if (runId >= this.#settledBefore.id) return;
    this.#late.add(runId);
    if (this.#late.size === LATE_MAX) this.advance().catch(() => {}); // the next pass tells what is wrong
  }

  /** Counts what has settled; one pass at a time, here and among processes. */
  advance(): Promise<void> {
    this.#pass ??= this.#advance().finally(() => {
      this.#pass = undefined;
    });
    return this.#pass;
  }

  /** Ended runs: those that were counted and those that are too young for it. */
  ended(): Promise<RunCount[]> {
    return this.#db.query<RunCount>(
      `select workflow, status, outcome, asked, sum(runs)::bigint as runs, sum(micro_usd)::bigint as micro_usd from (
         select workflow, status, outcome, asked, runs, micro_usd from kpi_counts
         union all
         select e.workflow, e.status, coalesce(e.outcome, ''), exists (select from tasks t where t.run_id = e.id), 1,
           (select coalesce(sum(amount_micro_usd), 0) from cost_entries c where c.run_id = e.id)
         from (select * from workflow_runs where id >= (select until from kpi_progress)
               union all
               select r.* from kpi_again a join workflow_runs r on r.id = a.run_id where r.id < (select until from kpi_progress)) e
         where e.status in ${ENDED}) counts
       group by 1, 2, 3, 4`,
    );
  }

  /** Runs started in each minute of the last hour. */
  perMinute(): Promise<{ at: number; count: number }[]> {
    return this.#db.query<{ at: number; count: number }>(
      `select minute as at, sum(runs)::bigint as count from (
         select minute, runs from kpi_minutes where minute >= $1
         union all
         select date_trunc('minute', started_at), 1 from workflow_runs
         where id >= (select until from kpi_progress) and started_at >= $1) minutes
       group by 1 order by 1`,
      [timestamp(this.#clock.now() - HOUR_MS)],
    );
  }

  async #advance(): Promise<void> {
    const late = [...this.#late];
    const nowMs = this.#clock.now();
    const told = [...late];
    while (await this.#db.transaction((tx) => pass(tx, nowMs, told.splice(0)))) {
      // the next rows
    }
    // Only now: a pass that failed leaves them for the next one.
    for (const id of late) this.#late.delete(id);
  }
}

/** Goes past at most `PASS_ROWS_MAX` rows; whether there are more. */
async function pass(tx: Queryable, nowMs: number, late: readonly string[]): Promise<boolean> {
  const [progress] = await tx.query<{ until: string }>('select until from kpi_progress for update');
  const { until } = progress!;
  await tx.query(TAKE_OUT, [late, until]);
  await tx.query(
    `insert into kpi_pending (run_id) select id from unnest($1::text[]) as id
     where id < $2 and not exists (select from kpi_again a where a.run_id = id) on conflict do nothing`,
    [late, until],
  );
  const settled = firstId('run', nowMs - SETTLED_MS);
  const [reached] = await tx.query<{ id: string }>(
    `select id from workflow_runs where id >= $1 and id < $2 order by id offset ${PASS_ROWS_MAX} limit 1`,
    [until, settled],
  );
  const next = reached?.id ?? (settled > until ? settled : until);
  await tx.query(COUNT, [
    until,
    next,
    timestamp(nowMs - HOUR_MS),
    timestamp(nowMs - TOLD_MS),
    timestamp(nowMs),
  ]);
  await tx.query('delete from kpi_pending where counted_at < $1', [timestamp(nowMs - NOTES_MS)]);
  await tx.query('delete from kpi_again where not exists (select from workflow_runs where id = run_id)');
  await tx.query('delete from kpi_minutes where minute < $1', [timestamp(nowMs - 2 * HOUR_MS)]);
  return reached !== undefined;
}

/**
 * `$1`: ids of which a change was told; `$2`: until where runs are counted. Of those that went back, what was counted is taken away again: their first attempt,
 * with the tasks and costs that it had when they did, since a pass comes to see each of them before it could count another one.
 */
const TAKE_OUT = `
  with back as (
    insert into kpi_again
    select id from (select unnest($1::text[]) as id union select run_id from kpi_pending where counted_at is null) told
    where id < $2 and id in (select run_id from workflow_attempts) on conflict do nothing returning run_id),
  noted as (delete from kpi_pending p using back where p.run_id = back.run_id returning p.run_id, p.counted_at),
  taken as (
    select r.workflow, a.status, coalesce(a.outcome, '') as outcome,
      exists (select from tasks t where t.run_id = r.id and t.created_at < a.next_at) as asked, count(*) as runs,
      sum((select coalesce(sum(amount_micro_usd), 0) from cost_entries c where c.run_id = r.id and c.at < a.next_at)) as micro_usd
    from back join workflow_runs r on r.id = back.run_id join workflow_attempts a on a.run_id = r.id and a.attempt = 1
    where not exists (select from noted where noted.run_id = r.id and noted.counted_at is null)
    group by 1, 2, 3, 4)
  update kpi_counts k set runs = k.runs - t.runs, micro_usd = k.micro_usd - t.micro_usd
  from taken t where (k.workflow, k.status, k.outcome, k.asked) = (t.workflow, t.status, t.outcome, t.asked)`;

/** `$1` to `$2`: the ids to go past; `$3`: starts that the last hour still shows; `$4`: changes that were told by now; `$5`: now. */
const COUNT = `
  with slice as materialized (
    select id, workflow, status, outcome, started_at, updated_at, status in ${ENDED} and updated_at <= $4::timestamptz as settled,
      id in (select run_id from workflow_attempts where run_id >= $1 and run_id < $2) as went_back
    from workflow_runs where id >= $1 and id < $2),
  again as (insert into kpi_again select id from slice where went_back on conflict do nothing),
  ended as materialized (
    select id, workflow, status, outcome from slice where settled and not went_back
    union all
    select r.id, r.workflow, r.status, r.outcome from kpi_pending p join workflow_runs r on r.id = p.run_id
    where p.counted_at is null and r.status in ${ENDED} and r.updated_at <= $4::timestamptz),
  counted as (
    insert into kpi_counts as k (workflow, status, outcome, asked, runs, micro_usd)
    select workflow, status, coalesce(outcome, ''), asked, count(*), sum(micro_usd) from (
      select workflow, status, outcome, exists (select from tasks t where t.run_id = e.id) as asked,
        (select coalesce(sum(amount_micro_usd), 0) from cost_entries c where c.run_id = e.id) as micro_usd
      from ended e) each
    group by 1, 2, 3, 4
    on conflict (workflow, status, outcome, asked) do update set runs = k.runs + excluded.runs, micro_usd = k.micro_usd + excluded.micro_usd),
  done as (update kpi_pending p set counted_at = $5 from ended e where p.run_id = e.id),
  put as (
    insert into kpi_pending select id, case when settled then $5::timestamptz end from slice
    where not went_back and (not settled or updated_at > started_at + interval '${NOTED_MS} milliseconds') on conflict do nothing),
  minutes as (
    insert into kpi_minutes as m (minute, runs)
    select date_trunc('minute', started_at), count(*) from slice where started_at >= $3::timestamptz group by 1
    on conflict (minute) do update set runs = m.runs + excluded.runs)
  update kpi_progress set until = $2`;
