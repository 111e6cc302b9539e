import type { Problem } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { ToldRun, Work } from '../../ledger/openlineage/work-events.ts';
import type { Queryable } from '../../store/database.ts';

/** Of each kind, at a look. */
const WORK_MAX = 100;

/** Work beside its caller that is under way, or ended since there is a sink and was not told of. */
export async function workToTell(
  db: Queryable,
  { lineageToldMs }: Pick<Limits, 'lineageToldMs'>,
): Promise<Work[]> {
  const found = await Promise.all(
    [materializations, backfills, joins, datasets, trainings].map((of) => of(db, [WORK_MAX, lineageToldMs])),
  );
  return found.flat();
}

/** How many of a kind, and how long ago they may have ended, in milliseconds. */
type Bounds = [most: number, toldMs: number];

/** What ended before there was a sink is told to none; of what ended longer ago than `$2` it is no longer known what was told. */
const SINCE = `greatest((select min(since) from openlineage_sinks), now() - $2 * interval '1 millisecond')`;

/** What every table of passes says of one. */
interface PassRow {
  readonly id: string;
  readonly status: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** The clock of the database, as the other times are. */
  readonly nowAt: number;
  readonly rows: number;
  readonly total: number | null;
  readonly problem: Problem | null;
}

const PASS = `p.id, p.status, p.requested_at as "startedAt", p.ended_at as "endedAt", now() as "nowAt", p.total, p.problem`;

/** Which of them, by the names of their times: under way, or ended and not told. The oldest first. */
const toTell = (type: string, isRunning: string, endedAt: string, id = 'p.id') =>
  `(${isRunning} or ${endedAt} >= ${SINCE}
     and not exists (select from openlineage_told t where t.source = '${type}' and t.id = ${id} and t.has_ended))
   order by coalesce(${endedAt}, now()), ${id} limit $1`;

const STATES: Readonly<Record<string, Work['state']>> = {
  running: 'RUNNING',
  done: 'COMPLETE',
  failed: 'FAIL',
};

function stateOf({ id, status, startedAt, endedAt, nowAt, rows, total, problem }: PassRow) {
  return {
    ...{ id, startedAt, state: STATES[status] ?? 'ABORT', at: endedAt ?? nowAt },
    ...(status === 'running' && { progress: { rows, total } }),
    // A title is of the program; a detail may quote what a row holds.
    ...(problem && { error: problem.title ?? problem.code }),
  };
}

async function materializations(db: Queryable, bounds: Bounds): Promise<Work[]> {
  const rows = await db.query<PassRow & { view: string; version: number; table: string | null }>(
    `select ${PASS}, p.entities as rows, p.view, p.version, d.body #>> '{source,table}' as table
     from feature_materializations p left join definitions d on d.kind = 'feature-view' and d.name = p.view and d.version = p.version
     where ${toTell('MATERIALIZATION', "p.status = 'running'", 'p.ended_at')}`,
    bounds,
  );
  return rows.map((row) => ({
    ...{ ...stateOf(row), job: `materialize:${row.view}`, type: 'MATERIALIZATION' },
    inputs: row.table === null ? [] : [{ node: `table:${row.table}` }],
    outputs: [{ node: `feature-view:${row.view}`, version: String(row.version), rows: row.rows }],
  }));
}

/** Generations of views; one that another took the place of before it was whole is told as aborted. Rows are events of the log. */
async function backfills(db: Queryable, bounds: Bounds): Promise<Work[]> {
  const rows = await db.query<PassRow & { view: string; version: number; event: string | null }>(
    `select p.backfill as id, case when p.ready_at is not null then 'done' when p.status = 'retired' then 'retired' else 'running' end as status,
       p.requested_at as "startedAt", coalesce(p.ready_at, p.retired_at) as "endedAt", now() as "nowAt", p.name as view, p.version,
       (select coalesce(sum(b), 0)::bigint from unnest(p.built) b) as rows, (select sum(j)::bigint from unnest(p.joined) j) as total,
       d.body #>> '{source,event}' as event
     from feature_views p left join definitions d on d.kind = 'feature-view' and d.name = p.name and d.version = p.version
     where p.backfill is not null and ${toTell('BACKFILL', "p.status not in ('ready', 'retired')", 'coalesce(p.ready_at, p.retired_at)', 'p.backfill')}`,
    bounds,
  );
  return rows.map((row) => ({
    ...{ ...stateOf(row), job: `backfill:${row.view}`, type: 'BACKFILL' },
    inputs: row.event === null ? [] : [{ node: `event-type:${row.event}` }],
    outputs: [{ node: `feature-view:${row.view}`, version: String(row.version) }],
  }));
}

async function joins(db: Queryable, bounds: Bounds): Promise<Work[]> {
  const rows = await db.query<PassRow & { service: string; entities: string; out: string }>(
    `select ${PASS}, p.done as rows, p.service, p.entities, p.out_file as out from feature_joins p
     where ${toTell('JOIN', "p.status = 'running'", 'p.ended_at')}`,
    bounds,
  );
  return rows.map((row) => ({
    ...{ ...stateOf(row), job: `join:${row.service}`, type: 'JOIN' },
    inputs: [{ node: `file:${row.entities}` }, { node: `feature-service:${row.service}` }],
    outputs: [{ node: `file:${row.out}`, rows: row.rows }],
  }));
}

