import type { Database } from '../store/database.ts';
import type { KpiCounts } from './kpi-counts.ts';

/** The figures of the first page. Amounts are millionths of a dollar, latencies milliseconds. */
export interface Kpis {
  runs: { total: number; byStatus: Record<string, number> };
  /**
   * Runs that ended with an outcome, of flows that decide: those that used a decision table or asked a person. Without a person, by a person,
   * refused (a part of both).
   */
  decisions: {
    total: number;
    automatic: number;
    review: number;
    refused: number;
    byOutcome: Record<string, number>;
  };
  /** Everything that was charged, the refunds and calls that followed included, over the decisions. */
  costPerDecisionMicroUsd: number;
  tasksOpen: number;
  events: { total: number; deadLetters: number };
  /** Start to end of those among the newest 5,000 runs that no person was asked in, 500 at most. */
  latencyMs: { p50: number; p95: number; p99: number };
  series: { runsPerMinute: { at: string; count: number }[] };
}

/** Many pages may ask at once. */
const FRESH_MS = 2_000;
const PASS_MS = 10_000;

// Lineage keeps one row per set of versions that runs used, however many runs there are.
const DECIDING = `select used->>'name' as workflow from lineage_sets, json_array_elements(pins) as used
  where used->>'kind' = 'workflow'
    and exists (select from json_array_elements(pins) as other where other->>'kind' in ('decision', 'queue'))`;

/** Figures over the tables that other modules write. What grows without end is counted once, and bounded reads do the rest. */
export class KpiReader {
  readonly #db: Database;
  readonly #counts: KpiCounts;
  #newest: { atMs: number; kpis: Promise<Kpis> } | undefined;
  #passAtMs = 0;

  constructor(db: Database, counts: KpiCounts) {
    this.#db = db;
    this.#counts = counts;
  }

  read(): Promise<Kpis> {
    const atMs = performance.now();
    if (!this.#newest || atMs - this.#newest.atMs > FRESH_MS) {
      const kpis = this.#count(atMs);
      this.#newest = { atMs, kpis };
      kpis.catch(() => {
        this.#newest = undefined;
      });
    }
    return this.#newest.kpis;
  }

  async #count(atMs: number): Promise<Kpis> {
    if (atMs - this.#passAtMs > PASS_MS || this.#passAtMs === 0) {
      this.#passAtMs = atMs;
      await this.#counts.advance();
    }
    const [ended, open, deciding, totals, latencyMs, series] = await Promise.all([
      this.#counts.ended(),
      this.#db.query<{ status: string; runs: number }>(
        `select status, count(*) as runs from workflow_runs
         where status <> 'completed' and status in ('pending', 'running', 'waiting', 'paused') group by 1`,
      ),
      this.#db.query<{ workflow: string }>(DECIDING),
      this.#db.query<{ tasks: number; events: number; letters: number }>(
        `select (select count(*) from tasks where status in ('open', 'claimed')) as tasks,
           (select coalesce(sum(next_offset), 0)::bigint from event_partitions) as events,
           (select count(*) from dead_letters where status = 'open') as letters`,
      ),
      this.#latency(),
      this.#counts.perMinute(),
    ]);
    const decides = new Set(deciding.map(({ workflow }) => workflow));
    const decided = ended.filter(
      ({ workflow, status, outcome }) => status === 'completed' && outcome !== '' && decides.has(workflow),
    );
    const { tasks = 0, events = 0, letters = 0 } = totals[0] ?? {};
    const spent = ended.reduce((total, { micro_usd }) => total + micro_usd, 0);
    return {
      runs: { total: sum(ended) + sum(open), byStatus: sums([...ended, ...open], ({ status }) => status) },
      decisions: {
        total: sum(decided),
        automatic: sum(decided.filter(({ asked }) => !asked)),
        review: sum(decided.filter(({ asked }) => asked)),
        refused: sum(decided.filter(({ outcome }) => outcome.startsWith('refus'))),
        byOutcome: sums(decided, ({ outcome }) => outcome),
      },
      costPerDecisionMicroUsd: decided.length === 0 ? 0 : Math.round(spent / sum(decided)),
      tasksOpen: tasks,
      events: { total: events, deadLetters: letters },
      latencyMs,
      series: { runsPerMinute: series.map(({ at, count }) => ({ at: new Date(at).toISOString(), count })) },
    };
  }

  async #latency(): Promise<Kpis['latencyMs']> {
    const [row] = await this.#db.query<Kpis['latencyMs']>(
      `select coalesce(percentile_cont(0.5) within group (order by ms), 0) as p50, coalesce(percentile_cont(0.95) within group (order by ms), 0) as p95,
         coalesce(percentile_cont(0.99) within group (order by ms), 0) as p99
       from (select extract(epoch from updated_at - started_at) * 1000 as ms
             from (select * from workflow_runs order by id desc limit 5000) r
             where status = 'completed' and workflow in (${DECIDING}) and not exists (select from tasks t where t.run_id = r.id) order by id desc limit 500) newest`,
    );
    return row ?? { p50: 0, p95: 0, p99: 0 };
  }
}

function sum(rows: readonly { runs: number }[]): number {
  return rows.reduce((total, { runs }) => total + runs, 0);
}

function sums<Row extends { runs: number }>(
  rows: readonly Row[],
  by: (row: Row) => string,
): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(rows, by)].map(([key, group]) => [key, sum(group)]));
}
