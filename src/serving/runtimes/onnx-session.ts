import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import type { Placement } from './runtime.ts';

/** How a replica's process runs its model; its one argument, as JSON. */
export interface SessionOptions {
  readonly threads: number;
  readonly placement: Placement;
}

/**
 * Opens a model where it is to run. On a GPU, operators that CUDA has no kernel for run on the processor, as in every ONNX Runtime.
 *
 * @throws Error naming what is missing when the model must run on a GPU and cannot
 */
export async function openSession(
  bytes: Uint8Array,
  { threads, placement }: SessionOptions,
): Promise<{ session: InferenceSession; device: 'cpu' | 'gpu' }> {
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    // Idle threads of the pool would turn in circles for the next run, on cores that other models need.
    ...(threads > 1 && { extra: { session: { intra_op: { allow_spinning: '0' } } } }),
  };
  if (placement !== 'cpu') {
    try {
      const session = await InferenceSession.create(bytes, { ...options, executionProviders: ['cuda'] });
      return { session, device: 'gpu' };
    } catch (error) {
      const message = (error as Error).message;
      if (!message.includes('Cuda') && !message.includes('CUDA')) throw error; // the model is at fault
      if (placement === 'gpu')
        throw new Error(`it is to run on a GPU (placement: gpu), and ${missing(message)}`);
    }
  }
  return { session: await InferenceSession.create(bytes, options), device: 'cpu' };
}

function missing(message: string): string {
  const package_ = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const folder = join(package_, 'bin', 'napi-v6', process.platform, process.arch);
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `ONNX Runtime has its CUDA provider for Linux on x64 only, not for ${process.platform} on ${process.arch}`;
  if (!existsSync(join(folder, 'libonnxruntime_providers_cuda.so')))
    return 'ONNX Runtime’s CUDA provider is not installed (ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node)';
  if (!existsSync('/dev/nvidia0')) return 'this machine shows no NVIDIA GPU (/dev/nvidia0)';
  return `CUDA 12 or cuDNN 9 cannot be loaded (LD_LIBRARY_PATH): ${message}`;
}
