import { AiosError } from '../../kernel/errors.ts';
import { measureBestBatch } from '../hosting/batch-size.ts';
import type { ServingOptions } from '../hosting/serving-options.ts';
import { warmUp } from '../hosting/warm-up.ts';
import { type Replica, RunFailed, type Runtime } from '../runtimes/runtime.ts';
import { elementOf, joinRows, type Tensor } from '../tensors/tensor.ts';
import { type Agreement, agreementOf } from './agreement.ts';
import type { EvaluationRow } from './evaluation-rows.ts';

const ROUNDS = 15; // odd: a median is one of the measurements
const ROUND_MS = 10; // of one model in one round: small models run many times in it
const BUDGET_MS = 4_000; // of all rounds of one batch size
const TOLERANCE_SHARE = 0.02; // of the spread of an output's single number: two numbers closer than that are the same answer

/** A pair of measurements of the two. */
interface Pair<T = number> {
  readonly parent: T;
  readonly child: T;
}

/** How fast both answer batches of some rows. */
interface BatchSpeed {
  readonly batchRows: number;
  /** Median time of a batch, in milliseconds, the way to the replica and back included. */
  readonly p50Ms: Pair;
  readonly rowsPerSecond: Pair;
}

/** Two versions on the same rows, in replicas of their own. */
export interface SideBySide {
  readonly rows: number;
  /** Share of rows with the same class or label, or, for a single number, within 2 % of the spread of the parent's answers. */
  readonly agreement: number;
  /** By output, of its numbers; `spread` is the parent's greatest less its least. */
  readonly outputs: Readonly<
    Record<string, { meanDifference: number; maxDifference: number; spread: number }>
  >;
  /** One row, then the batch that is best for the parent. */
  readonly speed: readonly BatchSpeed[];
  readonly residentBytes: Pair;
  /** Whether rows of several requests may run together. */
  readonly batchable: Pair<boolean>;
  readonly answers: Pair<readonly Tensor[]>;
}

export interface SideBySideOptions {
  readonly parent: Uint8Array;
  readonly child: Uint8Array;
  /** One row each; the child must not see others. */
  readonly rows: readonly EvaluationRow[];
  /** As the model's definition says. */
  readonly batchMax: number;
  readonly threads?: number | undefined;
  readonly timeoutMs: number;
  readonly warmUp?: ServingOptions['warmUp'];
  /** All of it: past this both are ended. */
  readonly withinMs: number;
}

/**
 * Runs two models on the same rows and compares their answers and their speed. The runs take turns, so that what else the machine does falls on both.
 *
 * @throws AiosError `models.quantization_data` when the parent refuses the rows, `models.not_quantizable` when the child does, or one does not end in time
 * @example (await sideBySide(runtime, { parent, child, rows, batchMax: 64, timeoutMs: 5_000, withinMs: 120_000 })).agreement // 0.998
 */
export async function sideBySide(runtime: Runtime, options: SideBySideOptions): Promise<SideBySide> {
  const { parent, child, threads, withinMs } = options;
  const replicas: Replica[] = [];
  const end = () => {
    for (const replica of replicas) replica.kill();
  };
  const timer = setTimeout(end, withinMs);
  try {
    for (const [name, bytes] of Object.entries({ parent, child }))
      replicas.push(await runtime.start({ name, digest: name, threads, load: async () => bytes }));
    return await compared(replicas as [Replica, Replica], options);
  } catch (error) {
    if (error instanceof AiosError) throw error;
    const reason = (error as Error).message;
    const detail =
      error instanceof RunFailed
        ? `It was run beside its parent on the same rows and failed: ${reason}`
        : `It could not be compared with its parent within ${withinMs} ms: ${reason}`;
    throw new AiosError('models.not_quantizable', { detail, cause: error });
  } finally {
    clearTimeout(timer);
    end();
  }
}

