import type { Replica, Runtime, RuntimeModel } from '../runtimes/runtime.ts';
import { sliceRows, type Tensor } from '../tensors/tensor.ts';
import { measureBestBatch } from './batch-size.ts';
import type { Capacity, Measured, Unloadable } from './capacity.ts';
import type { ServingOptions } from './serving-options.ts';
import { warmUp } from './warm-up.ts';

const RUN_MS_MIN = 1_000; // the first run of a model is slower than those that its timeout is made for

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
      const watched = withDeadline(replica, Math.max(options.timeoutMs, RUN_MS_MIN));
      const { batchable, inputs } = await warmUp(watched, options.warmUp?.inputs);
      isBatchable = batchable;
      const explicit = explicitBatch(options) ?? (runtime.remote ? options.batchMax : undefined);
      if (batchable) batchRows = explicit ?? (await bestBatch(watched, inputs, measured, options));
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
function withDeadline(replica: Replica, runMs: number): Pick<Replica, 'inputs' | 'run'> {
  return {
    inputs: replica.inputs,
    async run(requests) {
      const timer = setTimeout(() => replica.kill(), runMs);
      return replica.run(requests).finally(() => clearTimeout(timer));
    },
  };
}

async function bestBatch(
  replica: Pick<Replica, 'run'>,
  inputs: readonly Tensor[],
  measured: Measured,
  { batchMax, timeoutMs }: ServingOptions,
): Promise<number> {
  if (measured.bestBatch === undefined) {
    try {
      const row = inputs.map((tensor) => sliceRows(tensor, 0, 1));
      measured.bestBatch = await measureBestBatch(replica, row, batchMax, timeoutMs / 2);
    } catch (error) {
      measured.bestBatch = 1; // it hung or died on a batch: the next replica gets none
      throw error;
    }
  }
  return Math.min(measured.bestBatch, batchMax);
}

function explicitBatch({ batch, batchMax }: ServingOptions): number | undefined {
  if (batch?.off) return 1;
  return batch?.max === undefined ? undefined : Math.min(batch.max, batchMax);
}
