import { afterEach } from 'vitest';
import { createEnsembles, inferPort } from '../src/app/stations/ensembles.ts';
import { canonicalize, digestOf } from '../src/kernel/canonical.ts';
import { AiosError } from '../src/kernel/errors.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { type Limits, limitsFrom } from '../src/kernel/limits.ts';
import { createFunctionRuntime, type FunctionModel } from '../src/serving/runtimes/function-runtime.ts';
import { createOnnxRuntime } from '../src/serving/runtimes/onnx-runtime.ts';
import type { Runtime } from '../src/serving/runtimes/runtime.ts';
import type { Signature } from '../src/serving/tensors/signature.ts';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import {
  createServing,
  type ServedModel,
  type Serving,
  type ServingDependencies,
} from '../src/serving/traffic/serving.ts';
import { decidePrimitive } from '../src/workflow/catalog/decide.ts';
import { featuresPrimitive } from '../src/workflow/catalog/features.ts';
import { inferPrimitive } from '../src/workflow/catalog/infer.ts';
import { languageModelPrimitives } from '../src/workflow/catalog/language-models.ts';
import { catalogOf, type Primitive } from '../src/workflow/catalog/primitive.ts';

/** `x` FP32 [-1, 2] → `y` FP32 [-1, 1]. */
export const SIGNATURE: Signature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  features: ['a', 'b'],
  results: { y: { output: 'y', column: 0 } },
};

/** What a model makes of one row. */
type ByRow = (row: readonly [number, number]) => number;

/** A flow's steps, with the rest of its definition. */
export const flow = (steps: JsonObject[], more: JsonObject = {}): JsonObject => ({
  document: { dsl: '1.0.0', namespace: 'test', name: 'flow', version: '1.0.0' },
  evaluate: { language: 'cel' },
  do: steps,
  ...more,
});
/** `call: infer` of a model on the whole `x` that the flow was given. */
export const infer = (model: string, more: JsonObject = {}): JsonObject => ({
  call: 'infer:1@default',
  with: { model, inputs: { x: '${ input.x }' }, ...more },
  output: { as: 'output.outputs' },
});
export const rows = (...values: number[][]): Tensor[] => [
  { name: 'x', datatype: 'FP32', shape: [values.length, 2], data: Float32Array.from(values.flat()) },
];
export const elements = (outputs: readonly Tensor[]) => Array.from(outputs[0]!.data as Float32Array);

export interface Served {
  /** One of these: a function of a row, of all tensors, the name of a flow, a file. */
  readonly row?: ByRow;
  readonly run?: FunctionModel['run'];
  readonly flow?: string;
  readonly onnx?: Uint8Array;
  readonly serving?: Partial<ServedModel['serving']>;
  readonly signature?: Signature;
}

const OPTIONS: ServedModel['serving'] = {
  replicas: 1,
  batchMax: 8,
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};

/** A primitive that acts outside, one that waits, and one of a program that is pure. */
const OTHERS: Primitive[] = [
  {
    name: 'pay',
    version: 1,
    kind: 'effect',
    inputSchema: { type: 'object' },
    run: () => ({ output: null }),
  },
  {
    name: 'ask',
    version: 1,
    kind: 'wait',
    inputSchema: { type: 'object' },
    open: () => ({ state: null }),
    complete: () => ({ output: null }),
    cancel: () => [],
  },
  {
    name: 'twice',
    version: 1,
    kind: 'pure',
    inputSchema: { type: 'object' },
    run: ({ value }) => ({ output: Number(value) * 2 }),
  },
];

/** Definitions of flows: every one that is put is a version. */
class FlowsUnderTest {
  readonly #bodies: Map<string, JsonObject[]>;

  constructor(flows: Record<string, JsonObject>) {
    this.#bodies = new Map(Object.entries(flows).map(([name, body]) => [name, [body]]));
  }

  put(name: string, body: JsonObject): void {
    this.#bodies.get(name)!.push(body);
  }

  latest(_: string, name: string) {
    return this.#find(name, this.#bodies.get(name)?.length ?? 0);
  }

  async version(_: string, name: string, version: number) {
    return this.#find(name, version);
  }

  #find(name: string, version: number) {
    const body = this.#bodies.get(name)?.[version - 1];
    if (!body) return undefined;
    const kept = { kind: 'workflow', name, version, body, digest: digestOf(body) };
    return { ...kept, source: '', createdAt: 0, createdBy: 'key_1' };
  }
}

/** Versions and aliases, what is run of them, and the runtimes that do. */
class RegistryUnderTest {
  readonly versions = new Map<string, ServedModel>();
  readonly aliases = new Map<string, number>();
  readonly functions = new Map<string, FunctionModel>();
  readonly files = new Map<string, Uint8Array>();
  readonly runtimes: Record<string, Runtime> = {
    onnx: createOnnxRuntime({ startMs: 30_000 }),
    function: {
      start: (model) =>
        createFunctionRuntime({ [model.name]: this.functions.get(model.digest)! }).start(model),
    },
  };

  resolve(name: string, reference: string | number = 'champion') {
    const number = this.aliases.get(`${name}/${reference}`) ?? Number(reference);
    const found = this.versions.get(`${name}/${number}`);
    if (found) return found;
    throw new AiosError('models.unknown_version', { detail: `${name} has no version “${reference}”.` });
  }