async function compared(
  [parent, child]: readonly [Replica, Replica],
  { rows, batchMax, timeoutMs, warmUp: given }: SideBySideOptions,
): Promise<SideBySide> {
  const isBatchable = async (replica: Replica) => (await warmUp(replica, given?.inputs)).batchable;
  const batchable = { parent: await isBatchable(parent), child: await isBatchable(child) };
  const best = batchable.parent ? await measureBestBatch(parent, rows[0]!, batchMax, timeoutMs / 2) : 1;
  const answers = {
    parent: await answersOf(parent, rows, best).catch((error: unknown) => {
      if (!(error instanceof RunFailed)) throw error;
      throw new AiosError('models.quantization_data', {
        detail: `The model refuses the rows that it is to be compared on: ${error.message}`,
      });
    }),
    child: await answersOf(child, rows, batchable.child ? best : 1),
  };
  const speed: BatchSpeed[] = [];
  for (const batchRows of best > 1 ? [1, best] : [1])
    speed.push(await speedOf(parent, child, rows, batchRows, batchable.child ? batchRows : 1));
  const residentBytes = { parent: parent.residentBytes?.() ?? 0, child: child.residentBytes?.() ?? 0 };
  return { ...agreementIn(answers, rows.length), speed, residentBytes, batchable, answers };
}

/** All answers as one: the outputs hold the rows in their order. */
async function answersOf(
  replica: Replica,
  rows: readonly EvaluationRow[],
  batchRows: number,
): Promise<Tensor[]> {
  const answers: (readonly Tensor[])[] = [];
  for (let from = 0; from < rows.length; from += batchRows)
    answers.push((await replica.run(rows.slice(from, from + batchRows))).outputs.map(kept));
  return joinRows(answers);
}

/** What a replica answers with is a view of what came over its channel, and a number without rows is a row. */
function kept(tensor: Tensor): Tensor {
  return tensor.shape.length > 0 ? tensor : { ...tensor, shape: [1] };
}

function agreementIn({ parent, child }: Pair<readonly Tensor[]>, rows: number) {
  const spreads = parent.map(spreadOf);
  const isNumber = (tensor: Tensor) => tensor.data.length === rows;
  const tolerances = spreads.filter((_, i) => isNumber(parent[i]!)).map((spread) => TOLERANCE_SHARE * spread);
  const { agreed, rows: compared } = agreementOf(parent, child, Math.min(...tolerances, Number.MAX_VALUE));
  const outputs = parent.map((tensor, i) => {
    const { differences, differenceSum, differenceMax }: Agreement = agreementOf([tensor], [child[i]!], 0);
    const figures = {
      meanDifference: differenceSum / (differences || 1),
      maxDifference: differenceMax,
      spread: spreads[i]!,
    };
    return [tensor.name, figures] as const;
  });
  return { rows, agreement: agreed / (compared || 1), outputs: Object.fromEntries(outputs) };
}

function spreadOf(tensor: Tensor): number {
  if (tensor.datatype === 'BYTES') return 0;
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < tensor.data.length; i++) {
    const value = Number(elementOf(tensor, i));
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return greatest > least ? greatest - least : 0;
}

async function speedOf(
  parent: Replica,
  child: Replica,
  rows: readonly EvaluationRow[],
  batchRows: number,
  childRows: number,
): Promise<BatchSpeed> {
  const times: { parent: number[]; child: number[] } = { parent: [], child: [] };
  const startedAtMs = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 2 && performance.now() - startedAtMs > BUDGET_MS) break;
    times.parent.push(await timeOf(parent, rows, batchRows, batchRows));
    times.child.push(await timeOf(child, rows, batchRows, childRows));
  }
  const p50Ms = { parent: median(times.parent), child: median(times.child) };
  const perSecond = (ms: number) => Math.round((batchRows / ms) * 1_000);
  return {
    batchRows,
    p50Ms,
    rowsPerSecond: { parent: perSecond(p50Ms.parent), child: perSecond(p50Ms.child) },
  };
}

/** Median time of as many rows, in milliseconds; in parts where they must not run together. */
async function timeOf(
  replica: Replica,
  rows: readonly EvaluationRow[],
  batchRows: number,
  partRows: number,
): Promise<number> {
  const times: number[] = [];
  const startedAtMs = performance.now();
  for (let from = 0; times.length < 2 || performance.now() - startedAtMs < ROUND_MS; from += batchRows) {
    const batch = Array.from({ length: batchRows }, (_, i) => rows[(from + i) % rows.length]!);
    const runAtMs = performance.now();
    for (let part = 0; part < batchRows; part += partRows)
      await replica.run(batch.slice(part, part + partRows));
    times.push(performance.now() - runAtMs);
  }
  return median(times);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
