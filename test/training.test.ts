import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type App, createApp } from '../src/app.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

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
`;
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 100 });

describe('the train step', () => {
  let app: App;
  let database: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-training-'));
    const script = join(import.meta.dirname, 'trainers', 'logistic.ts');
    const trainers = {
      trainers: {
        logistic: {
          command: [process.execPath, script],
          environment: { FETCH_TOKEN: `\${secrets.FETCH}` },
          costPerHourUsd: 3600,
        },
        brief: { command: [process.execPath, script], timeout: 'PT1S' },
        nowhere: { command: ['no-such-command'] },
      },
    };
    await writeFile(join(folder, 'trainers.yaml'), JSON.stringify(trainers));
    vi.stubEnv('AIOS_TRAINERS', join(folder, 'trainers.yaml'));
    vi.stubEnv('AIOS_SECRET_FETCH', 'abcdefgh');
    database = await createTestDatabase([]);
    app = await createApp({
      dataDir: folder,
      databaseUrl: database.url,
      host: '127.0.0.1',
      port: 0,
      limits: limitsFrom('trainingLogBytesMax=20000'),
    });
    app.ready();
    const bytes = (text: string) => new TextEncoder().encode(text);
    await app.apply([
      { path: 'aios.yaml', bytes: bytes('name: test') },
      { path: 'workflows/learn.yaml', bytes: bytes(FLOW) },
    ]);
  }, 60_000);
  afterAll(async () => {
    await app?.stop();
    await database?.close();
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
    expect(versions).toMatchObject([
      {
        version: 1,
        status: 'ready',
        card: { parameters: { steps: 8 }, metrics: { auc: 0.9 }, intendedUse: 'tests' },
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
    const log = await logOf(ended.id);
    expect(log).toContain('step 7: weight');
    expect(log).toContain('secret is *** with 8 characters, rate is 0.5');
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
    [{ steps: 1, mode: 'hang' }, 'brief', 'training.failed', 'did not end within'],
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
      signal: new AbortController().signal,
    };
    const first = await app.stations.trainings.train(call);
    expect(await app.stations.trainings.train(call)).toEqual(first);
    expect((await app.stations.models.get('learned')).versions).toHaveLength(2);
  });
});
