import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import { runCli } from '../src/cli/program.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { openTrainingFolder } from '../src/models/training/training-folder.ts';
import type { TestDatabase } from '../src/testing/database.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const FLOW = `
document: { dsl: 1.0.0, namespace: test, name: learn, version: 1.0.0 }
evaluate: { language: cel }
do:
  - train:
      call: train:1@default
      with:
        trainer: '\${ input.trainer }'
        model: learned
        parameters: '\${ input.parameters }'
        datasets: { orders: { name: history } }
`;
const PROJECT = {
  'aios.yaml': 'name: test',
  'workflows/learn.yaml': FLOW,
  'contracts/order.yaml': `name: order
version: 1.0.0
owner: shop
schema: { type: object, required: [customer, amount], properties: { customer: { type: string }, amount: { type: number } } }`,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml':
    'name: orders\nentity: customer\nsource: { event: order }\nkeys: { customer: data.customer }\nfeatures: { spend: { aggregate: sum, of: data.amount } }',
  'services/buyer.yaml': 'name: buyer\nviews: [orders]',
  'datasets/history.yaml': 'name: history\nservice: buyer',
};
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 100 });

describe('the train step', () => {
  let app: App;
  let close: OpenedApp['close'];
  let database: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-training-'));
    const script = join(import.meta.dirname, 'trainers', 'logistic.ts');
    const trainers = {
      trainers: {
        logistic: {
          command: [process.execPath, script],
          environment: { FETCH_TOKEN: `key-\${secrets.FETCH}` },
          costPerHourUsd: 3600,
        },
        brief: { command: [process.execPath, script], timeout: 'PT1S' },
        nowhere: { command: ['no-such-command'] },
      },
    };
    await writeFile(join(folder, 'trainers.yaml'), JSON.stringify(trainers));
    vi.stubEnv('AIOS_TRAINERS', join(folder, 'trainers.yaml'));
    vi.stubEnv('AIOS_SECRET_FETCH', 'abcdefgh');
    ({ app, database, close } = await openApp({
      limits: 'trainingLogBytesMax=20000,trainingsActiveMax=1',
      project: PROJECT,
    }));
    const rows = [{ customer: 'c-0', timestamp: '2026-01-01T00:00:00Z' }];
    const { datasetBuilds } = app.stations;
    const by = { kind: 'key', id: 'ann' };
    await datasetBuilds.passes.wait(
      await datasetBuilds.start({ name: 'history', source: { rows }, by }),
      60_000,
    );
  }, 60_000);
  afterAll(async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
    vi.unstubAllEnvs();
  });

  async function ask(method: string, path: string, body?: unknown): Promise<JsonObject> {
    const response = await fetch(`${app.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await response.json()) as JsonObject;
  }
  const run = (parameters: JsonObject, trainer = 'logistic') =>
    ask('POST', '/api/v1/workflows/learn/runs?wait=30s', { input: { trainer, parameters } });
  const logOf = async (id: unknown) => {
    const { items } = await ask('GET', `/api/v1/runs/${id}/logs?limit=500`);
    return (items as unknown as { text: string }[]).map(({ text }) => text).join('');
  };

  it('runs the command and makes what it wrote a version, with where it comes from', async () => {
    const ended = await run({ steps: 8, 'learning-rate': 0.5 });
    expect(ended).toMatchObject({
      status: 'completed',
      output: { model: 'learned', version: 1, metrics: { auc: 0.9 } },
    });
    const { trainingRun } = ended.output as { trainingRun: string };
    const { versions } = await ask('GET', '/api/v1/models/learned');
    const { id: startedBy } = await ask('GET', '/api/v1/me');
    expect(versions).toMatchObject([
      {
        version: 1,
        status: 'ready',
        createdBy: 'learn',
        startedBy,
        card: { parameters: { steps: 8 }, metrics: { auc: 0.9 }, intendedUse: 'tests' },
        datasets: [{ name: 'history', version: 1, digest: expect.any(String) }],
        metadata: {
          training: { run: ended.id, step: 'train', trainer: 'logistic', code: expect.any(String) },
        },
      },
    ]);
    const inputs = [{ name: 'features', datatype: 'FP32', shape: [1, 1], data: [1] }];
    const { outputs } = await ask('POST', '/v2/models/learned/versions/1/infer', { inputs });
    expect((outputs as { data: number[] }[])[0]!.data[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 2);
    const told = await ask('GET', `/api/2.0/mlflow/runs/get?run_id=${trainingRun}`);
    expect(told).toMatchObject({ run: { info: { status: 'FINISHED' } } });
    const history = await ask(
      'GET',
      `/api/2.0/mlflow/metrics/get-history?run_id=${trainingRun}&metric_key=distance`,
    );
    expect(history.metrics).toHaveLength(8);
    const registered = await ask('GET', '/api/2.0/mlflow/model-versions/get?name=learned&version=1');
    expect(registered).toMatchObject({ model_version: { run_id: trainingRun } });
    const { items: compared } = await ask('GET', '/api/v1/experiments/learned/runs');
    expect(compared).toMatchObject([{ id: trainingRun, versions: [{ name: 'learned', version: 1 }] }]);
    expect(await ask('GET', `/api/v1/training-runs/${trainingRun}`)).toMatchObject({
      ...{ id: trainingRun, status: 'FINISHED', experiment: { name: 'learned' } },
      versions: [{ name: 'learned', version: 1 }],
    });
    const log = await logOf(ended.id);
    expect(log).toContain('data: PAR1 version 1');
    expect(log).toContain('step 7: weight');
    expect(log).toContain('secret is key-*** with 12 characters, rate is 0.5');
    const { costs } = await ask('GET', `/api/v1/runs/${ended.id}`);
    expect(costs).toMatchObject([{ service: 'training', resource: 'logistic', unit: 'seconds' }]);
    // Its key is of no use to anybody afterwards.
    const keys = (await ask('GET', '/api/v1/keys')).items as { name: string }[];
    expect(keys.filter(({ name }) => name.startsWith('training '))).toEqual([]);
  });

  it.each([
    [{ steps: 1, mode: 'fail' }, 'logistic', 'training.failed', 'exited with 3: no rows to learn from'],
    [{ steps: 1, mode: 'empty' }, 'logistic', 'training.output_invalid', 'wrote no model.onnx'],
    [{ steps: 1, mode: 'wrong' }, 'logistic', 'training.output_invalid', 'model.json/metrics/auc'],
    [
      { steps: 1, mode: 'hang' },
      'brief',
      'training.failed',
      'brief did not end within 1000 ms (its timeout) and was ended',
    ],
    [{ steps: 1 }, 'nowhere', 'training.failed', 'is not on this machine'],
    [{ steps: 1 }, 'forbidden', 'training.not_allowed', 'logistic, brief, nowhere'],
  ])('says why %j of %s gives no version', async (parameters, trainer, code, detail) => {
    const ended = await run(parameters, trainer);
    expect(ended.status).toBe('failed');
    expect(JSON.stringify(ended)).toContain(code);
    expect(JSON.stringify(ended)).toContain(detail);
  });

  it('ends the command, with all that it started, when the run is canceled', async () => {
    const input = { trainer: 'logistic', parameters: { steps: 1, mode: 'hang' } };
    const { id } = await ask('POST', '/api/v1/workflows/learn/runs?wait=0s', { input });
    let pid = 0;
    await eventually(async () => {
      pid = Number(/waiting as (\d+)/.exec(await logOf(id))?.[1]);
      expect(pid).toBeGreaterThan(0);
    });
    await ask('POST', `/api/v1/runs/${id}/cancel`, {});
    await eventually(async () => expect(() => process.kill(pid, 0)).toThrow());
    await eventually(async () => {
      const { runs } = await ask('POST', '/api/2.0/mlflow/runs/search', {
        experiment_ids: ['1'],
        filter: `tags.aios.run = '${id}'`,
      });
      expect(runs).toMatchObject([{ info: { status: 'KILLED' } }]);
    });
  });

  it('keeps of what it writes as much as trainingLogBytesMax: the begin, and the end', async () => {
    const { id, status } = await run({ steps: 1, mode: 'loud' });
    expect(status).toBe('completed');
    const log = await logOf(id);
    expect(log).toContain('line 0 ');
    expect(log).toMatch(/… only the end of what follows is kept \(trainingLogBytesMax\)\n/);
    expect(log).toMatch(/… \d+ characters are left out here\n/);
    expect(log).not.toContain('line 600 ');
    expect(log).toContain('line 999 ');
    expect(log.length).toBeLessThan(20_200);
  });

  it('runs as many at a time as trainingsActiveMax', async () => {
    const ended = await Promise.all([run({ steps: 2 }), run({ steps: 2 })]);
    const ids = ended.map(({ id }) => id);
    const [first, second] = await database.db.query<{ started_at: number; ended_at: number }>(
      'select started_at, ended_at from trainings where run_id = any($1) order by started_at',
      [ids],
    );
    expect(second!.started_at).toBeGreaterThanOrEqual(first!.ended_at);
  });

  it('goes on with the next one when one that waits is canceled', async () => {
    const input = (parameters: JsonObject) => ({ input: { trainer: 'logistic', parameters } });
    const start = async (parameters: JsonObject) =>
      (await ask('POST', '/api/v1/workflows/learn/runs?wait=0s', input(parameters))).id;
    const active = await start({ steps: 1, mode: 'hang' });
    await eventually(async () => expect(await logOf(active)).toContain('waiting as'));
    const canceled = await start({ steps: 1 });
    const next = await start({ steps: 1 });
    await ask('POST', `/api/v1/runs/${canceled}/cancel`, {});
    await eventually(async () =>
      expect(await ask('GET', `/api/v1/runs/${canceled}`)).toMatchObject({ status: 'canceled' }),
    );
    await ask('POST', `/api/v1/runs/${active}/cancel`, {});
    await eventually(async () =>
      expect(await ask('GET', `/api/v1/runs/${next}`)).toMatchObject({ status: 'completed' }),
    );
  });

  it('answers a repetition with what it came to, and runs it once', async () => {
    const call = {
      trainer: 'logistic',
      model: 'learned',
      experiment: 'repeated',
      parameters: { steps: 3 },
      datasets: {},
      runId: 'run_repeated',
      stepKey: '/do/0/train',
      idempotencyKey: 'run_repeated/do/0/train',
      attempt: 1,
      by: { kind: 'workflow', id: 'learn' },
      startedBy: 'ann',
      signal: new AbortController().signal,
    };
    const first = await app.stations.trainings.train(call);
    expect(await app.stations.trainings.train(call)).toEqual(first);
    expect(await app.stations.trainings.train(call)).toMatchObject({
      output: { trainingRun: expect.any(String) },
    });
  });

  it.skipIf(process.platform !== 'linux')(
    'ends what an earlier process left behind before it runs the command again (known by /proc: on Linux)',
    async () => {
      const left = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
      const gone = new Promise((done) => left.once('exit', (_, signal) => done(signal)));
      const stat = await readFile(`/proc/${left.pid}/stat`, 'utf8');
      const startedTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      const { id } = await app.stations.trainingRuns.create({ by: 'learn' });
      const files = await openTrainingFolder('run_left/train#1');
      await database.db.query(
        `insert into trainings (key, run_id, step_key, trainer, training_run, host, process, started_at)
       values ('run_left/train#1', 'run_left', 'train', 'logistic', $1, $2, $3, now())`,
        [id, hostname(), JSON.stringify({ pid: left.pid, startedTicks })],
      );
      const { output } = await app.stations.trainings.train({
        trainer: 'logistic',
        model: undefined,
        experiment: undefined,
        parameters: { steps: 1 },
        datasets: {},
        runId: 'run_left',
        stepKey: 'train',
        idempotencyKey: 'run_left/train',
        attempt: 1,
        by: { kind: 'workflow', id: 'learn' },
        startedBy: undefined,
        signal: new AbortController().signal,
      });
      expect(await gone).toBe('SIGKILL');
      expect((await app.stations.trainingRuns.get(id)).status).toBe('KILLED');
      expect(existsSync(files)).toBe(false);
      expect(output).toMatchObject({ model: null, metrics: { auc: 0.9 } });
    },
  );

  it('is looked at from the command line', async () => {
    const aios = async (...args: string[]) => {
      let said = '';
      const hear = (text: unknown) => {
        said += String(text);
        return true;
      };
      const spies = [process.stdout, process.stderr].map((stream) =>
        vi.spyOn(stream, 'write').mockImplementation(hear),
      );
      const code = await runCli(['--url', app.url, '--key', app.adminKey, ...args], async () => 1);
      for (const spy of spies) spy.mockRestore();
      return { code, said };
    };
    const { id } = await run({ steps: 2 });
    expect((await aios('experiments', 'list')).said).toMatch(/learned/);
    const { said } = await aios(
      'experiments',
      'runs',
      'learned',
      '--order',
      'metrics.auc DESC',
      '--filter',
      "params.steps = '2'",
    );
    expect(said).toMatch(/run\s+status\s+started\s+steps\s+auc\s+distance\s+model/i);
    expect(said).toMatch(/finished.* learned v\d+/);
    expect(await aios('logs', String(id), '--follow')).toMatchObject({
      code: 0,
      said: expect.stringContaining('step 1: weight'),
    });
    const { trainingRun } = (await ask('GET', `/api/v1/runs/${id}`)).output as { trainingRun: string };
    const values = await ask('GET', `/api/v1/training-runs/${trainingRun}/metrics/distance`);
    expect(values.items).toMatchObject([
      { step: 0, value: 1 },
      { step: 1, value: 0.5 },
    ]);
    expect((await aios('experiments', 'runs', 'none')).said).toContain('experiments.unknown');
  });
});
