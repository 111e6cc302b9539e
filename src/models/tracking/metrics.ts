import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';
import { tracked } from './tracking-lane.ts';

export interface NewMetric {
  readonly key: string;
  /** May be no number (NaN) or infinite, as losses are. */
  readonly value: number;
  /** Milliseconds since the epoch, as the client says. */
  readonly atMs: number;
  readonly step: number;
  /** The logged model that it is of. */
  readonly modelId?: string | undefined;
  readonly datasetName?: string | undefined;
  readonly datasetDigest?: string | undefined;
}

export interface LatestMetric {
  readonly key: string;
  readonly value: number;
  readonly atMs: number;
  readonly step: number;
}

export interface Metric extends LatestMetric {
  readonly modelId: string;
}

/**
 * The statements that add values of metrics to a run. The same values again change nothing.
 *
 * @example await commit.commit(writeMetrics(runId, [{ key: 'loss', value: 0.4, atMs: Date.now(), step: 3 }]))
 */
export function writeMetrics(runId: string, metrics: readonly NewMetric[]): Write[] {
  const latest = new Map<string, NewMetric>();
  for (const metric of metrics) {
    const before = latest.get(metric.key);
    if (!before || isLater(metric, before)) latest.set(metric.key, metric);
  }
  return [
    tracked(
      `insert into training_metrics (run_id, key, at_ms, step, value, model_id, dataset_name, dataset_digest)
       select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::float8[], $6::text[], $7::text[], $8::text[])
       on conflict do nothing`,
      [
        runId,
        ...columns(metrics, ({ key, atMs, step, value, modelId, datasetName, datasetDigest }) => [
          key,
          atMs,
          step,
          value,
          modelId ?? '',
          datasetName ?? '',
          datasetDigest ?? '',
        ]),
      ],
    ),
    tracked(
      `insert into training_latest_metrics as l (run_id, key, at_ms, step, value)
       select $1, * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::float8[])
       on conflict (run_id, key) do update set at_ms = excluded.at_ms, step = excluded.step, value = excluded.value
       where (excluded.step, excluded.at_ms, excluded.value) > (l.step, l.at_ms, l.value)`,
      [runId, ...columns([...latest.values()], ({ key, atMs, step, value }) => [key, atMs, step, value])],
    ),
  ];
}

/** By the order that MLflow has: step, time, value; NaN is above all numbers, as in Postgres. */
function isLater(a: NewMetric, b: NewMetric): boolean {
  if (a.step !== b.step) return a.step > b.step;
  if (a.atMs !== b.atMs) return a.atMs > b.atMs;
  return Number.isNaN(a.value) || a.value > b.value;
}

/** The last value of each metric of some runs, by run. */
export async function latestOf(
  db: Queryable,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, LatestMetric[]>> {
  if (runIds.length === 0) return new Map();
  const rows = await db.query<LatestMetric & { runId: string }>(
    `select run_id as "runId", key, value, at_ms as "atMs", step from training_latest_metrics
     where run_id = any($1::text[]) order by key`,
    [runIds],
  );
  return Map.groupBy(rows, ({ runId }) => runId);
}
