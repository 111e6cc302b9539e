import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { isObject } from '../../kernel/json.ts';
import { tensorsOf, valuesOf } from '../protocol/tensor-values.ts';
import { joinRows, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import { checkInputs, shapeText } from '../tensors/tensor-check.ts';
import {
  type Asking,
  type BatchAnswer,
  type ComposedAnswer,
  type ConcurrentReplica,
  ModelRefused,
  RunFailed,
  type Runtime,
  type Underway,
} from './runtime.ts';

/** What this runtime needs of flows. */
export interface FlowPort {
  /**
   * The flow that an endpoint names, compiled, its models there to be asked.
   *
   * @param name of the model that the flow is to be
   * @throws AiosError for a flow that cannot be one
   */
  open(name: string, endpoint: JsonObject): Promise<OpenFlow>;
}

/** A flow that answers in memory. */
export interface OpenFlow {
  /** The models that it names resolve. */
  readonly isReady: boolean;
  /** What it asks for that is not fixed to a version. */
  readonly changesBy: string | undefined;
  begin(input: JsonObject, call: Asking, deadlineAtMs: number): FlowUnderway;
}

interface FlowUnderway {
  readonly result: Promise<Omit<ComposedAnswer, 'outputs'> & { readonly output: Json }>;
  abandon(): void;
}

/** JSON Schema of an endpoint. */
export const WORKFLOW_ENDPOINT: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['flow'],
  properties: {
    flow: { type: 'string', minLength: 1, description: 'a workflow that is applied' },
    version: { type: 'integer', minimum: 1, description: 'the newest when left out; it stays that one' },
    digest: { type: 'string', description: 'of that version, as it is registered' },
  },
};

/**
 * Ensembles and pipelines of models: a workflow, run in memory for each request. Its input is an object of the input tensors by name, nested lists
 * with all rows of the request; its output has the output tensors by name. Which they are its signature declares.
 */
export function createWorkflowRuntime(flows: FlowPort): Runtime {
  return {
    remote: true,
    concurrent: true,
    async start({ name, endpoint, signature }) {
      const { inputs = [], outputs = [] } = signature ?? {};
      if (inputs.length === 0 || outputs.length === 0)
        throw new ModelRefused('a workflow has no tensors: declare inputs and outputs in the signature');
      return new FlowReplica(inputs, outputs, await flows.open(name, endpoint as JsonObject));
    },
  };
}

class FlowReplica implements ConcurrentReplica {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #flow: OpenFlow;
  /** Every output has a row for each row of the inputs. */
  readonly #isByRow: boolean;
  readonly #ended = Promise.withResolvers<never>();
  #isEnded = false;

  constructor(inputs: readonly TensorSpec[], outputs: readonly TensorSpec[], flow: OpenFlow) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.#flow = flow;
    this.#isByRow = inputs.every(({ shape }) => shape[0] === -1);
    this.#ended.promise.catch(() => {}); // an end that nobody waits for is no fault
  }

  get isReady(): boolean {
    return this.#flow.isReady;
  }

  get changesBy(): string | undefined {
    return this.#flow.changesBy;
  }

  /** For the warm-up: as one request, on nobody's behalf. */
  async run(requests: readonly (readonly Tensor[])[]): Promise<BatchAnswer> {
    if (this.#isEnded) return this.#ended.promise;
    const inputs = refused(() =>
      checkInputs(this.inputs, joinRows(requests), Number.POSITIVE_INFINITY),
    ).tensors;
    const underway = this.begin(inputs, {}, Number.POSITIVE_INFINITY);
    const answer = underway.answer.catch((error: Error) => {
      throw new RunFailed(error.message);
    });
    return Promise.race([this.#ended.promise, answer]).finally(() => underway.abandon());
  }

  begin(inputs: readonly Tensor[], call: Asking, deadlineAtMs: number): Underway {
    const { result, abandon } = this.#flow.begin(valuesOf(inputs), call, deadlineAtMs);
    return { answer: this.#answer(inputs, result), abandon };
  }

  kill(): void {
    this.#isEnded = true;
    this.#ended.reject(new Error('the flow was ended'));
  }

  onEnd(listener: (reason: Error) => void): void {
    this.#ended.promise.catch(listener);
  }

  async #answer(inputs: readonly Tensor[], result: FlowUnderway['result']): Promise<ComposedAnswer> {
    const { output, ...rest } = await result;
    return { ...rest, outputs: this.#outputsOf(output, inputs[0]?.shape[0]) };
  }

  #outputsOf(output: Json, rows: number | undefined): Tensor[] {
    if (!isObject(output)) throw failed('its output is not an object of tensors');
    let tensors: Tensor[];
    try {
      tensors = tensorsOf(this.outputs, output);
    } catch (error) {
      throw failed(`its output: ${(error as Error).message}`);
    }
    for (const [i, { name, shape }] of tensors.entries()) {
      if (!this.#isByRow || this.outputs[i]!.shape[0] !== -1 || shape[0] === rows) continue;
      throw failed(`its output “${name}” has the shape ${shapeText(shape)} for ${rows} rows of input`);
    }
    return tensors;
  }
}

function failed(message: string): AiosError {
  return new AiosError('serving.model_failed', { detail: message });
}

function refused<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw new RunFailed((error as Error).message);
  }
}
