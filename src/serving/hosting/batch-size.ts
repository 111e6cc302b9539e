import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import type { Tensor } from '../tensors/tensor.ts';

const BUDGET_MS_MIN = 200; // of one measurement in all
const BUDGET_MS_MAX = 5_000;
const BUDGET_RUNS = 12; // of a model that is so slow that the least budget says nothing
const RUNS_MAX = 15; // of one size
const QUICK_MS = 20; // the first run of a size allocates its memory: it is left out where that could matter
const NEAR_BEST = 0.95; // a smaller batch that is nearly as good answers sooner
const GAIN_MIN = 1.05; // below this, batching is not worth its waiting

/**
 * Finds the number of rows with the most rows per second: powers of two up to `rowsMax`, each with its fastest of some runs (the fastest
 * is what the model can do; slower ones are the machine's other work). A tree ensemble peaked at 32 rows and fell at 64.
 *
 * @param runMsMax no batch is tried that would run longer if each row took the same time
 * @returns rows; 1 when batching gains nothing
 */
export async function measureBestBatch(
  replica: Pick<Replica, 'run'>,
  row: readonly Tensor[],
  rowsMax: number,
  runMsMax: number,
): Promise<number> {
  const sizes: { rows: number; perSecond: number }[] = [];
  const startedAtMs = performance.now();
  let endsAtMs = startedAtMs + BUDGET_MS_MIN;
  for (let rows = 1; rows <= rowsMax; rows *= 2) {
    // Each size may use an even part of the time, so that the small ones do not use up that of the large ones.
    const nowMs = performance.now();
    const untilMs = nowMs + (endsAtMs - nowMs) / (1 + Math.log2(rowsMax / rows));
    const leastMs = await fastest(replica, new Array<readonly Tensor[]>(rows).fill(row), untilMs);
    if (leastMs === undefined) break;
    sizes.push({ rows, perSecond: (rows * 1000) / leastMs });
    if (rows === 1) endsAtMs = startedAtMs + budgetMs(leastMs);
    const spent = performance.now() + leastMs > endsAtMs && sizes.length > 1; // one size alone says nothing
    if (spent || 2 * leastMs > runMsMax) break;
  }
  const best = Math.max(...sizes.map(({ perSecond }) => perSecond));
  if (sizes.length < 2 || best < GAIN_MIN * sizes[0]!.perSecond) return 1;
  return sizes.find(({ perSecond }) => perSecond >= NEAR_BEST * best)!.rows;
}

function budgetMs(runMs: number): number {
  return Math.min(Math.max(BUDGET_MS_MIN, BUDGET_RUNS * runMs), BUDGET_MS_MAX);
}

/** The least time of some runs, in milliseconds; nothing when the model refuses this many rows. */
async function fastest(
  replica: Pick<Replica, 'run'>,
  requests: readonly (readonly Tensor[])[],
  untilMs: number,
): Promise<number | undefined> {
  let least: number | undefined;
  try {
    for (let runs = 0; runs < RUNS_MAX; runs++) {
      const startedAtMs = performance.now();
      await replica.run(requests);
      const nowMs = performance.now();
      const tookMs = Math.max(nowMs - startedAtMs, 1e-4);
      if (runs > 0 || tookMs > QUICK_MS) least = Math.min(least ?? tookMs, tookMs);
      if (least !== undefined && nowMs > untilMs) break;
    }
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error;
  }
  return least;
}
