import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { type App, createApp } from '../src/app/app.ts';
import { runCli } from '../src/cli/program.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { sideOf } from '../src/serving/traffic/rollout-split.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { logisticModel } from '../src/testing/onnx.ts';

const MODEL = `
name: risk
file: risk.onnx
signature: { features: [a, b], fill: 0 }
promotion: { approvals: 1, of: [risk] }
`;
const FLOW = `
document: { dsl: '1.0.0', namespace: test, name: scores, version: '1.0.0' }
evaluate: { language: cel }
do: [ { score: { call: 'infer:1@default', with: { model: risk, features: { a: 1, b: 2 } } } } ]
`;

describe('rollouts over two processes', () => {
  let database: TestDatabase;
  let dataDir: string;
  const apps: App[] = [];
  const keys: Record<string, string> = {};

  beforeAll(async () => {
    database = await createTestDatabase([]);
    dataDir = await mkdtemp(join(tmpdir(), 'aios-rollouts-'));
    const { user, password, host, port } = inject('postgres');
    const [row] = await database.db.query<{ name: string }>('select current_database() as name');
    const databaseUrl = `postgres://${user}:${password}@${host}:${port}/${row!.name}`;
    for (let i = 0; i < 2; i++) {
      const app = await createApp({ dataDir, databaseUrl, host: '127.0.0.1', port: 0, limits: limitsFrom() });
      app.ready();
      apps.push(app);
    }
    for (const name of ['ann', 'ben'])
      keys[name] = (await apps[0]!.stations.access.createKey(name, ['reviewer'], 'test', ['risk'])).key;
    keys.admin = apps[0]!.adminKey;
  }, 60_000);
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.stop()));
    await database.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** What a command prints as JSON, and its exit code; asked of either process in turn. */
  let turn = 0;
  async function aios(who: string, ...args: string[]) {
    const printed: string[] = [];
    const write = (text: unknown) => printed.push(String(text)) > 0;
    const spies = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation(write as typeof stream.write),
    );
    const { url } = apps[turn++ % 2]!;
    const code = await runCli(
      ['--url', url, '--key', keys[who]!, '--json', 'models', ...args],
      async () => 0,
    );
    for (const spy of spies) spy.mockRestore();
    const text = printed.join('');
    return { code, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
  }

  /** The versions that answer these sticky keys in each process. */
  const versionsOf = (stickyKeys: readonly string[]) =>
    Promise.all(
      apps.map(({ url }) =>
        Promise.all(
          stickyKeys.map(async (sticky) => {
            const response = await fetch(`${url}/v2/models/risk/infer`, {
              method: 'POST',
              headers: { authorization: `Bearer ${keys.admin}`, 'aios-sticky-key': sticky },
              body: JSON.stringify({
                inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
              }),
            });
            return Number(((await response.json()) as { model_version: string }).model_version);
          }),
        ),
      ),
    );
  const some = Array.from({ length: 60 }, (_, i) => `customer-${i}`);

  it('go from approval over a canary to a promotion and back, by the command line, and both processes agree', async () => {
    const files = (weights: number[]) => [
      { path: 'models/risk/model.yaml', bytes: new TextEncoder().encode(MODEL) },
      { path: 'models/risk/risk.onnx', bytes: logisticModel(weights, 0.1) },
      { path: 'workflows/scores.yaml', bytes: new TextEncoder().encode(FLOW) },
    ];
    await apps[0]!.apply(files([0.3, -0.7]));
    await apps[0]!.apply(files([0.4, -0.6]));

    expect(await aios('admin', 'promote', 'risk', '1')).toMatchObject({
      code: 3,
      json: { promoted: false, waitsFor: { approvalsMissing: 1, of: ['risk'] } },
    });
    expect((await aios('ann', 'promote', 'risk', '1')).code).toBe(1); // a reviewer approves, and does not promote
    expect((await aios('ann', 'approve', 'risk', '1')).json).toEqual({ promoted: true });
    // The other process starts its replica for the first request.
    await expect.poll(() => versionsOf(['a']), { timeout: 20_000 }).toEqual([[1], [1]]);

    const start = [
      'rollout',
      'risk',
      'start',
      '--challenger',
      '2',
      '--steps',
      '30:1h,60:1h',
      '--compare',
      '1',
      '--plan',
      '{"guards":{"latencyRatioMax":null}}', // the machine of a test is busy
    ];
    expect((await aios('admin', ...start)).text).toContain('models.approval_needed');
    await aios('ann', 'approve', 'risk', '2', '--reason', 'the card is complete');
    const begun = await aios('admin', ...start);
    expect(begun).toMatchObject({ code: 0, json: { percent: 30, status: 'running' } });
    const sides = (percent: number) =>
      some.map((key) => (sideOf({ id: begun.json.id, percent }, key) === 'challenger' ? 2 : 1));
    const agree = async (versions: readonly number[]) =>
      expect.poll(() => versionsOf(some), { timeout: 20_000 }).toEqual([versions, versions]);
    await agree(sides(30)); // once the challenger is warm in both

    const { json: scored } = await runOf('scores');
    const [pin] = await apps[0]!.stations.lineage
      .pinsOfRuns([scored.id])
      .then((pins) => [...pins.values()].flat());
    expect(Number((pin as unknown as { version: string }).version)).toBe(scored.output.version);

    expect((await aios('admin', 'rollout', 'risk', 'step')).json).toMatchObject({ percent: 60, step: 1 });
    await agree(sides(60));
    await expect
      .poll(async () => (await aios('admin', 'rollout', 'risk')).json.figures, { timeout: 20_000 })
      .toMatchObject({ challenger: { errors: 0 }, comparison: { agreement: expect.any(Number) } });

    expect((await aios('admin', 'rollout', 'risk', 'promote')).json).toMatchObject({ status: 'promoted' });
    await expect
      .poll(() => versionsOf(['a', 'b', 'c']), { timeout: 20_000 })
      .toEqual([
        [2, 2, 2],
        [2, 2, 2],
      ]);
    expect((await aios('admin', 'rollback', 'risk', '--reason', 'complaints')).json).toMatchObject({
      version: 1,
    });
    await expect
      .poll(() => versionsOf(['a', 'b', 'c']), { interval: 10, timeout: 20_000 })
      .toEqual([
        [1, 1, 1],
        [1, 1, 1],
      ]);
    expect((await aios('ben', 'show', 'risk')).json).toMatchObject({
      aliases: { champion: 1 },
      rollouts: [],
      promotions: [],
    });

    await apps[0]!.verifyAudit();
    const { items } = (await (
      await fetch(`${apps[0]!.url}/api/v1/audit/entries?limit=100`, {
        headers: { authorization: `Bearer ${keys.admin}` },
      })
    ).json()) as { items: { kind: string; action: string }[] };
    expect(items.filter(({ kind }) => kind === 'model').map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        'promotion-requested',
        'promotion-approved',
        'promoted',
        'rollout-started',
        'rollout-step',
        'rollout-promoted',
        'rolled-back',
      ]),
    );
  }, 60_000);

  it('an A/B test takes outcomes over HTTP, each key once; a schedule is paused and resumed, each as often as it is asked', async () => {
    const ask = async (path: string, body: object) => {
      const response = await fetch(`${apps[turn++ % 2]!.url}/api/v1/models/risk/rollouts${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.admin}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return {
        status: response.status,
        json: (await response.json()) as { id: string; status: string; code: string },
      };
    };
    const plan = { challenger: 2, kind: 'ab', outcome: { name: 'accepted', effect: 0.1 } };
    expect((await ask('', { ...plan, outcome: undefined })).json.code).toBe('models.rollout_invalid');
    expect((await ask('', { ...plan, percnt: 3 })).json.code).toBe('request.invalid');
    await aios('ben', 'approve', 'risk', '2'); // the approval of Ann is void since the rollback
    const { status, json } = await ask('', plan);
    expect(status).toBe(201);
    expect((await ask('', plan)).json.id).toBe(json.id);
    const outcomes = some.map((key, i) => ({ key, value: i % 2 }));
    expect((await ask(`/${json.id}/outcomes`, { outcomes })).json).toEqual({ counted: 60 });
    expect((await ask(`/${json.id}/outcomes`, { outcomes })).json).toEqual({ counted: 0 });
    const report = (await aios('admin', 'rollout', 'risk')).json;
    expect(report.test.samples.champion + report.test.samples.challenger).toBe(60);
    for (const [action, found] of [
      ['pause', 'paused'],
      ['pause', 'paused'],
      ['resume', 'running'],
      ['rollback', 'rolled-back'],
      ['rollback', 'rolled-back'],
    ] as const)
      expect((await ask(`/${json.id}/${action}`, {})).json.status).toBe(found);
    expect((await ask(`/${json.id}/promote`, {})).json.code).toBe('models.rollout_ended');
    expect((await ask('/rol_0/pause', {})).json.code).toBe('models.no_rollout');
  });

  async function runOf(workflow: string) {
    const response = await fetch(`${apps[1]!.url}/api/v1/workflows/${workflow}/runs?wait=20s`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys.admin}`, 'content-type': 'application/json' },
      body: '{"input":{}}',
    });
    return { json: (await response.json()) as { id: string; output: { version: number } } };
  }
});
