import type { Case } from './case.ts';
import { check, NotSupported } from './check.ts';
import { close } from './rest-infer.ts';
import { checkError } from './rest-server.ts';
import { type InferOptions, outputsOf, type Response, type Target } from './target.ts';
import { DATATYPES, samplesOf, toBytes } from './tensors.ts';

const EXTENSION = 'binary_tensor_data';
const HEADER_LENGTH = 'inference-header-content-length';

const binary = (id: string, title: string, run: Case['run']): Case => ({
  id: `rest.binary.${id}`,
  section: 'Binary tensor data extension',
  title,
  extension: EXTENSION,
  run,
});

/** How the outputs of an answer came: `json` or `binary`, by name. */
function formsOf({ headers, bytes, json }: Response): Record<string, 'json' | 'binary'> {
  const length = headers.get(HEADER_LENGTH);
  const head = length === null ? json : JSON.parse(Buffer.from(bytes.subarray(0, Number(length))).toString());
  const outputs = head.outputs as { name: string; data?: unknown }[];
  return Object.fromEntries(outputs.map(({ name, data }) => [name, data === undefined ? 'binary' : 'json']));
}

/** The answer must be that of the same request in JSON. */
async function checkSame(target: Target, options: InferOptions): Promise<Response> {
  const inputs = await target.inputs();
  const plain = outputsOf(await target.infer(inputs));
  const response = await target.infer(inputs, options);
  const outputs = outputsOf(response);
  check(
    outputs.every((output) => plain.some((other) => close(output, other))),
    'the answer is not that of the same request in JSON',
  );
  return response;
}

async function checkForms(
  target: Target,
  request: Record<string, unknown>,
  form: 'json' | 'binary',
): Promise<void> {
  const forms = Object.values(formsOf(await checkSame(target, { request })));
  check(forms.length > 0 && forms.every((each) => each === form), `outputs came as ${forms.join(', ')}`);
}

const namesOf = async (target: Target) => (await target.metadata()).outputs.map(({ name }) => name);

/** A body with its header length, to be spoilt. */
async function bodyOf(target: Target, sizeOff = 0): Promise<{ json: Buffer; parts: Uint8Array[] }> {
  const inputs = await target.inputs();
  const parts = inputs.map(toBytes);
  const written = inputs.map(({ data: _, ...described }, i) => ({
    ...described,
    parameters: { binary_data_size: parts[i]!.length + (i === inputs.length - 1 ? sizeOff : 0) },
  }));
  return { json: Buffer.from(JSON.stringify({ inputs: written })), parts };
}

const send = (target: Target, bytes: Uint8Array, headerLength: number | string) =>
  target.call('POST', `${target.modelPath}/infer`, bytes, {
    'content-type': 'application/octet-stream',
    [HEADER_LENGTH]: String(headerLength),
  });

const FAULTS: readonly [id: string, title: string, send: (target: Target) => Promise<Response>][] = [
  [
    'header-too-long',
    'a header length past the end of the body',
    async (target) => {
      const { json, parts } = await bodyOf(target);
      return send(target, Buffer.concat([json, ...parts]), 10 * json.length + 1_000_000);
    },
  ],
  [
    'header-too-short',
    'a header length that cuts the JSON',
    async (target) => {
      const { json, parts } = await bodyOf(target);
      return send(target, Buffer.concat([json, ...parts]), json.length - 5);
    },
  ],
  [
    'header-no-number',
    'a header length that is not a number',
    async (target) => {
      const { json, parts } = await bodyOf(target);
      return send(target, Buffer.concat([json, ...parts]), 'many');
    },
  ],
  [
    'truncated',
    'a part that is cut',
    async (target) => {
      const { json, parts } = await bodyOf(target);
      const whole = Buffer.concat([json, ...parts]);
      return send(target, whole.subarray(0, whole.length - 1), json.length);
    },
  ],
  [
    'size-lies',
    'a size that is not that of the shape',
    async (target) => {
      const { json, parts } = await bodyOf(target, 1);
      return send(target, Buffer.concat([json, ...parts, Buffer.from([0])]), json.length);
    },
  ],
  [
    'size-huge',
    'a size past any memory',
    async (target) => {
      const { json, parts } = await bodyOf(target, 2 ** 50);
      return send(target, Buffer.concat([json, ...parts]), json.length);
    },
  ],
];

