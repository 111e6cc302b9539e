import type { Case } from './case.ts';
import { check, NotSupported } from './check.ts';
import { checkError } from './rest-server.ts';
import { outputsOf, type Target } from './target.ts';
import { countOf, type Tensor } from './tensors.ts';

const TOLERANCE = 1e-4; // of one row alone and the same row in a batch: kernels round differently

export function close(a: Tensor, b: Tensor): boolean {
  if (a.name !== b.name || a.datatype !== b.datatype || a.data.length !== b.data.length) return false;
  return a.data.every((value, i) => {
    const other = b.data[i];
    if (typeof value !== 'number' || typeof other !== 'number') return value === other;
    return Math.abs(value - other) <= TOLERANCE * Math.max(1, Math.abs(value), Math.abs(other));
  });
}

/** A tensor's data in lists within lists. */
function nested({ data, shape }: Tensor): unknown {
  let level: unknown[] = [...data];
  for (const size of shape.slice(1).reverse())
    level = Array.from({ length: level.length / size }, (_, i) => level.slice(i * size, (i + 1) * size));
  return level;
}

const infer = (id: string, title: string, run: Case['run']): Case => ({
  id: `rest.infer.${id}`,
  section: 'Inference',
  title,
  run,
});

async function checkRows(target: Target, rows: number): Promise<void> {
  const [first] = outputsOf(await target.infer(await target.inputs(1)));
  check(first !== undefined, 'there is no output');
  const response = await target.infer(await target.inputs(rows));
  for (const output of outputsOf(response))
    check(
      output.shape[0] === rows,
      `${output.name} has the shape ${JSON.stringify(output.shape)} for ${rows} rows`,
    );
}

/** Requests that differ, sent at once: each answer must be that of the request alone. */
async function checkOwnRows(target: Target): Promise<void> {
  const requests = await Promise.all(Array.from({ length: 24 }, (_, i) => target.inputs(1, i)));
  const alone: Tensor[][] = [];
  for (const inputs of requests) alone.push(outputsOf(await target.infer(inputs)));
  const together = await Promise.all(requests.map((inputs) => target.infer(inputs)));
  for (const [i, response] of together.entries()) {
    const outputs = outputsOf(response);
    check(
      outputs.every((output, at) => close(output, alone[i]![at]!)),
      `request ${i} got other rows than alone`,
    );
  }
}

export const INFER_CASES: readonly Case[] = [
  infer(
    'flat-data',
    'reads flat data',
    async (target) => void outputsOf(await target.infer(await target.inputs())),
  ),
  infer('nested-data', 'reads nested data as flat data', async (target) => {
    const inputs = await target.inputs();
    const flat = outputsOf(await target.infer(inputs));
    const lists = inputs.map((input) => ({ ...input, data: nested(input) as Tensor['data'] }));
    const outputs = outputsOf(await target.infer(lists));
    check(
      outputs.every((output, i) => close(output, flat[i]!)),
      'nested data give another answer',
    );
  }),
  infer('model-name', 'names the model in its answer', async (target) => {
    const { json } = await target.infer(await target.inputs());
    check(json?.model_name === target.options.model, `model_name is ${json?.model_name}`);
  }),
  infer('model-version', 'names the version in its answer as a text', async (target) => {
    await target.version();
    const { json } = await target.infer(await target.inputs());
    check(typeof json?.model_version === 'string', `model_version is ${json?.model_version}`);
  }),
  infer('id', 'returns the id of the request', async (target) => {
    const { json } = await target.infer(await target.inputs(), { request: { id: 'an id of ours' } });
    check(json?.id === 'an id of ours', `id is ${json?.id}`);
  }),
  infer('version-path', 'answers at the address of a version', async (target) => {
    const path = `${target.modelPath}/versions/${await target.version()}/infer`;
    outputsOf(await target.infer(await target.inputs(), { path }));
  }),
  infer('all-outputs', 'answers with all outputs when none is asked for', async (target) => {
    const { outputs } = await target.metadata();
    const names = outputsOf(await target.infer(await target.inputs())).map(({ name }) => name);
    check(
      outputs.every(({ name }) => names.includes(name)),
      `there are ${names.join(', ')}`,
    );
  }),
  infer('one-output', 'answers with the output that is asked for and no other', async (target) => {
    const name = (await target.metadata()).outputs.at(-1)!.name;
    const outputs = outputsOf(
      await target.infer(await target.inputs(), { request: { outputs: [{ name }] } }),
    );
    check(
      outputs.length === 1 && outputs[0]!.name === name,
      `there are ${outputs.map((each) => each.name).join(', ')}`,
    );
  }),
  infer('output-datatypes', 'gives outputs the datatypes of the metadata', async (target) => {
    const { outputs } = await target.metadata();
    for (const { name, datatype } of outputsOf(await target.infer(await target.inputs())))
      check(outputs.find((each) => each.name === name)?.datatype === datatype, `${name} is ${datatype}`);
  }),
  infer('output-shapes', 'gives outputs as many elements as their shape holds', async (target) => {
    for (const { name, shape, data } of outputsOf(await target.infer(await target.inputs())))
      check(
        countOf(shape) === data.length,
        `${name} of ${JSON.stringify(shape)} has ${data.length} elements`,
      );
  }),
  infer('batch', 'answers each row of a batch', (target) => checkRows(target, 3)),
  infer('large-batch', 'answers each row of a batch of 500, or says that it is too large', async (target) => {
    const { status } = await target.infer(await target.inputs(500));
    if (status >= 400 && status < 500) throw new NotSupported('500 rows are refused');
    await checkRows(target, 500);
  }),
  infer('own-rows', 'gives each of many callers at once the answer of its own request', checkOwnRows),
  infer('parameters', 'takes parameters that it does not know', async (target) => {
    const request = {
      parameters: { 'conformance-text': 'a', 'conformance-number': 1, 'conformance-flag': true },
    };
    outputsOf(await target.infer(await target.inputs(), { request }));
  }),
];

