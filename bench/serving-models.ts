import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '../examples/returns/simulator.ts';
import { type OnnxGraph, type OnnxNode, onnxModel } from '../src/testing/onnx.ts';

/** The models of the bench, made from a seed: `small` and `large` are perceptrons, `trees` an ensemble, `cnn` a small convolution. */
export const MODELS = {
  small: { features: 32, outputs: 2, build: () => perceptron([32, 64, 64, 2]) },
  trees: { features: 32, outputs: 1, build: () => trees(300, 6, 32) },
  /** 2,364,288 weights: 9.5 MB, more than a core's own cache. */
  large: { features: 128, outputs: 16, build: () => perceptron([128, 1024, 1024, 1136, 16]) },
  cnn: { features: 256, outputs: 10, build: () => convolution() },
} as const;

/** Columns of `identity`, which gives back what it takes: 1,000 numbers of 4 bytes a row. */
export const IDENTITY_COLUMNS = 1000;

export type ModelName = keyof typeof MODELS;

/** He's initialization: activations keep their size from layer to layer, so that answers tell rows apart. */
function weights(count: number, fanIn: number, next: () => number): Float32Array {
  const bound = Math.sqrt(6 / fanIn);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * bound);
}

const matrix = (name: string, columns: number) => ({
  name,
  datatype: 'FP32' as const,
  shape: ['rows', columns],
});

function perceptron(sizes: readonly number[]): Uint8Array {
  const next = seededRandom(7);
  const nodes: OnnxNode[] = [];
  const constants: NonNullable<OnnxGraph['constants']> = {};
  const last = sizes.length - 2;
  let from = 'x';
  for (let layer = 0; layer <= last; layer++) {
    const [rows, columns] = [sizes[layer]!, sizes[layer + 1]!];
    Object.assign(constants, {
      [`w${layer}`]: { shape: [rows, columns], data: weights(rows * columns, rows, next) },
      [`b${layer}`]: { shape: [columns], data: weights(columns, 600, next) },
    });
    const to = layer === last ? 'y' : `h${layer}`;
    const sum = layer === last ? to : `s${layer}`;
    nodes.push({ op: 'Gemm', inputs: [from, `w${layer}`, `b${layer}`], outputs: [sum] });
    if (layer !== last) nodes.push({ op: 'Relu', inputs: [sum], outputs: [to] });
    from = to;
  }
  return onnxModel({
    nodes,
    inputs: [matrix('x', sizes[0]!)],
    outputs: [matrix('y', sizes.at(-1)!)],
    constants,
  });
}

/** Full binary trees, node i with children 2i + 1 and 2i + 2, as gradient boosting makes them. */
function trees(count: number, depth: number, features: number): Uint8Array {
  const next = seededRandom(11);
  const inner = 2 ** depth - 1;
  const size = 2 * inner + 1;
  const ids = (of: (tree: number, at: number) => number, from = 0, to = size) =>
    BigInt64Array.from({ length: count * (to - from) }, (_, i) =>
      BigInt(of(Math.floor(i / (to - from)), from + (i % (to - from)))),
    );
  const child = (side: number) => ids((_, at) => (at < inner ? 2 * at + side : 0));
  const attributes = {
    n_targets: 1,
    nodes_treeids: ids((tree) => tree),
    nodes_nodeids: ids((_, at) => at),
    nodes_featureids: ids((_, at) => (at < inner ? Math.floor(next() * features) : 0)),
    nodes_modes: Array.from({ length: count * size }, (_, i) => (i % size < inner ? 'BRANCH_LEQ' : 'LEAF')),
    nodes_values: Float32Array.from({ length: count * size }, () => 2 * next() - 1),
    nodes_truenodeids: child(1),
    nodes_falsenodeids: child(2),
    target_treeids: ids((tree) => tree, inner),
    target_nodeids: ids((_, at) => at, inner),
    target_ids: ids(() => 0, inner),
    target_weights: Float32Array.from({ length: count * (inner + 1) }, () => 2 * next() - 1),
  };
  return onnxModel({
    nodes: [{ op: 'TreeEnsembleRegressor', domain: 'ai.onnx.ml', inputs: ['x'], outputs: ['y'], attributes }],
    inputs: [matrix('x', features)],
    outputs: [matrix('y', 1)],
  });
}

