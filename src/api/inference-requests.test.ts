import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from '../cli/program.ts';
import { ManualClock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { RequestLog } from '../serving/traffic/request-log.ts';
import { servingMigrations } from '../serving/traffic/request-log-lane.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { servingUnderTest } from '../serving/traffic/traffic-under-test.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import type { Caller } from './routes.ts';
import { inferenceRequestRoutes } from './routes-inference-requests.ts';
import { createServer } from './server.ts';

const START = 1_800_000_000_000;
let database: TestDatabase;
let server: FastifyInstance;
let serving: Serving;
let url = '';

beforeAll(async () => {
  database = await createTestDatabase(servingMigrations);
  const clock = new ManualClock(START);
  const requestLog = new RequestLog({
    ...database,
    clock,
    record: () => [],
    onError: (error) => {
      throw error;
    },
  });
  const options = { log: { sample: 1, redact: ['a'] } };
  ({ serving } = servingUnderTest({ 'risk/2': { options } }, { requestLog }));
  server = await createServer({
    limits: limitsFrom(),
    access: {
      authenticate: ({ headers }) => {
        const [, name] = headers.authorization?.split(' ') ?? [];
        return name === undefined
          ? undefined
          : ({ id: name, name, kind: 'key', roles: [name], groups: [] } satisfies Caller);
      },
      can: ({ name }, permission) => name === 'reader' && permission === 'serving.requests',
    },
    onFault: () => {},
    routes: [
      inferenceRequestRoutes({
        models: {
          get(name) {
            if (name !== 'risk') throw new AiosError('models.unknown_model', { detail: name });
            return { name, versions: [], aliases: {} };
          },
        },
        requestLog,
        lineage: {
          pinsOfRuns: async (ids) =>
            new Map(
              ids.map((id) => [
                id,
                [
                  { kind: 'feature-view', name: 'orders', version: '4' },
                  { kind: 'model', name: 'risk', version: '2' },
                ],
              ]),
            ),
        },
      }),
    ],
  });
  for (let i = 0; i < 5; i++) {
    const step = i === 4 ? { runId: 'run_1', stepKey: 'score' } : undefined;
    const caller = { kind: 'key', id: `key_${i % 2}` };
    await serving.score({ model: 'risk', features: { a: 5, b: i }, caller, step });
    clock.advanceBy(1_000);
  }
  await vi.waitFor(async () => expect(await requestLog.read({ model: 'risk' }, 10)).toHaveLength(5));
  url = await server.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  serving?.close();
  await server?.close();
  await database?.close();
});

async function get(query = '', name = 'risk', key = 'reader') {
  const headers = { authorization: `Bearer ${key}`, host: '127.0.0.1' };
  const answer = await server.inject({ url: `/api/v1/models/${name}/requests${query}`, headers });
  return { status: answer.statusCode, body: answer.json() };
}

describe('GET /api/v1/models/{name}/requests', () => {
  it('tells what was asked and answered, by which versions of model and features, without what is redacted', async () => {
    const { status, body } = await get('?run=run_1');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      items: [
        {
          at: new Date(START + 4_000).toISOString(),
          model: 'risk',
          version: 2,
          status: 'answered',
          runId: 'run_1',
          caller: { kind: 'key', id: 'key_0' },
          request: { features: { a: '[redacted]', b: 4 } },
          answer: { outputs: { total: 209 } },
          featureViews: [{ kind: 'feature-view', name: 'orders', version: '4' }],
        },
      ],
      nextCursor: null,
    });
  });

  it('pages from the newest on, and narrows by caller, version, status and time', async () => {
    const first = (await get('?limit=3')).body;
    const second = (await get(`?limit=3&cursor=${first.nextCursor}`)).body;
    const bs = [...first.items, ...second.items].map(({ request }) => request.features.b);
    expect([bs, second.nextCursor]).toEqual([[4, 3, 2, 1, 0], null]);
    const count = async (query: string) => (await get(query)).body.items.length;
    const from = new Date(START + 1_000).toISOString();
    const to = new Date(START + 3_000).toISOString();
    expect(await count('?caller=key_1')).toBe(2);
    expect(await count('?version=1')).toBe(0);
    expect(await count('?status=failed')).toBe(0);
    expect(await count(`?from=${from}&to=${to}`)).toBe(2);
  });

  it('needs its permission, a model that is there, and a query that it knows', async () => {
    expect((await get('', 'risk', 'other')).status).toBe(403);
    expect((await get('', 'none')).body).toMatchObject({ code: 'models.unknown_model' });
    expect((await get('?since=1')).status).toBe(400);
    expect((await get('?status=odd')).status).toBe(400);
  });
});

describe('aios models requests', () => {
  async function aios(...args: string[]) {
    const written: string[] = [];
    const out = vi
      .spyOn(process.stdout, 'write')
      .mockImplementation((text) => written.push(String(text)) > 0);
    try {
      const all = ['--url', url, '--key', 'reader', ...args];
      return { code: await runCli(all, async () => 0), text: written.join('') };
    } finally {
      out.mockRestore();
    }
  }

  it('lists them as a table, and as JSON', async () => {
    const { code, text } = await aios('models', 'requests', 'risk', '--caller', 'key_0');
    expect(code).toBe(0);
    expect(text.split('\n')[0]).toMatch(/^ID +WHEN +VERSION +STATUS +MS +CALLER +ASKED +ANSWERED/);
    expect(text).toMatch(/run_1 +\{"a":"\[redacted\]","b":4\} +\{"total":209\}/);
    const json = await aios('--json', 'models', 'requests', 'risk', '--limit', '2');
    expect(JSON.parse(json.text).items).toHaveLength(2);
  });
});
