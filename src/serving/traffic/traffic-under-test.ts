import { AiosError } from '../../kernel/errors.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { ServingOptions } from '../hosting/serving-options.ts';
import { createFunctionRuntime, type FunctionModel } from '../runtimes/function-runtime.ts';
import type { Replica, Runtime } from '../runtimes/runtime.ts';
import type { Signature } from '../tensors/signature.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { ServedModel } from './calls.ts';
import { createServing, type Serving, type ServingDependencies } from './serving.ts';
import type { TrafficOptions } from './traffic-options.ts';

const OPTIONS: ServingOptions = {
  replicas: 1,
  batchMax: 8,
  timeoutMs: 1_000,
  queueMax: 1_000,
  costPerInferenceMicroUsd: 5,
  costPerComputeSecondMicroUsd: 0,
};

/** Two features, one result: what a version makes of them tells which version it was. */
export const SIGNATURE: Signature = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'sum', datatype: 'FP32', shape: [-1, 1] }],
  features: ['a', 'b'],
  results: { total: { output: 'sum', column: 0 } },
};

/** Rows of two features. */
export const rows = (...values: [number, number][]): Tensor[] => [
  { name: 'features', datatype: 'FP32', shape: [values.length, 2], data: Float32Array.from(values.flat()) },
];

/** a + b + 100 × the version, row by row. */
export function sums([features]: readonly Tensor[], version = 1): Tensor[] {
  const count = features!.shape[0]!;
  const data = features!.data as Float32Array;
  const values = Float32Array.from(
    { length: count },
    (_, i) => Number(data[2 * i]) + Number(data[2 * i + 1]) + 100 * version,
  );
  return [{ name: 'sum', datatype: 'FP32', shape: [count, 1], data: values }];
}

interface Version {
  run?: FunctionModel['run'];
  options?: Partial<ServingOptions> & TrafficOptions;
  signature?: Signature;
}

/** Serving over versions that are functions; `versions['risk/2']` is version 2 of `risk`, the first of a model its champion. */
export function servingUnderTest(
  versions: Record<string, Version>,
  given: Partial<ServingDependencies> = {},
): {
  serving: Serving;
  /** How often each version ran. Zeros and ones are its warm-up's, and not counted. */
  runs: Record<string, number>;
  replicas: Map<string, Replica[]>;
  serve(label: string, version: Version): void;
} {
  const models = new Map<string, ServedModel>();
  const functions = new Map<string, FunctionModel['run']>();
  const runs: Record<string, number> = {};
  const replicas = new Map<string, Replica[]>();
  const serve = (label: string, { run, options, signature = SIGNATURE }: Version) => {
    const [name = '', text] = label.split('/');
    const version = Number(text);
    functions.set(label, run ?? ((tensors) => sums(tensors, version)));
    const serving = { ...OPTIONS, ...options };
    models.set(label, { name, version, digest: label, signature, serving, runtime: 'function' });
  };
  for (const [label, version] of Object.entries(versions)) serve(label, version);
  const runtime: Runtime = {
    async start(model) {
      const label = model.digest;
      const run: FunctionModel['run'] = (tensors) => {
        if ((tensors[0]!.data as Float32Array).every((value) => value === 0 || value === 1))
          return sums(tensors);
        runs[label] = (runs[label] ?? 0) + 1;
        return functions.get(label)!(tensors);
      };
      const { inputs, outputs } = SIGNATURE;
      const replica = await createFunctionRuntime({ [model.name]: { inputs, outputs, run } }).start(model);
      replicas.set(label, [...(replicas.get(label) ?? []), replica]);
      return replica;
    },
  };
  const serving = createServing({
    models: {
      resolve(name, reference) {
        const isNumber = reference !== undefined && Number.isInteger(Number(reference));
        const champion = [...models.keys()].find((label) => label.startsWith(`${name}/`));
        const model = models.get(isNumber ? `${name}/${reference}` : (champion ?? ''));
        if (!model) throw new AiosError('models.unknown_version', { detail: `There is no ${name}.` });
        return model;
      },
      artifact: async () => new Uint8Array(),
    },
    runtimes: { function: runtime },
    limits: limitsFrom(),
    ...given,
  });
  return { serving, runs, replicas, serve };
}
