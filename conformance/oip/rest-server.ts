import type { Case } from './case.ts';
import { check } from './check.ts';
import type { Response } from './target.ts';
import { DATATYPES } from './tensors.ts';

/** An error as the specification wants it: an HTTP error status, and a body with a text `error`. */
export function checkError({ status, json }: Response): void {
  check(status >= 400 && status < 500, `the status is ${status}, where 4xx is due`);
  check(typeof json?.error === 'string' && json.error !== '', 'the body has no text “error”');
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

const health = (state: 'live' | 'ready'): Case[] => [
  {
    id: `rest.server-${state}.status`,
    section: `Server ${state}`,
    title: 'answers 200',
    async run(target) {
      const { status } = await target.get(`/v2/health/${state}`);
      check(status === 200, `the status is ${status}`);
    },
  },
  {
    id: `rest.server-${state}.body`,
    section: `Server ${state}`,
    title: 'answers with a boolean “live” (or “ready”, as the OpenAPI document has it)',
    async run(target) {
      const { json } = await target.get(`/v2/health/${state}`);
      check(json?.live === true || json?.[state] === true, `the body is ${JSON.stringify(json)}`);
    },
  },
];

export const SERVER_CASES: readonly Case[] = [
  ...health('live'),
  ...health('ready'),
  {
    id: 'rest.server-metadata.members',
    section: 'Server metadata',
    title: 'has a name, a version and a list of extensions',
    async run(target) {
      const { status, json } = await target.get('/v2');
      check(status === 200, `the status is ${status}`);
      check(isText(json?.name) && isText(json?.version), 'name and version are texts');
      check(Array.isArray(json.extensions) && json.extensions.every(isText), 'extensions is a list of texts');
    },
  },
  {
    id: 'rest.server-metadata.unknown-address',
    section: 'Server metadata',
    title: 'answers an address that is none with an error, and goes on',
    async run(target) {
      checkError(await target.get('/v2/no-such-address'));
      check((await target.get('/v2')).status === 200, 'the server has stopped to answer');
    },
  },
];

const model = (id: string, title: string, run: Case['run']): Case => ({
  id: `rest.model-metadata.${id}`,
  section: 'Model metadata',
  title,
  run,
});

export const MODEL_CASES: readonly Case[] = [
  model('members', 'has name, platform, inputs and outputs', async (target) => {
    const { name, platform, inputs, outputs } = await target.metadata();
    check(name === target.options.model, `the name is ${name}`);
    check(isText(platform), 'platform is a text');
    check(inputs.length > 0 && Array.isArray(outputs) && outputs.length > 0, 'there are inputs and outputs');
  }),
  model('tensors', 'gives each tensor a name, a datatype of the protocol and a shape', async (target) => {
    const { inputs, outputs } = await target.metadata();
    for (const { name, datatype, shape } of [...inputs, ...outputs]) {
      check(isText(name), 'a tensor has no name');
      check(DATATYPES.includes(datatype), `${name} has the datatype ${datatype}`);
      const isShape = Array.isArray(shape) && shape.every((size) => Number.isInteger(size) && size >= -1);
      check(isShape, `${name} has the shape ${JSON.stringify(shape)}`);
    }
  }),
  model('versions', 'lists versions as texts, and answers for each', async (target) => {
    const version = await target.version();
    const { versions } = await target.metadata();
    check(versions!.every(isText), 'versions are texts');
    const { status, json } = await target.get(`${target.modelPath}/versions/${version}`);
    check(status === 200 && json?.name === target.options.model, `version ${version} answers ${status}`);
  }),
  model('unknown-model', 'answers an unknown model with an error', async (target) =>
    checkError(await target.get('/v2/models/no-such-model-anywhere')),
  ),
  model('unknown-version', 'answers an unknown version with an error', async (target) => {
    await target.version();
    checkError(await target.get(`${target.modelPath}/versions/987654321`));
  }),
  {
    id: 'rest.model-ready.ready',
    section: 'Model ready',
    title: 'answers 200 for a model that has answered',
    async run(target) {
      await target.infer(await target.inputs());
      const { status } = await target.get(`${target.modelPath}/ready`);
      check(status === 200, `the status is ${status}`);
    },
  },
  {
    id: 'rest.model-ready.body',
    section: 'Model ready',
    title: 'answers with the name and a boolean “ready”',
    async run(target) {
      const { json } = await target.get(`${target.modelPath}/ready`);
      check(
        json?.name === target.options.model && json.ready === true,
        `the body is ${JSON.stringify(json)}`,
      );
    },
  },
  {
    id: 'rest.model-ready.version',
    section: 'Model ready',
    title: 'answers for a version',
    async run(target) {
      const { status } = await target.get(`${target.modelPath}/versions/${await target.version()}/ready`);
      check(status === 200, `the status is ${status}`);
    },
  },
  {
    id: 'rest.model-ready.unknown-model',
    section: 'Model ready',
    title: 'does not answer 200 for an unknown model',
    async run(target) {
      const { status } = await target.get('/v2/models/no-such-model-anywhere/ready');
      check(status >= 400 && status < 500, `the status is ${status}`);
    },
  },
];
