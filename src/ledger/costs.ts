import type { Json } from '../kernel/json.ts';
import type { MicroUsd } from '../kernel/money.ts';
import type { Database } from '../store/database.ts';
import { plannedLane, type Write, write } from '../store/lane.ts';
import { columns, timestamp } from '../store/rows.ts';
import { type FocusPeriod, focusCsv } from './focus.ts';

/** One charge, with the columns of FOCUS 1.2 (focus.finops.org) that apply: what was used, how much of it, what it cost. */
export interface CostRecord {
  /** Left out for a charge outside a run. */
  runId?: string | undefined;
  stepKey?: string | undefined;
  /** FOCUS ServiceName: `inference`, `connector`, `people`. */
  service: string;
  /** FOCUS ResourceId: `return-risk@3`. */
  resource: string;
  /** FOCUS ConsumedQuantity and ConsumedUnit. */
  quantity: number;
  unit: string;
  /** FOCUS BilledCost, in millionths of a dollar. */
  amountMicroUsd: MicroUsd;
  at: number;
  tags?: Json | undefined;
}

export type CostGroup = 'service' | 'resource' | 'workflow' | 'day' | 'by';

/** A step is charged once for a resource, however often its commit is sent. */
const costLane = plannedLane<CostRecord>({
  name: 'costs',
  order: 60,
  plan: (items) => ({
    statements: [
      {
        text: `insert into cost_entries (run_id, step_key, service, resource, quantity, unit, amount_micro_usd, at, tags)
       select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::bigint[], $8::timestamptz[], $9::json[])
       on conflict do nothing`,
        values: columns(items, (item) => [
          item.runId ?? '',
          item.stepKey ?? '',
          item.service,
          item.resource,
          item.quantity,
          item.unit,
          item.amountMicroUsd,
          item.at,
          item.tags === undefined ? null : JSON.stringify(item.tags),
        ]),
      },
    ],
  }),
});

const GROUPS: Record<CostGroup, string> = {
  service: 'c.service',
  resource: 'c.resource',
  workflow: "coalesce(f.name, 'none')",
  by: "coalesce(c.tags->>'by', 'none')",
  day: "to_char(c.at at time zone 'UTC', 'YYYY-MM-DD')",
};

// The flow of a run is in the set of versions that its lineage names.
const FLOW_OF_RUN = `left join lineage_runs l on l.run_id = c.run_id left join lineage_sets s on s.digest = l.pins
  left join lateral (select pin->>'name' as name from json_array_elements(s.pins) pin where pin->>'kind' = 'workflow' limit 1) f on true`;

/** The cost of things: entries for commits, and their sums. */
export class Costs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  entry(record: CostRecord): Write {
    return write(costLane, record);
  }

  async ofRun(runId: string): Promise<CostRecord[]> {
    return this.#db.query<CostRecord>(
      `select run_id as "runId", step_key as "stepKey", service, resource, quantity, unit, amount_micro_usd as "amountMicroUsd", at
       from cost_entries where run_id = $1 order by at, step_key`,
      [runId],
    );
  }

  /** Sums of many runs, for a list. */
  async sums(runIds: readonly string[]): Promise<Map<string, MicroUsd>> {
    const rows = await this.#db.query<{ run_id: string; sum: number }>(
      'select run_id, sum(amount_micro_usd)::bigint as sum from cost_entries where run_id = any($1) group by run_id',
      [runIds],
    );
    return new Map(rows.map((row) => [row.run_id, row.sum]));
  }

  /** Every charge of a period as CSV in the columns of FOCUS 1.2, piece by piece. */
  focus(period: FocusPeriod): AsyncGenerator<string> {
    return focusCsv(this.#db, period);
  }

  /** Sums per group over `[sinceMs, untilMs)`. */
  async groupBy(group: CostGroup, sinceMs: number | undefined, untilMs: number | undefined) {
    return this.#db.query<{ key: string; amountMicroUsd: number; count: number }>(
      `select ${GROUPS[group]} as key, sum(c.amount_micro_usd)::bigint as "amountMicroUsd", count(*) as count
       from cost_entries c ${group === 'workflow' ? FLOW_OF_RUN : ''}
       where ($1::timestamptz is null or c.at >= $1) and ($2::timestamptz is null or c.at < $2)
       group by 1 order by 2 desc, 1`,
      [sinceMs === undefined ? null : timestamp(sinceMs), untilMs === undefined ? null : timestamp(untilMs)],
    );
  }
}