/** 16 × 16 pixels, two convolutions of 3 × 3 with halving strides, ten classes. */
function convolution(): Uint8Array {
  const next = seededRandom(13);
  const kernel = (from: number, to: number) => ({
    shape: [to, from, 3, 3],
    data: weights(to * from * 9, from * 9, next),
  });
  const attributes = { pads: BigInt64Array.of(1n, 1n, 1n, 1n), strides: BigInt64Array.of(2n, 2n) };
  return onnxModel({
    nodes: [
      { op: 'Reshape', inputs: ['x', 'image'], outputs: ['i'] },
      { op: 'Conv', inputs: ['i', 'k0'], outputs: ['c0'], attributes },
      { op: 'Relu', inputs: ['c0'], outputs: ['r0'] },
      { op: 'Conv', inputs: ['r0', 'k1'], outputs: ['c1'], attributes },
      { op: 'Relu', inputs: ['c1'], outputs: ['r1'] },
      { op: 'Reshape', inputs: ['r1', 'flat'], outputs: ['f'] },
      { op: 'MatMul', inputs: ['f', 'w'], outputs: ['y'] },
    ],
    inputs: [matrix('x', 256)],
    outputs: [matrix('y', 10)],
    constants: {
      image: { shape: [4], data: BigInt64Array.of(-1n, 1n, 16n, 16n) },
      k0: kernel(1, 8),
      k1: kernel(8, 16),
      flat: { shape: [2], data: BigInt64Array.of(-1n, 256n) },
      w: { shape: [256, 10], data: weights(2560, 256, next) },
    },
  });
}

/** Row `index` of a model's requests, rounded to four places as features are. */
export function rowOf(model: ModelName, index: number): number[] {
  const next = seededRandom(index + 1);
  return Array.from({ length: MODELS[model].features }, () => Math.round(next() * 20_000 - 10_000) / 10_000);
}

/** The rows as the body of the Open Inference Protocol. */
export function inferBody(model: ModelName, rows: readonly (readonly number[])[]): string {
  const shape = [rows.length, MODELS[model].features];
  return JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape, data: rows.flat() }] });
}

/** One in a hundred requests is kept, with its audit entry. */
const LOG = 'log: { sample: 0.01 }';

/** How the project of the bench serves them: as the product would by itself, some with batches of one; `twice` has two replicas, `backed` a fallback. */
const SERVED: Record<string, { model: ModelName; serving: string }> = {
  small: { model: 'small', serving: `{ ${LOG} }` },
  trees: { model: 'trees', serving: `{ ${LOG} }` },
  large: { model: 'large', serving: `{ ${LOG} }` },
  cnn: { model: 'cnn', serving: `{ ${LOG} }` },
  'small-alone': { model: 'small', serving: `{ ${LOG}, batchMax: 1 }` },
  'large-alone': { model: 'large', serving: `{ ${LOG}, batchMax: 1 }` },
  twice: { model: 'small', serving: '{ replicas: 2 }' },
  backed: { model: 'small', serving: '{ fallback: [{ model: twice }] }' },
};

/** Writes the ONNX files and the project that serves them; answers with the file of each model. */
export async function writeProject(folder: string): Promise<Record<ModelName, string>> {
  const files = {} as Record<ModelName, string>;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'aios.yaml'), 'name: bench\n');
  for (const [name, { model, serving }] of Object.entries(SERVED)) {
    const at = join(folder, 'models', name);
    files[model] ??= join(at, 'model.onnx');
    await writeModel(at, name, MODELS[model].build(), serving);
  }
  const identity = onnxModel({
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [matrix('x', IDENTITY_COLUMNS)],
    outputs: [matrix('y', IDENTITY_COLUMNS)],
  });
  await writeModel(join(folder, 'models', 'identity'), 'identity', identity, '{ replicas: 1 }');
  return files;
}

async function writeModel(folder: string, name: string, bytes: Uint8Array, serving: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), bytes);
  await writeFile(
    join(folder, 'model.yaml'),
    `name: ${name}\nfile: model.onnx\nalias: champion\nserving: ${serving}\n`,
  );
}
