import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { QuantizeOptions, QuantizeReport } from './quantize.ts';

type Answer =
  | { done: { onnx: Uint8Array; report: QuantizeReport } }
  | { refused: { code: ErrorCode; message: string } };

/**
 * `quantizeModel` in a thread of its own: 100 MB of weights take half a second and more, in which the front would answer nobody.
 *
 * @throws AiosError as `quantizeModel` does
 * @example (await quantizeInWorker(onnx, options)).report
 */
export async function quantizeInWorker(
  bytes: Uint8Array,
  options: QuantizeOptions,
): Promise<{ onnx: Uint8Array; report: QuantizeReport }> {
  const worker = new Worker(new URL('./quantize-worker.ts', import.meta.url), {
    workerData: { bytes, options },
  });
  const answer = await new Promise<Answer>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread that quantizes ended with code ${code}`)));
  });
  if ('done' in answer) return answer.done;
  throw new AiosError(answer.refused.code, { detail: answer.refused.message });
}
