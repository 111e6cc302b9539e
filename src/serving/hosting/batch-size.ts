import { type Replica, RunFailed } from '../runtimes/runtime.ts';
import type { Tensor } from '../tensors/tensor.ts';

const BUDGET_MS_MIN = 300; // of one measurement in all
const BUDGET_MS_MAX = 5_000;
const BUDGET_RUNS = 12; // of a model that is so slow that the least budget says nothing
const ROUNDS_MAX = 15;
const QUICK_MS = 20; // the first run of a size allocates its memory: it is left out where that could matter
const NEAR_BEST = 0.95; // a smaller batch that is nearly as good answers sooner
const GAIN_MIN = 1.05; // below this, batching is not worth its waiting

interface Size {
  readonly rows: number;
  readonly requests: readonly (readonly Tensor[])[];
  /** Of its fastest run. */
  leastMs: number;
}

/**
 * Finds the number of rows with the most rows per second: powers of two up to `rowsMax`, each with its fastest of some runs (the fastest
 * is what the model can do; slower ones are the machine's other work).
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
  const sizes: Size[] = [];
  const startedAtMs = performance.now();
  const spent = () => performance.now() - startedAtMs > budgetMs(sizes[0]?.leastMs ?? 0);
  for (let rows = 1; rows <= rowsMax; rows *= 2) {
    const requests = new Array<readonly Tensor[]>(rows).fill(row);
    const firstMs = await timed(replica, requests);
    if (firstMs === undefined) break;
    const leastMs = firstMs > QUICK_MS ? firstMs : ((await timed(replica, requests)) ?? firstMs);
    sizes.push({ rows, requests, leastMs });
    if (2 * leastMs > runMsMax || (spent() && sizes.length > 1)) break; // one size alone says nothing
  }
  // Round by round, so that what else the machine does falls on all sizes alike.
  for (let round = 1; round < ROUNDS_MAX && !spent(); round++)
    for (const size of sizes)
      if (!spent())
        size.leastMs = Math.min(size.leastMs, (await timed(replica, size.requests)) ?? size.leastMs);
  if (sizes.length === 0) return 1;
  const rates = sizes.map(({ rows, leastMs }) => rows / leastMs);
  const best = Math.max(...rates);
  if (best < GAIN_MIN * rates[0]!) return 1;
  return sizes[rates.findIndex((rate) => rate >= NEAR_BEST * best)]!.rows;
}

const LONG_US = 1_000; // ten times what a batch costs beside the model

/**
 * The rows that are sent to a replica ahead of its last answer: a full batch of a quick model, half of one where a batch runs long. There the replica would idle until the
 * last row of a full one is in: 12.3k instead of 16.0k requests a second of 64 clients to the 9.5 MB model.
 */
export function enoughRows(batchRows: number, computeUsPerRow: number): number {
  return computeUsPerRow * batchRows > LONG_US ? batchRows / 2 : batchRows;
}

function budgetMs(runMs: number): number {
  return Math.min(Math.max(BUDGET_MS_MIN, BUDGET_RUNS * runMs), BUDGET_MS_MAX);
}

/** How long one run takes, in milliseconds; nothing when the model refuses this many rows. */
async function timed(
  replica: Pick<Replica, 'run'>,
  requests: readonly (readonly Tensor[])[],
): Promise<number | undefined> {
  const startedAtMs = performance.now();
  try {
    await replica.run(requests);
  } catch (error) {
    if (error instanceof RunFailed) return undefined;
    throw error;
  }
  return Math.max(performance.now() - startedAtMs, 1e-4);
}
