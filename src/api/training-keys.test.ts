import { afterAll, beforeAll, expect, it } from 'vitest';
import { PERMISSIONS_OF, type Role } from '../access/permissions.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { allRoutes } from './all-routes.ts';
import type { AccessPort, Caller } from './routes.ts';
import { createServer } from './server.ts';

const bounds = { trainingRun: 'mine', model: 'risk', startedBy: 'ann' };
const callers: Record<string, Caller> = {
  bound: { id: 'key_t', name: 't', kind: 'key', roles: ['trainer'], groups: [], training: bounds },
  modelless: {
    id: 'key_u',
    name: 'u',
    kind: 'key',
    roles: ['trainer'],
    groups: [],
    training: { ...bounds, model: null },
  },
  free: { id: 'key_f', name: 'f', kind: 'key', roles: ['trainer'], groups: [], training: null },
};
const access: AccessPort = {
  authenticate: ({ headers }) => callers[headers.authorization!.replace('Bearer ', '')],
  can: ({ roles }, permission) => PERMISSIONS_OF[roles[0] as Role].has(permission),
};
const runs: Record<string, object> = {
  mine: { experimentId: 1, createdBy: 'learn' },
  nested: { experimentId: 1, createdBy: 'key_t' },
  other: { experimentId: 1, createdBy: 'bob' },
};
const trainingRuns = { get: async (id: string) => runs[id] };
const loggedModels = {
  get: async (id: string) => ({ experimentId: 1, runId: id === 'm-mine' ? 'mine' : 'other' }),
};

let server: Awaited<ReturnType<typeof createServer>>;
beforeAll(async () => {
  server = await createServer({
    limits: limitsFrom(''),
    access,
    training: { trainingRuns, loggedModels } as never,
    onFault: () => {},
    // Routes over nothing: what is let in fails at its first use of a station, and with another code.
    routes: allRoutes({ limits: limitsFrom(''), collections: {} } as never),
  });
});
afterAll(() => server.close());

const M = '/api/2.0/mlflow';
const A = '/api/2.0/mlflow-artifacts';
async function isRefused(key: string, method: string, url: string, payload?: object | string) {
  const answer = await server.inject({
    method: method as 'POST',
    url,
    headers: {
      authorization: `Bearer ${key}`,
      ...(typeof payload === 'string' && { 'content-type': 'application/octet-stream' }),
    },
    ...(payload === undefined ? {} : { payload }),
  });
  return answer.body.includes('This key is for the training run');
}
const metric = { key: 'a', value: 1, timestamp: 1 };

it.each([
  ['POST', `${M}/runs/log-metric`, { run_id: 'mine', ...metric }],
  ['POST', `${M}/runs/log-metric`, { run_id: 'nested', ...metric }],
  ['POST', `${M}/runs/create`, { experiment_id: '1' }],
  ['POST', `${M}/runs/search`, { experiment_ids: ['1'] }],
  ['POST', `${M}/experiments/create`, { name: 'x' }],
  ['POST', `${M}/logged-models`, { source_run_id: 'mine' }],
  ['PATCH', `${M}/logged-models/m-mine`, { status: 'LOGGED_MODEL_READY' }],
  ['PUT', `${A}/artifacts/1/mine/artifacts/a/b.txt`, 'x'],
  ['PUT', `${A}/artifacts/1/models/m-mine/artifacts/b.txt`, 'x'],
  ['POST', `${A}/mpu/create/1/mine/artifacts`, { path: 'a.bin', num_parts: 2 }],
  ['POST', `${M}/registered-models/create`, { name: 'Risk' }],
  ['POST', `${M}/model-versions/create`, { name: 'risk', source: 'models:/m-mine', run_id: 'mine' }],
  ['POST', '/api/v1/models/risk/versions', { onnxBase64: 'AA==' }],
  ['GET', `${M}/runs/get?run_id=other`, undefined],
] as const)('the key of a training may %s %s %j', async (method, url, body) => {
  expect(await isRefused('bound', method, url, body)).toBe(false);
});

it.each([
  ['POST', `${M}/runs/log-metric`, { run_id: 'other', ...metric }],
  ['POST', `${M}/runs/delete`, { run_id: 'other' }],
  ['POST', `${M}/experiments/delete`, { experiment_id: '1' }],
  ['POST', `${M}/experiments/update`, { experiment_id: '1', new_name: 'x' }],
  ['POST', `${M}/logged-models`, { source_run_id: 'other' }],
  ['POST', `${M}/logged-models`, {}],
  ['DELETE', `${M}/logged-models/m-other`, undefined],
  ['PATCH', `${M}/logged-models/m-other/tags`, { tags: [] }],
  ['PUT', `${A}/artifacts/1/other/artifacts/a.txt`, 'x'],
  ['PUT', `${A}/artifacts/2/mine/artifacts/a.txt`, 'x'],
  ['PUT', `${A}/artifacts/1/mine/artifacts/%2e%2e/%2e%2e/other/artifacts/a.txt`, 'x'],
  ['PUT', `${A}/artifacts/1/models/m-other/artifacts/a.txt`, 'x'],
  ['PUT', `${A}/artifacts/loose.txt`, 'x'],
  ['DELETE', `${A}/artifacts/1/other/artifacts/a.txt`, undefined],
  ['POST', `${A}/mpu/create/1/other/artifacts`, { path: 'a.bin', num_parts: 2 }],
  ['POST', `${M}/registered-models/create`, { name: 'other' }],
  ['DELETE', `${M}/registered-models/delete`, { name: 'other' }],
  ['POST', `${M}/model-versions/create`, { name: 'other', source: 's' }],
  ['POST', `${M}/model-versions/create`, { name: 'risk', source: 's', run_id: 'other' }],
  ['POST', '/api/v1/models/other/versions', { onnxBase64: 'AA==' }],
] as const)('and may not %s %s %j, which a key of a person may', async (method, url, body) => {
  expect(await isRefused('bound', method, url, body)).toBe(true);
  expect(await isRefused('free', method, url, body)).toBe(false);
});

it('that of a step without a model makes no versions', async () => {
  expect(await isRefused('modelless', 'POST', '/api/v1/models/risk/versions', { onnxBase64: 'AA==' })).toBe(
    true,
  );
});
