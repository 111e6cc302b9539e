// Runs jq programs for a thread that waits for them (jq-evaluator.ts): the message, then the answer, then the wake-up.
import { workerData } from 'node:worker_threads';
import { loadJq } from 'jq-wasm';
import type { JqChannel, JqRequest } from './jq-evaluator.ts';

const { port, flag } = workerData as JqChannel;
const wake = (): void => {
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
};
const jq = await loadJq();
port.on('message', ({ program, input }: JqRequest) => {
  try {
    port.postMessage(jq.raw(input, program, ['-c']));
  } catch (error) {
    // The interpreter's memory is in an unknown state: this thread is not used again.
    port.postMessage({ broken: error instanceof Error ? error.message : String(error) });
  }
  wake();
});
wake();