export const BINARY_CASES: readonly Case[] = [
  binary(
    'inputs',
    'reads inputs in binary',
    async (target) => void (await checkSame(target, { binaryInputs: true })),
  ),
  binary('default', 'answers in JSON unless asked otherwise', (target) => checkForms(target, {}, 'json')),
  binary('all-outputs', 'answers in binary for binary_data_output', (target) =>
    checkForms(target, { parameters: { binary_data_output: true } }, 'binary'),
  ),
  binary('output', 'answers an output in binary for binary_data', async (target) => {
    const outputs = (await namesOf(target)).map((name) => ({ name, parameters: { binary_data: true } }));
    await checkForms(target, { outputs }, 'binary');
  }),
  binary('override', 'lets binary_data override binary_data_output', async (target) => {
    const outputs = (await namesOf(target)).map((name) => ({ name, parameters: { binary_data: false } }));
    await checkForms(target, { parameters: { binary_data_output: true }, outputs }, 'json');
  }),
  binary('mixed', 'mixes inputs in JSON and in binary', async (target) => {
    const { inputs } = await target.metadata();
    if (inputs.length < 2) throw new NotSupported('the model has one input');
    await checkSame(target, {
      binaryInputs: [inputs[1]!.name],
      request: { parameters: { binary_data_output: true } },
    });
  }),
  binary('raw', 'reads a body without a header for a model of one input', async (target) => {
    const inputs = await target.inputs();
    if (inputs.length > 1) throw new NotSupported('the model has several inputs');
    if (inputs[0]!.datatype === 'BYTES') throw new NotSupported('a body of BYTES is one element');
    const response = await send(target, toBytes(inputs[0]!), 0);
    if (response.status >= 400 && response.status < 500) throw new NotSupported('the body is refused');
    const plain = outputsOf(await target.infer(inputs));
    check(
      outputsOf(response).every((output, i) => close(output, plain[i]!)),
      'the answer is another than in JSON',
    );
  }),
  ...FAULTS.map(([id, title, spoilt]) =>
    binary(`error-${id}`, `answers ${title} with an error, and goes on`, async (target) => {
      checkError(await spoilt(target));
      outputsOf(await target.infer(await target.inputs(), { binaryInputs: true }));
    }),
  ),
];

/** What a model answers that gives back what it gets. */
async function checkIdentity(target: Target, datatype: string, isBinary: boolean): Promise<void> {
  const { identityModels } = target.options;
  if (!identityModels) throw new NotSupported('no identity models are named (--identity-models)');
  const model = identityModels.replace('{datatype}', datatype.toLowerCase());
  const path = `/v2/models/${model}`;
  const { status, json } = await target.get(path);
  if (status !== 200) throw new NotSupported(`there is no model ${model}`);
  const { name, shape: free } = json.inputs[0];
  const width = free.slice(1).reduce((product: number, size: number) => product * Math.abs(size), 1);
  const samples = samplesOf(datatype);
  const data = Array.from({ length: 4 * width }, (_, i) => samples[i % samples.length]!);
  const shape = free.map((size: number, axis: number) => (axis === 0 ? 4 : Math.abs(size)));
  const response = await target.infer([{ name, datatype, shape, data }], {
    path: `${path}/infer`,
    binaryInputs: isBinary,
    request: { parameters: { binary_data_output: isBinary } },
  });
  // Triton's clients send these two in binary only.
  if (!isBinary && (datatype === 'FP16' || datatype === 'BF16') && response.status === 400)
    throw new NotSupported(`${datatype} is taken in binary only`);
  const [output] = outputsOf(response);
  check(output?.datatype === datatype, `the output is ${output?.datatype}`);
  check(JSON.stringify(output.data) === JSON.stringify(data), 'the elements came back as others');
}

export const DATATYPE_CASES: readonly Case[] = DATATYPES.flatMap((datatype) => [
  {
    id: `rest.datatype.${datatype.toLowerCase()}.json`,
    section: 'Tensor data types',
    title: `carries ${datatype} in JSON`,
    run: (target: Target) => checkIdentity(target, datatype, false),
  },
  {
    id: `rest.datatype.${datatype.toLowerCase()}.binary`,
    section: 'Tensor data types',
    title: `carries ${datatype} in binary`,
    extension: EXTENSION,
    run: (target: Target) => checkIdentity(target, datatype, true),
  },
]);