  async artifact(label: string) {
    return this.files.get(label) ?? new Uint8Array();
  }

  serve(
    label: string,
    { row, run, onnx, serving, signature = SIGNATURE }: Served,
    endpoint: JsonObject | undefined,
  ): void {
    const [name = '', version] = label.split('/');
    if (onnx) this.files.set(label, onnx);
    this.functions.set(label, { ...signature, run: run ?? byRow(row ?? (() => 0)) });
    this.versions.set(label, {
      name,
      version: Number(version),
      digest: endpoint ? canonicalize(endpoint) : label,
      signature,
      serving: { ...OPTIONS, ...serving },
      runtime: endpoint ? 'workflow' : onnx ? 'onnx' : 'function',
      endpoint,
    });
    if (!this.aliases.has(`${name}/champion`)) this.aliases.set(`${name}/champion`, Number(version));
  }
}

const decisions = {
  evaluate: (_: string, { y }: JsonObject) => ({
    output: Number(y) > 10 ? 'high' : 'low',
    rule: 'r',
    reason: '',
    version: 4,
    digest: 'd',
  }),
};
const features = {
  online: async () => ({
    names: ['a', 'b'],
    rows: [[7, 8]],
    pins: [{ kind: 'feature-service' as const, name: 'risk-features', version: '3' }],
  }),
};

/** Other stations, and all primitives over them; costs of durable steps and calls of language models are kept to be looked at. */
function stationsUnderTest(registry: RegistryUnderTest, serving: Serving) {
  const costs: object[] = [];
  const asked: object[] = [];
  const languageModels = {
    complete: async (call: object) => {
      asked.push(call);
      const body = { choices: [{ message: { content: '0.25' }, finish_reason: 'stop' }] };
      return { body, model: 'assistant', version: 1, digest: 'd' };
    },
    embed: () => Promise.reject(new Error('not asked')),
  };
  const write = () => ({ lane: { name: 'none', order: 1, write: async () => undefined }, item: null });
  const catalog = catalogOf([
    inferPrimitive(inferPort(registry as never, serving), (entry) => {
      costs.push(entry);
      return write() as never;
    }),
    decidePrimitive(decisions, () => write() as never),
    featuresPrimitive(features),
    ...languageModelPrimitives(languageModels as never),
    ...OTHERS,
  ]);
  return { costs, asked, catalog, languageModels };
}

/**
 * Serving over functions and flows. `models['risk/2']` is version 2 of `risk`; the first of a model is its champion until `promote` says otherwise.
 */
export function ensemblesUnderTest(
  models: Record<string, Served>,
  flows: Record<string, JsonObject>,
  { limits: changed = '', ...given }: Partial<Omit<ServingDependencies, 'limits'>> & { limits?: string } = {},
) {
  const limits: Limits = limitsFrom(changed);
  const registry = new RegistryUnderTest();
  const definitions = new FlowsUnderTest(flows);
  const ground = { clock: { now: () => 1_000 } as never, limits, functions: OTHERS.slice(2) };
  const ensembles = createEnsembles(ground, definitions, {});
  const runtimes = { ...registry.runtimes, workflow: ensembles.runtime };
  const serving: Serving = createServing({ models: registry, runtimes, limits, ...given });
  const { languageModels, ...stations } = stationsUnderTest(registry, serving);
  ensembles.connect({
    catalog: stations.catalog,
    models: registry as never,
    serving,
    features,
    decisions,
    languageModels: languageModels as never,
  });
  const serve = (label: string, model: Served) => {
    const settled = model.flow && ensembles.kinds.workflow.settle!({ flow: model.flow });
    registry.serve(label, model, settled || undefined);
  };
  for (const [label, model] of Object.entries(models)) serve(label, model);
  const load = async () => new Uint8Array();
  return {
    ...stations,
    serving,
    ensembles,
    registry,
    serve,
    promote: (name: string, version: number) => void registry.aliases.set(`${name}/champion`, version),
    forget: (label: string) => void registry.versions.delete(label),
    applyFlow: (name: string, body: JsonObject) => definitions.put(name, body),
    /** Registers as the registry does: what it is run with first. */
    verify: (name: string, endpoint: JsonObject, signature: Signature | undefined = SIGNATURE) =>
      serving.verify('workflow', { name, digest: '', endpoint, signature, load }),
  };
}

const byRow =
  (of: ByRow): FunctionModel['run'] =>
  ([x]) => {
    const data = x!.data as Float32Array;
    const count = x!.shape[0]!;
    const values = Float32Array.from({ length: count }, (_, i) => of([data[2 * i]!, data[2 * i + 1]!]));
    return [{ name: 'y', datatype: 'FP32', shape: [count, 1], data: values }];
  };

/**
 * The same for the tests of a file: what they open is closed after each of them.
 *
 * @example const under = ensemblesOfTests(); it('…', () => { const { serving } = under({ 'risk/1': sum }, {}); })
 */
export function ensemblesOfTests(): typeof ensemblesUnderTest {
  const open: Serving[] = [];
  afterEach(() => {
    for (const serving of open.splice(0)) serving.close();
  });
  return (...given) => {
    const made = ensemblesUnderTest(...given);
    open.push(made.serving);
    return made;
  };
}
