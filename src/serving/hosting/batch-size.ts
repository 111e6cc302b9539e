import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import type { Tensor } from '../tensors/tensor.ts';

const BUDGET_MS = 200; // of one measurement in all
const RUNS_MAX = 15; // of one size
const NEAR_BEST = 0.95; // a smaller batch that is nearly as good answers sooner
const GAIN_MIN = 1.05; // below this, batching is not worth its waiting

/**
 * Finds the number of rows with the most rows per second: powers of two up to `rowsMax`, each with its fastest of some runs (the fastest
 * is what the model can do; slower ones are the machine's other work). A tree ensemble peaked at 32 rows and fell at 64.
 *
 * @returns rows; 1 when batching gains nothing
 */
export async function measureBestBatch(
  replica: Pick<Replica, 'run'>,
  row: readonly Tensor[],
  rowsMax: number,
): Promise<number> {
  const sizes: { rows: number; perSecond: number }[] = [];
  const endsAtMs = performance.now() + BUDGET_MS;
  for (let rows = 1; rows <= rowsMax; rows *= 2) {
    const last = sizes.at(-1);
    const expectedMs = last ? (2 * last.rows * 1000) / last.perSecond : 0;
    if (performance.now() + 2 * expectedMs > endsAtMs) break;
    const leastMs = await fastest(replica, new Array<readonly Tensor[]>(rows).fill(row), endsAtMs, rowsMax);
    if (leastMs === undefined) break;
    sizes.push({ rows, perSecond: (rows * 1000) / leastMs });
  }
  const best = Math.max(...sizes.map(({ perSecond }) => perSecond));
  if (sizes.length < 2 || best < GAIN_MIN * sizes[0]!.perSecond) return 1;
  return sizes.find(({ perSecond }) => perSecond >= NEAR_BEST * best)!.rows;
}

/** The least time of some runs, in milliseconds; nothing when the model refuses this many rows. */
async function fastest(
  replica: Pick<Replica, 'run'>,
  requests: readonly (readonly Tensor[])[],
  endsAtMs: number,
  rowsMax: number,
): Promise<number | undefined> {
  // Each size may use an even part of the time, so that the small ones do not use up that of the large ones.
  const untilMs =
    performance.now() + (endsAtMs - performance.now()) / (1 + Math.log2(rowsMax / requests.length));
  let least: number | undefined;
  try {
    await replica.run(requests); // the first of a size allocates its memory
    for (let runs = 0; runs < RUNS_MAX; runs++) {
      const startedAtMs = performance.now();
      await replica.run(requests);
      const nowMs = performance.now();
      least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.max(nowMs - startedAtMs, 1e-4));
      if (nowMs > untilMs) break;
    }
  } catch (error) {
    if (!(error instanceof RunFailed)) throw error;
  }
  return least;
}
