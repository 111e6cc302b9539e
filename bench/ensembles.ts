import type { Signature } from '../src/serving/tensors/signature.ts';
import type { Tensor } from '../src/serving/tensors/tensor.ts';
import { logisticModel } from '../src/testing/onnx.ts';
import { ensemblesUnderTest, flow, type Served } from '../test/ensembles-under-test.ts';
import type { BenchOptions, Figures } from './run.ts';
import { MODELS } from './serving-models.ts';

const FEATURES = 32;
const SHAPES = [
  { label: 'One', rows: 1, clients: 1 },
  { label: 'Rows', rows: 32, clients: 1 },
  { label: 'Busy', rows: 1, clients: 64 },
] as const;

const matrix = (name: string, columns: number) => ({ name, datatype: 'FP32' as const, shape: [-1, columns] });
const signature = (x: number, y: number): Signature => ({
  inputs: [matrix('x', x)],
  outputs: [matrix('y', y)],
});
const second: Served = {
  onnx: logisticModel([1, -2], 0.5),
  signature: { inputs: [matrix('features', 2)], outputs: [matrix('probabilities', 1)] },
};

/** The same two models, asked one after the other: by the flow, and by who calls. */
function served() {
  const { serving } = ensemblesUnderTest(
    {
      'first/1': { onnx: MODELS.small.build(), signature: signature(FEATURES, 2), serving: { batchMax: 64 } },
      'second/1': { ...second, serving: { batchMax: 64 } },
      'pipeline/1': { flow: 'pipeline', signature: signature(FEATURES, 1) },
    },
    {
      pipeline: flow([
        { first: { call: 'infer:1@default', with: { model: 'first', inputs: { x: '${ input.x }' } } } },
        {
          second: {
            call: 'infer:1@default',
            with: { model: 'second', inputs: { features: '${ input.outputs.y }' } },
            output: { as: '{"y": output.outputs.probabilities}' },
          },
        },
      ]),
    },
  );
  const sides = {
    calls: async (inputs: readonly Tensor[]) => {
      const { outputs } = await serving.infer({ model: 'first', inputs });
      await serving.infer({ model: 'second', inputs: [{ ...outputs[0]!, name: 'features' }] });
    },
    flow: async (inputs: readonly Tensor[]) => void (await serving.infer({ model: 'pipeline', inputs })),
  };
  return { serving, sides };
}

/** Requests a second and µs of this process a request, over `ms`. */
async function load(ask: () => Promise<void>, clients: number, ms: number) {
  const cpu = process.cpuUsage();
  const fromMs = performance.now();
  let requests = 0;
  const client = async () => {
    while (performance.now() - fromMs < ms) {
      await ask();
      requests++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const { user, system } = process.cpuUsage(cpu);
  return {
    us: ((performance.now() - fromMs) * 1000 * clients) / requests,
    cpuUs: (user + system) / requests,
  };
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

/**
 * A pipeline of two small models beside two calls of them, in one process without HTTP. `overhead…Us`: how much longer the pipeline takes;
 * `cpu…Us`: how much more of this process's time; `over…`: its time ÷ that of the two calls.
 */
export async function bench({ rounds, roundMs, progress }: BenchOptions): Promise<Figures> {
  const { serving, sides } = served();
  const figures: Figures = {};
  try {
    await serving.load('pipeline');
    for (const { label, rows, clients } of SHAPES) {
      const data = Float32Array.from({ length: rows * FEATURES }, (_, i) => (i % 17) / 17);
      const inputs: Tensor[] = [{ name: 'x', datatype: 'FP32', shape: [rows, FEATURES], data }];
      const took = { calls: [] as number[], flow: [] as number[] };
      const cpu = { calls: [] as number[], flow: [] as number[] };
      for (let round = 0; round <= rounds; round++)
        for (const side of ['calls', 'flow'] as const) {
          const { us, cpuUs } = await load(() => sides[side](inputs), clients, roundMs / 5);
          if (round === 0) continue; // compiled by the first
          took[side].push(us);
          cpu[side].push(cpuUs);
        }
      const [calls, through] = [median(took.calls), median(took.flow)];
      figures[`overhead${label}Us`] = through - calls;
      figures[`over${label}`] = through / calls;
      figures[`cpu${label}Us`] = median(cpu.flow) - median(cpu.calls);
      progress(`${label}: two calls ${calls.toFixed(1)} µs, the pipeline ${through.toFixed(1)} µs`);
    }
    return figures;
  } finally {
    serving.close();
  }
}
