import type { Issue } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { joinRows, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import { type BatchAnswer, ModelRefused, type Replica, RunFailed, type Runtime } from './runtime.ts';

/** A model written in TypeScript. */
export interface FunctionModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** All rows of a batch at once; outputs in the order of `outputs`. */
  run(inputs: readonly Tensor[]): readonly Tensor[] | Promise<readonly Tensor[]>;
}

/** Models written in TypeScript, by the names that definitions use. */
export type ModelFunctions = Readonly<Record<string, FunctionModel>>;

/**
 * What the runtime asks of a definition: `endpoint.function` names one of the program's functions.
 *
 * @example functionKind({ double }).check({ function: 'triple' }) // [{ path: '/function', message: 'the program brings no such function', … }]
 */
export function functionKind(functions: ModelFunctions): {
  readonly endpoint: JsonObject;
  readonly check: (endpoint: JsonObject) => readonly Issue[];
} {
  return {
    endpoint: {
      type: 'object',
      additionalProperties: false,
      required: ['function'],
      properties: { function: { type: 'string', minLength: 1 } },
    },
    check: ({ function: name }) => {
      if (Object.hasOwn(functions, String(name))) return [];
      const known = Object.keys(functions).join(', ');
      return [
        {
          path: '/function',
          message: 'the program brings no such function',
          found: String(name),
          expected: known || 'a function that the program which starts AIOS hands in as modelFunctions',
        },
      ];
    },
  };
}

/**
 * Runs functions of this process as models: for rules that are called like a model. Its endpoint names the function; without one it is that of the
 * model's name. A function that never yields cannot be interrupted.
 *
 * @example createFunctionRuntime({ double: { inputs, outputs, run: ([x]) => [twice(x)] } })
 */
export function createFunctionRuntime(functions: ModelFunctions): Runtime {
  return {
    async start({ name: modelName, endpoint }) {
      const name = String(endpoint?.function ?? modelName);
      if (!Object.hasOwn(functions, name)) throw new ModelRefused(`there is no function “${name}”`);
      return new FunctionReplica(functions[name]!);
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