type Spoil = (inputs: Tensor[]) => { body?: unknown; path?: string; inputs?: unknown[]; outputs?: unknown };

const FAULTS: readonly [id: string, title: string, spoil: Spoil][] = [
  ['unknown-model', 'an unknown model', () => ({ path: '/v2/models/no-such-model-anywhere/infer' })],
  ['no-json', 'a body that is not JSON', () => ({ body: '{"inputs": [' })],
  [
    'nan',
    'NaN among the data',
    ([first]) => ({ body: JSON.stringify({ inputs: [{ ...first, data: ['?'] }] }).replace('"?"', 'NaN') }),
  ],
  ['no-inputs', 'a body without inputs', () => ({ body: '{}' })],
  ['missing-input', 'an input that is missing', ([, ...rest]) => ({ inputs: rest })],
  [
    'unknown-input',
    'an input that the model does not have',
    (inputs) => ({ inputs: [...inputs, { ...inputs[0], name: 'no-such-input' }] }),
  ],
  [
    'unknown-output',
    'an output that the model does not have',
    () => ({ outputs: [{ name: 'no-such-output' }] }),
  ],
  [
    'unknown-datatype',
    'a datatype that is none',
    ([first, ...rest]) => ({ inputs: [{ ...first, datatype: 'FP7' }, ...rest] }),
  ],
  [
    'wrong-rank',
    'a shape of another rank',
    ([first, ...rest]) => ({ inputs: [{ ...first, shape: [...first!.shape, 1, 1, 1] }, ...rest] }),
  ],
  [
    'negative-shape',
    'a negative size',
    ([first, ...rest]) => ({ inputs: [{ ...first, shape: first!.shape.map(() => -1) }, ...rest] }),
  ],
  [
    'too-little-data',
    'fewer elements than the shape holds',
    ([first, ...rest]) => ({ inputs: [{ ...first, data: first!.data.slice(1) }, ...rest] }),
  ],
  [
    'too-much-data',
    'more elements than the shape holds',
    ([first, ...rest]) => ({ inputs: [{ ...first, data: [...first!.data, first!.data[0]] }, ...rest] }),
  ],
  [
    'wrong-element',
    'an object among the data',
    ([first, ...rest]) => ({ inputs: [{ ...first, data: first!.data.map(() => ({})) }, ...rest] }),
  ],
  [
    'no-data',
    'an input without data',
    ([first, ...rest]) => ({ inputs: [{ ...first, data: undefined }, ...rest] }),
  ],
];

export const INFER_ERROR_CASES: readonly Case[] = FAULTS.map(([id, title, spoil]) => ({
  id: `rest.infer-error.${id}`,
  section: 'Inference errors',
  title: `answers ${title} with an error, and goes on`,
  async run(target) {
    const inputs = await target.inputs();
    const { body, path = `${target.modelPath}/infer`, inputs: spoiled = inputs, outputs } = spoil(inputs);
    const text = typeof body === 'string' ? body : JSON.stringify({ inputs: spoiled, outputs });
    checkError(await target.call('POST', path, text, { 'content-type': 'application/json' }));
    outputsOf(await target.infer(inputs));
  },
}));
