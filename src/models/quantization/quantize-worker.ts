import { parentPort, workerData } from 'node:worker_threads';
import { toAiosError } from '../../kernel/errors.ts';
import { type QuantizeOptions, quantizeModel } from './quantize.ts';

const { bytes, options } = workerData as { bytes: Uint8Array; options: QuantizeOptions };
try {
  const done = quantizeModel(bytes, options);
  parentPort!.postMessage({ done }, [done.onnx.buffer as ArrayBuffer]); // handed over, not copied
} catch (error) {
  const { code, message } = toAiosError(error);
  parentPort!.postMessage({ refused: { code, message } });
}