async function datasets(db: Queryable, bounds: Bounds): Promise<Work[]> {
  const rows = await db.query<PassRow & { dataset: string; version: number | null; inputs: string[] }>(
    `select ${PASS}, p.done as rows, p.dataset, p.version,
       array(select e.from_id from lineage_edges e where e.to_id = 'dataset:' || p.dataset and e.until is null
         and e.from_id not like 'field:%' order by 1) as inputs
     from dataset_builds p where ${toTell('DATASET', "p.status = 'running'", 'p.ended_at')}`,
    bounds,
  );
  return rows.map((row) => ({
    ...{ ...stateOf(row), job: `build:${row.dataset}`, type: 'DATASET' },
    inputs: row.inputs.map((node) => ({ node })),
    outputs: [
      {
        node: `dataset:${row.dataset}`,
        rows: row.rows,
        ...(row.version !== null && { version: String(row.version) }),
      },
    ],
  }));
}

/** Trainings of flows, with the datasets that they were given and the version that they made. One whose process died is under way until its run takes it up again, or ends. */
async function trainings(db: Queryable, bounds: Bounds): Promise<Work[]> {
  const rows = await db.query<{
    key: string;
    trainer: string;
    run_id: string;
    workflow: string | null;
    model: string | null;
    version: string | null;
    started_at: number;
    state: Work['state'];
    at: number;
    datasets: string[];
  }>(
    `with known as (
       select t.key, t.trainer, t.run_id, t.started_at, r.workflow, m.inputs, t.result #>> '{version,name}' as model, t.result #>> '{version,version}' as version,
         case when t.ended_at is not null then 'COMPLETE' when m.status = 'FAILED' then 'FAIL'
           when r.id is null or r.status in ('completed', 'failed', 'canceled') then 'ABORT'
           when m.status = 'RUNNING' then 'RUNNING' end as state,
         coalesce(t.ended_at, to_timestamp(m.ended_ms / 1000.0), r.updated_at, t.started_at) as ended_at
       from trainings t left join workflow_runs r on r.id = t.run_id left join training_runs m on m.id = t.training_run)
     select key, trainer, run_id, started_at, workflow, model, version, state, case when state = 'RUNNING' then now() else ended_at end as at,
       array(select e.from_id from lineage_edges e where e.until is null and e.from_id like 'dataset:%'
           and e.to_id = 'model:' || model || '@' || version
         union select 'dataset:' || (i #>> '{dataset,source}') from jsonb_array_elements(inputs) i
           where i #>> '{dataset,source_type}' = 'aios' order by 1) as datasets
     from known where state is not null and (state = 'RUNNING' or ended_at >= ${SINCE})
       and not exists (select from openlineage_told o where o.source = 'TRAINING' and o.id = key and o.has_ended)
     order by ended_at, key limit $1`,
    bounds,
  );
  return rows.map(({ key, trainer, run_id, workflow, model, version, started_at, state, at, datasets }) => ({
    ...{ id: key, job: `train:${trainer}`, type: 'TRAINING', startedAt: started_at, state, at },
    ...(workflow !== null && { parent: { id: run_id, job: `workflow:${workflow}` } }),
    inputs: datasets.map((node) => ({ node })),
    outputs: model === null || version === null ? [] : [{ node: `model:${model}`, version }],
  }));
}

/** Read at a time. */
const RUNS_MAX = 1_000;

interface RunRow {
  readonly id: string;
  readonly workflow: string;
  readonly startedAt: number;
  readonly nowAt: number;
  readonly event: string | null;
  readonly scheduledAt: number | null;
  readonly parent: string | null;
}

/**
 * Runs of flows that have been under way for `lineageRunningMs` and were not told of as all of these sources, in the order of their ids.
 *
 * @param sinceMs how long ago the last look was; undefined for the first
 */
export async function* runsToTell(
  db: Queryable,
  { lineageRunningMs }: Pick<Limits, 'lineageRunningMs'>,
  sources: readonly string[],
  sinceMs: number | undefined,
): AsyncGenerator<ToldRun> {
  for (let after = ''; ; ) {
    const rows = await db.query<RunRow>(
      `select id, workflow, started_at as "startedAt", now() as "nowAt", origin #>> '{event,event,type}' as event,
         (origin->>'scheduledMs')::float8 as "scheduledAt", origin #>> '{parent,runId}' as parent
       from workflow_runs r where status in ('pending', 'running', 'waiting', 'paused') and id > $1
         and started_at <= now() - $2 * interval '1 millisecond'
         and ($3::float8 is null or started_at > now() - $3 * interval '1 millisecond')
         and (select count(*) from openlineage_told t where t.source = any($4::text[]) and t.id = r.id) < cardinality($4::text[])
       order by id limit $5`,
      // Twice as far back as need be: a look takes time, and what was told is told no more.
      [
        after,
        lineageRunningMs,
        sinceMs === undefined ? null : 2 * (lineageRunningMs + sinceMs),
        sources,
        RUNS_MAX,
      ],
    );
    for (const row of rows) yield toldRun(row);
    if (rows.length < RUNS_MAX) return;
    after = rows.at(-1)!.id;
  }
}

function toldRun({ id, workflow, startedAt, nowAt, event, scheduledAt, parent }: RunRow): ToldRun {
  return {
    ...{ id, workflow, status: 'running', startedAt, at: nowAt, pins: [] },
    ...(event !== null && { event }),
    ...(scheduledAt !== null && { scheduledAt }),
    ...(parent !== null && { parentRunId: parent }),
  };
}
