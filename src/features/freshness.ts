import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Queryable } from '../store/database.ts';
import { columns } from '../store/rows.ts';

const ageGauge = metrics.getMeter('aios.features').createObservableGauge('aios.features.age', {
  description: 'How old the newest event or row of a view is that this process has worked on',
  unit: 's',
});

interface Dependencies {
  db: Queryable;
  clock: Pick<Clock, 'now'>;
  limits: Pick<Limits, 'featureFreshnessMs'>;
  onError?: (error: unknown) => void;
}

/**
 * The newest time of each view: noted in memory with every batch, written down by a timer, so that the stream pays nothing for it. A process that is
 * killed loses what it noted in the last `featureFreshnessMs`.
 */
export class FeatureFreshness {
  readonly #deps: Dependencies;
  readonly #newest = new Map<string, number>();
  readonly #unwritten = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  readonly #observe = (result: ObservableResult) => {
    const now = this.#deps.clock.now();
    for (const [view, newestMs] of this.#newest) result.observe(Math.max(0, now - newestMs) / 1000, { view });
  };

  constructor(dependencies: Dependencies) {
    this.#deps = dependencies;
  }

  /** Notes a time of the view: one that has not come yet as now, since it would be the newest for good and the view never old. */
  note(view: string, timeMs: number): void {
    const newestMs = Math.min(timeMs, this.#deps.clock.now());
    if (newestMs <= (this.#newest.get(view) ?? Number.NEGATIVE_INFINITY)) return;
    this.#newest.set(view, newestMs);
    this.#unwritten.add(view);
  }

  begin(): void {
    ageGauge.addCallback(this.#observe);
    this.#timer = setInterval(
      () => void this.flush().catch((error: unknown) => this.#deps.onError?.(error)),
      this.#deps.limits.featureFreshnessMs,
    );
  }

  async stop(): Promise<void> {
    ageGauge.removeCallback(this.#observe);
    clearInterval(this.#timer);
    await this.flush().catch((error: unknown) => this.#deps.onError?.(error));
  }

  /** Writes what is newer than what any process wrote. */
  async flush(): Promise<void> {
    if (this.#unwritten.size === 0) return;
    const views = [...this.#unwritten].sort();
    this.#unwritten.clear();
    try {
      await this.#deps.db.query(
        `insert into feature_freshness as t (view, newest_ms) select * from unnest($1::text[], $2::bigint[])
         on conflict (view) do update set newest_ms = greatest(t.newest_ms, excluded.newest_ms)`,
        columns(views, (view) => [view, this.#newest.get(view)]),
      );
    } catch (error) {
      for (const view of views) this.#unwritten.add(view);
      throw error;
    }
  }

  /** The newest time of each view over all processes. */
  async newest(): Promise<Map<string, number>> {
    const rows = await this.#deps.db.query<{ view: string; newestMs: number }>(
      'select view, newest_ms as "newestMs" from feature_freshness',
    );
    const newest = new Map(rows.map(({ view, newestMs }) => [view, newestMs]));
    for (const [view, newestMs] of this.#newest) newest.set(view, Math.max(newestMs, newest.get(view) ?? 0));
    return newest;
  }
}
