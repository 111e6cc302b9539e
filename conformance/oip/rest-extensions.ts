import { gzipSync } from 'node:zlib';
import type { Case } from './case.ts';
import { check, NotSupported } from './check.ts';
import { checkError } from './rest-server.ts';
import { type Answer, outputsOf, type Target } from './target.ts';

const repository = (id: string, title: string, run: Case['run']): Case => ({
  id: `rest.repository.${id}`,
  section: 'Model repository extension',
  title,
  extension: 'model_repository',
  run,
});
const post = (target: Target, path: string, body = '{}') =>
  target.call('POST', path, body, { 'content-type': 'application/json' });

async function indexOf(target: Target, body = '{}'): Promise<Answer[]> {
  const { status, json } = await post(target, '/v2/repository/index', body);
  check(status === 200 && Array.isArray(json), `the index answers ${status}`);
  return json;
}

export const REPOSITORY_CASES: readonly Case[] = [
  repository('index', 'lists the model with its state', async (target) => {
    await target.infer(await target.inputs());
    const entry = (await indexOf(target)).find(
      ({ name, state }) => name === target.options.model && state === 'READY',
    );
    check(entry !== undefined, 'the model is not there, or is not READY');
  }),
  repository('index-ready', 'lists what is ready only when asked', async (target) => {
    const entries = await indexOf(target, '{"ready":true}');
    check(
      entries.every(({ state }) => state === 'READY'),
      'there is one that is not READY',
    );
  }),
  repository('index-empty-body', 'takes an index request without a body', async (target) => {
    const { status } = await target.call('POST', '/v2/repository/index');
    check(status === 200, `the status is ${status}`);
  }),
  repository('load', 'loads the model', async (target) => {
    const { status } = await post(target, `/v2/repository/models/${target.options.model}/load`);
    check(status === 200, `the status is ${status}`);
    check((await target.get(`${target.modelPath}/ready`)).status === 200, 'the model is not ready');
  }),
  repository('unload', 'unloads the model, and loads it again', async (target) => {
    if (!target.options.mayUnload) throw new NotSupported('the model may not be unloaded (--may-unload)');
    const of = (action: string) => post(target, `/v2/repository/models/${target.options.model}/${action}`);
    check((await of('unload')).status === 200, 'unload fails');
    const { status } = await target.get(`${target.modelPath}/ready`);
    check(status >= 400, `the model is still ready (${status})`);
    check((await of('load')).status === 200, 'load fails');
    outputsOf(await target.infer(await target.inputs()));
  }),
  repository('unknown-model', 'answers the loading of an unknown model with an error', async (target) =>
    checkError(await post(target, '/v2/repository/models/no-such-model-anywhere/load')),
  ),
];

const statistics = (id: string, title: string, run: Case['run']): Case => ({
  id: `rest.statistics.${id}`,
  section: 'Statistics extension',
  title,
  extension: 'statistics',
  run,
});

async function statisticsOf(target: Target, path: string): Promise<Answer> {
  const { status, json } = await target.get(path);
  check(status === 200 && Array.isArray(json?.model_stats), `the statistics answer ${status}`);
  const found = json.model_stats.find(({ name }: Answer) => name === target.options.model);
  check(found !== undefined, 'the model is not among them');
  return found;
}

const DURATIONS = ['success', 'fail', 'queue', 'compute_input', 'compute_infer', 'compute_output'];

export const STATISTICS_CASES: readonly Case[] = [
  statistics('members', 'has the counts and the durations', async (target) => {
    await target.infer(await target.inputs());
    const found = await statisticsOf(target, `${target.modelPath}/stats`);
    for (const name of ['last_inference', 'inference_count', 'execution_count'])
      check(Number.isInteger(found[name]), `${name} is ${found[name]}`);
    for (const name of DURATIONS) {
      const { count, ns } = found.inference_stats?.[name] ?? {};
      check(Number.isInteger(count) && Number.isInteger(ns), `${name} is no count with nanoseconds`);
    }
    check(Array.isArray(found.batch_stats), 'batch_stats is not a list');
  }),
  statistics('counts', 'counts a request and its rows', async (target) => {
    await target.infer(await target.inputs());
    const before = await statisticsOf(target, `${target.modelPath}/stats`);
    const [first] = await target.inputs();
    const rows = first!.shape[0] === 1 ? 3 : 1;
    outputsOf(await target.infer(await target.inputs(rows)));
    const after = await statisticsOf(target, `${target.modelPath}/stats`);
    const grown = after.inference_count - before.inference_count;
    check(grown === rows, `inference_count grew by ${grown} for ${rows} rows`);
    const successes = after.inference_stats.success.count - before.inference_stats.success.count;
    check(successes === 1, `success grew by ${successes} for one request`);
    check(after.last_inference >= before.last_inference, 'last_inference went back');
  }),
  statistics(
    'all',
    'tells of all models',
    async (target) => void (await statisticsOf(target, '/v2/models/stats')),
  ),
  statistics('version', 'tells of a version', async (target) => {
    const version = await target.version();
    const found = await statisticsOf(target, `${target.modelPath}/versions/${version}/stats`);
    check(found.version === version, `the version is ${found.version}`);
  }),
  statistics('unknown-model', 'answers an unknown model with an error', async (target) =>
    checkError(await target.get('/v2/models/no-such-model-anywhere/stats')),
  ),
];

export const OTHER_CASES: readonly Case[] = [
  {
    id: 'rest.configuration.members',
    section: 'Model configuration extension',
    title: 'has the name, the batch size and the tensors',
    extension: 'model_configuration',
    async run(target) {
      const { status, json } = await target.get(`${target.modelPath}/config`);
      check(status === 200 && json?.name === target.options.model, `the configuration answers ${status}`);
      check(Number.isInteger(json.max_batch_size), `max_batch_size is ${json.max_batch_size}`);
      const { inputs } = await target.metadata();
      const names = json.input?.map(({ name }: Answer) => name);
      check(
        JSON.stringify(names) === JSON.stringify(inputs.map(({ name }) => name)),
        `the inputs are ${names}`,
      );
    },
  },
  {
    id: 'rest.schedule.timeout',
    section: 'Schedule policy extension',
    title: 'takes a priority and a time in microseconds',
    extension: 'schedule_policy',
    async run(target) {
      const request = { parameters: { priority: 1, timeout: 20_000_000 } };
      outputsOf(await target.infer(await target.inputs(), { request }));
    },
  },
  {
    id: 'rest.http.gzip',
    section: 'Compression',
    title: 'reads a body in gzip',
    async run(target) {
      const body = gzipSync(JSON.stringify({ inputs: await target.inputs() }));
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      const response = await target.call('POST', `${target.modelPath}/infer`, body, headers);
      if (response.status >= 400 && response.status < 500)
        throw new NotSupported(`it is refused: ${response.status}`);
      outputsOf(response);
    },
  },
];
