import { AiosError } from '../../kernel/errors.ts';
import { type Replica, RunFailed, type Runtime, type RuntimeModel } from '../runtimes/runtime.ts';
import type { Tensor } from '../tensors/tensor.ts';
import { measureBestBatch } from './batch-size.ts';
import type { Capacity, Measured, Unloadable } from './capacity.ts';
import type { ServingOptions } from './serving-options.ts';
import { warmUp } from './warm-up.ts';

const WARM_UP_MS_MIN = 1_000;

/**
 * Starts one replica within the capacity of the process and makes it ready for traffic: its warm-up has passed, and the rows that its
 * batches grow to are known (and whether its rows may be batched at all), from the definition, from an earlier replica of the same digest, or by measurement.
 *
 * @throws what the runtime rejects with; AiosError `serving.memory_exceeded`, `serving.unavailable`
 */
export async function startReplica(
  host: Unloadable,
  runtime: Runtime,
  model: RuntimeModel,
  options: ServingOptions,
  capacity: Capacity,
): Promise<{ replica: Replica; batchRows: number; batchable: boolean }> {
  const { threads = 1 } = model;
  const measured = capacity.measured([model.digest, model.placement, threads, options.batchMax].join(' '));
  let batchRows = 1;
  let isBatchable = false;
  const start = async () => {
    const replica = await runtime.start(model);
    try {
      const { batchable, inputs } = await within(replica, options.timeoutMs, () =>
        warmUp(replica, options.warmUp?.inputs),
      );
      isBatchable = batchable;
      if (batchable)
        batchRows = runtime.remote
          ? (explicitBatch(options) ?? options.batchMax)
          : await bestBatch(replica, inputs, measured, options);
    } catch (error) {
      replica.kill();
      throw error;
    }
    return replica;
  };
  const replica = await capacity.hold(host, measured, threads, start);
  return { replica, batchRows, batchable: isBatchable };
}

/** A model that hangs on its warm-up is killed, as it would be under a request. */
async function within<T>(replica: Replica, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => replica.kill(), Math.max(timeoutMs, WARM_UP_MS_MIN));
  return work().finally(() => clearTimeout(timer));
}

async function bestBatch(
  replica: Replica,
  inputs: readonly Tensor[],
  measured: Measured,
  options: ServingOptions,
): Promise<number> {
  const explicit = explicitBatch(options);
  if (explicit !== undefined) return explicit;
  const { batchMax, timeoutMs } = options;
  if (measured.bestBatch === undefined) {
    const measure = within(replica, timeoutMs, () => measureBestBatch(replica, inputs, batchMax));
    measured.bestBatch = await measure.catch((error: unknown) => {
      if (!(error instanceof RunFailed)) measured.bestBatch = 1; // it hung or died on a batch: the next replica gets none
      throw error;
    });
  }
  return Math.min(measured.bestBatch, batchMax);
}

function explicitBatch({ batch, batchMax }: ServingOptions): number | undefined {
  if (batch?.off) return 1;
  return batch?.max === undefined ? undefined : Math.min(batch.max, batchMax);
}

/** Why a host cannot answer, in the code of the reason where it has one. */
export function unavailable(label: string, reason: Error): AiosError {
  const known = reason instanceof AiosError ? reason.code : 'serving.unavailable';
  return new AiosError(known, {
    detail: `${label}: ${reason.message}`,
    cause: reason,
    ...(reason instanceof AiosError && { extensions: reason.extensions }),
  });
}
