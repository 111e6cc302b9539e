import { joinRows, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import { type BatchAnswer, ModelRefused, type Replica, RunFailed, type Runtime } from './runtime.ts';

/** A model written in TypeScript. */
export interface FunctionModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** All rows of a batch at once; outputs in the order of `outputs`. */
  run(inputs: readonly Tensor[]): readonly Tensor[] | Promise<readonly Tensor[]>;
}

/**
 * Runs functions of this process as models: for rules that are called like a model, and for tests. A function that never yields
 * cannot be interrupted.
 *
 * @example createFunctionRuntime({ double: { inputs, outputs, run: ([x]) => [twice(x)] } })
 */
export function createFunctionRuntime(functions: Readonly<Record<string, FunctionModel>>): Runtime {
  return {
    async start({ name }) {
      const model = functions[name];
      if (!model) throw new ModelRefused(`there is no function “${name}”`);
      return new FunctionReplica(model);
    },
  };
}

class FunctionReplica implements Replica {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #run: FunctionModel['run'];
  readonly #ended = Promise.withResolvers<never>();

  constructor({ inputs, outputs, run }: FunctionModel) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.#run = run;
    this.#ended.promise.catch(() => {}); // an end that nobody waits for is no fault
  }

  async run(requests: readonly (readonly Tensor[])[]): Promise<BatchAnswer> {
    const started = performance.now();
    const work = (async () => this.#run(joinRows(requests)))().catch((error: unknown) => {
      throw new RunFailed(error instanceof Error ? error.message : String(error));
    });
    const outputs = await Promise.race([this.#ended.promise, work]);
    return { outputs, computeUs: (performance.now() - started) * 1000 };
  }

  kill(): void {
    this.#ended.reject(new Error('the replica was ended'));
  }

  onEnd(listener: (reason: Error) => void): void {
    this.#ended.promise.catch(listener);
  }
}
