import type { Clock } from '../kernel/clock.ts';
import type { Database } from '../store/database.ts';

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
  /** Start to end of the newest runs that no person was asked in. */
  latencyMs: { p50: number; p95: number; p99: number };
  series: { runsPerMinute: { at: string; count: number }[] };
}

/** Many pages may ask at once. */
const FRESH_MS = 2_000;
/** The counts read whole tables: however large those get, counting takes no more than one part in this of the time. */
const REST = 20;
const MINUTES = 60;

// Lineage keeps one row per set of versions that runs used, however many runs there are.
const DECIDING = `select used->>'name' from lineage_sets, json_array_elements(pins) as used
  where used->>'kind' = 'workflow'
    and exists (select from json_array_elements(pins) as other where other->>'kind' in ('decision', 'queue'))`;

/** Counts over the tables that other modules write; reads only. */
export class KpiReader {
  readonly #db: Database;
  readonly #clock: Clock;
  #newest: { untilMs: number; kpis: Promise<Kpis> } | undefined;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  read(): Promise<Kpis> {
    const atMs = performance.now();
    if (!this.#newest || atMs > this.#newest.untilMs) {
      const newest = { untilMs: Number.POSITIVE_INFINITY, kpis: this.#count() };
      this.#newest = newest;
      newest.kpis.then(
        () => {
          const now = performance.now();
          newest.untilMs = now + Math.max(FRESH_MS, REST * (now - atMs));
        },
        () => {
          if (this.#newest === newest) this.#newest = undefined;
        },
      );
    }
    return this.#newest.kpis;
  }

  async #count(): Promise<Kpis> {
    const [statuses, outcomes, totals, latency, series] = await Promise.all([
      this.#db.query<{ status: string; count: number }>(
        'select status, count(*) as count from workflow_runs group by status',
      ),
      this.#db.query<{ outcome: string; asked: boolean; count: number }>(
        `select r.outcome, t.run_id is not null as asked, count(*) as count from workflow_runs r
         left join (select distinct run_id from tasks) t on t.run_id = r.id
         where r.outcome is not null and r.status = 'completed' and r.workflow in (${DECIDING}) group by 1, 2`,
      ),
      this.#db.query<{ cost: number; tasks: number; events: number; letters: number }>(
        `select (select coalesce(sum(amount_micro_usd), 0)::bigint from cost_entries) as cost,
           (select count(*) from tasks where status in ('open', 'claimed')) as tasks,
           (select coalesce(sum(next_offset), 0)::bigint from event_partitions) as events,
           (select count(*) from dead_letters where status = 'open') as letters`,
      ),
      this.#latency(),
      this.#perMinute(),
    ]);
    const decided = sum(outcomes);
    const [totalRow] = totals;
    return {
      runs: {
        total: sum(statuses),
        byStatus: Object.fromEntries(statuses.map(({ status, count }) => [status, count])),
      },
      decisions: {
        total: decided,
        automatic: sum(outcomes.filter(({ asked }) => !asked)),
        review: sum(outcomes.filter(({ asked }) => asked)),
        refused: sum(outcomes.filter(({ outcome }) => outcome.startsWith('refus'))),
        byOutcome: Object.fromEntries(
          [...Map.groupBy(outcomes, ({ outcome }) => outcome)].map(([outcome, rows]) => [outcome, sum(rows)]),
        ),
      },
      costPerDecisionMicroUsd: decided === 0 ? 0 : Math.round((totalRow?.cost ?? 0) / decided),
      tasksOpen: totalRow?.tasks ?? 0,
      events: { total: totalRow?.events ?? 0, deadLetters: totalRow?.letters ?? 0 },
      latencyMs: latency,
      series: { runsPerMinute: series },
    };
  }

  async #latency(): Promise<Kpis['latencyMs']> {
    const [row] = await this.#db.query<Kpis['latencyMs']>(
      `select coalesce(percentile_cont(0.5) within group (order by ms), 0) as p50, coalesce(percentile_cont(0.95) within group (order by ms), 0) as p95,
         coalesce(percentile_cont(0.99) within group (order by ms), 0) as p99
       from (select extract(epoch from updated_at - started_at) * 1000 as ms from workflow_runs r
             where status = 'completed' and workflow in (${DECIDING}) and not exists (select from tasks t where t.run_id = r.id) order by id desc limit 500) newest`,
    );
    return row ?? { p50: 0, p95: 0, p99: 0 };
  }

  async #perMinute(): Promise<Kpis['series']['runsPerMinute']> {
    const since = new Date(this.#clock.now() - MINUTES * 60_000).toISOString();
    const rows = await this.#db.query<{ at: number; count: number }>(
      `select date_trunc('minute', started_at) as at, count(*) as count from workflow_runs where started_at >= $1 group by 1 order by 1`,
      [since],
    );
    return rows.map(({ at, count }) => ({ at: new Date(at).toISOString(), count }));
  }
}

function sum(rows: readonly { count: number }[]): number {
  return rows.reduce((total, { count }) => total + count, 0);
}
