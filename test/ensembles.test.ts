import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials, Metadata, makeClientConstructor } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newSecret } from '../src/access/key-format.ts';
import type { App } from '../src/app/app.ts';
import { loadGrpcServices } from '../src/serving/protocol/grpc-services.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const folder = join(import.meta.dirname, '..', 'examples', 'ensembles');
let app: App;
let close: OpenedApp['close'];
const adminKey = newSecret('key');

async function project() {
  const paths = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = paths.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.map(async (file) => ({ path: file.slice(folder.length + 1), bytes: await readFile(file) })),
  );
}

beforeAll(async () => {
  ({ app, close } = await openApp({ grpc: { port: 0 }, adminKey }));
  await app.apply(await project());
});
afterAll(async () => {
  await close();
});

const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' };
// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
const get = async (path: string): Promise<any> => (await fetch(app.url + path, { headers })).json();
const post = async (path: string, body: object) =>
  (await fetch(app.url + path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
const file = (path: string, content: string) => ({ path, bytes: new TextEncoder().encode(content) });
const CASCADE = {
  name: 'risk-cascade',
  runtime: 'workflow',
  endpoint: { flow: 'risk-cascade' },
  signature: {
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'risk', datatype: 'FP32', shape: [-1, 1] }],
  },
};
interface GrpcAnswer {
  outputs: { name: string; shape: number[] }[];
  parameters: Record<string, { string_param?: string }>;
  raw_output_contents: Uint8Array[];
}
type Unary = (
  request: object,
  metadata: Metadata,
  done: (error: Error | null, answer: GrpcAnswer) => void,
) => void;

const ask = async (model: string, rows: number[][]) => {
  const response = await fetch(`${app.url}/v2/models/${model}/infer`, {
    method: 'POST',
    headers,
    body: JSON.stringify({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [rows.length, 2], data: rows.flat() }],
    }),
  });
  return (await response.json()) as {
    outputs: { name: string; datatype: string; shape: number[]; data: unknown[] }[];
    parameters?: object;
  };
};

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const linear = ([a, b]: number[]) => sigmoid(a! - 2 * b! + 0.5);
const steep = ([a, b]: number[]) => sigmoid(4 * a! - b!);
const wide = ([a, b]: number[]) => sigmoid(0.5 * a! + 0.5 * b! - 0.25);
const near = (value: number) => expect.closeTo(value, 5);

describe('the project examples/ensembles', () => {
  it('serves a pipeline: normalised, scored, decided row by row', async () => {
    const answer = await ask('risk-pipeline', [
      [50, 1],
      [80, 40],
      [150, 0],
    ]);
    const risks = [linear([0, 0.1]), linear([1.2, 4]), linear([4, 0])];
    expect(answer.outputs).toMatchObject([
      { name: 'risk', datatype: 'FP32', shape: [3, 1], data: risks.map(near) },
      { name: 'action', datatype: 'BYTES', shape: [3], data: ['review', 'pay', 'refuse'] },
    ]);
    expect(answer.parameters).toEqual({ parts: 'risk-linear/1,decision:risk-limits/1' });
  });

  it('serves an ensemble: the mean and the vote of three models', async () => {
    const rows = [
      [1, 1],
      [0, 4],
    ];
    const answer = await ask('risk-ensemble', rows);
    const means = rows.map((row) => (linear(row) + steep(row) + wide(row)) / 3);
    expect(answer.outputs).toMatchObject([
      { name: 'mean', shape: [2, 1], data: means.map(near) },
      { name: 'vote', datatype: 'BOOL', shape: [2], data: [true, false] },
    ]);
  });

  it('serves a cascade: the dear model only where the cheap one is not sure', async () => {
    const sure = await ask('risk-cascade', [[5, 1]]);
    expect(sure.parameters).toEqual({ parts: 'risk-linear/1' });
    expect(sure.outputs[0]!.data).toEqual([near(linear([5, 1]))]);
    const unsure = await ask('risk-cascade', [[1, 1]]);
    expect(unsure.parameters).toMatchObject({
      parts: expect.stringMatching(/^risk-linear\/1,risk-ensemble\/1,risk-/),
    });
    const mean = (linear([1, 1]) + steep([1, 1]) + wide([1, 1])) / 3;
    expect(unsure.outputs[0]!.data).toEqual([near(mean)]);
  });

  it('answers over gRPC as over REST', async () => {
    const services = await loadGrpcServices();
    const Client = makeClientConstructor(services.inference as never, '');
    const client = new Client(`127.0.0.1:${app.grpc!.port}`, credentials.createInsecure());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${adminKey}`);
    const contents = { fp32_contents: [150, 0, 80, 40] };
    const inputs = [{ name: 'features', datatype: 'FP32', shape: [2, 2], contents }];
    const answer = await new Promise<GrpcAnswer>((done, fail) =>
      (client as never as { ModelInfer: Unary }).ModelInfer(
        { model_name: 'risk-pipeline', inputs },
        metadata,
        (error, found) => (error ? fail(error) : done(found)),
      ),
    );
    client.close();
    expect(answer.outputs.map(({ name, shape }) => [name, shape.map(Number)])).toEqual([
      ['risk', [2, 1]],
      ['action', [2]],
    ]);
    expect(answer.parameters.parts!.string_param).toBe('risk-linear/1,decision:risk-limits/1');
    const action = Buffer.from(answer.raw_output_contents[1]!);
    expect(action.toString()).toBe('\u0006\0\0\0refuse\u0003\0\0\0pay');
  });

  it('tells an ensemble as any other model: metadata, readiness, statistics, and the flow that it is', async () => {
    expect(await get('/v2/models/risk-pipeline')).toMatchObject({ platform: 'workflow', versions: ['1'] });
    expect(await get('/v2/models/risk-pipeline/ready')).toMatchObject({ ready: true });
    const { model_stats: stats } = await get('/v2/models/risk-pipeline/stats');
    expect(stats).toMatchObject([{ name: 'risk-pipeline', inference_stats: { fail: { count: 0 } } }]);
    const { versions } = await get('/api/v1/models/risk-pipeline');
    expect(versions).toMatchObject([
      { runtime: 'workflow', endpoint: { flow: 'risk-pipeline', version: 1, digest: expect.any(String) } },
    ]);
  });

  it('keeps in the sampled requests what an ensemble asked', async () => {
    const body = { ...CASCADE, serving: { log: { sample: 1 } } };
    await app.apply([file('models/risk-cascade/model.yaml', JSON.stringify(body))]);
    await ask('risk-cascade', [[5, 1]]);
    await expect
      .poll(async () => (await get('/api/v1/models/risk-cascade/requests')).items, { timeout: 5_000 })
      .toMatchObject([
        { status: 'answered', parts: 'risk-linear/1', answer: { outputs: [{ name: 'risk' }] } },
      ]);
  });

  it('is asked by durable flows, which charge it once, with what it cost inside', async () => {
    const flow = `
document: { dsl: 1.0.0, namespace: ensembles, name: durable, version: 1.0.0 }
evaluate: { language: cel }
do:
  - ask: { call: "infer:1@default", with: { model: risk-ensemble, inputs: { features: "\${ input.rows }" } } }
`;
    await app.apply([file('workflows/durable.yaml', flow)]);
    const { serving, engine, db } = app.stations;
    const { costMicroUsd } = await serving.infer({
      model: 'risk-ensemble',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(0.5, 0.25) }],
    });
    expect(costMicroUsd).toBe(6);
    const { runId } = await engine.start({ workflow: 'durable', input: { rows: [[0.75, 0.5]] } });
    await expect.poll(async () => (await engine.runs.get(runId)).status).toBe('completed');
    const charged = await db.query(
      'select resource, amount_micro_usd as amount from cost_entries where run_id = $1',
      [runId],
    );
    expect(charged).toEqual([{ resource: 'risk-ensemble@1', amount: 6 }]);
  });
});

describe('applying ensembles', () => {
  const steps = (name: string, text: string) =>
    file(
      `workflows/${name}.yaml`,
      `document: { dsl: 1.0.0, namespace: ensembles, name: ${name}, version: 1.0.0 }
evaluate: { language: cel }
do:
${text}`,
    );
  const model = (name: string, endpoint: object) =>
    file(`models/${name}/model.yaml`, JSON.stringify({ ...CASCADE, name, endpoint }));
  const names = () => app.stations.models.list().map(({ name }) => name);

  it('refuses a flow that needs a run, with its place and the way forward, and changes nothing', async () => {
    const tell = '  - tell: { emit: { event: { with: { type: t, source: "urn:s" } } } }';
    await expect(
      app.apply([steps('telling', tell), model('telling', { flow: 'telling' })]),
    ).rejects.toMatchObject({
      code: 'models.flow_needs_run',
      issues: [
        {
          file: 'models/telling/model.yaml',
          path: '/endpoint/flow',
          line: 1,
          message: expect.stringContaining('the flow “telling”, /do/0/tell: events are emitted with a run'),
          expected: expect.stringContaining('start it as a run'),
        },
      ],
    });
    expect(names()).not.toContain('telling');
    expect(app.stations.definitions.latest('workflow', 'telling')).toBeUndefined();
  });

  it.each([
    [
      'a flow that is not there',
      [],
      { flow: 'nowhere' },
      'definition.reference',
      'there is no workflow “nowhere”',
    ],
    [
      'a model inside that is not there',
      [['asks', '  - ask: { call: "infer:1@default", with: { model: nobody, features: {} } }']],
      { flow: 'asks' },
      'definition.reference',
      'asks for the model “nobody”',
    ],
    [
      'itself by way of another that is applied with it',
      [
        ['asks', '  - ask: { call: "infer:1@default", with: { model: other, features: {} } }'],
        ['back', '  - ask: { call: "infer:1@default", with: { model: refused, features: {} } }'],
      ],
      { flow: 'asks' },
      'models.flow_cycle',
      'refused → other → refused',
    ],
    [
      'itself',
      [['asks', '  - ask: { call: "infer:1@default", with: { model: refused, features: {} } }']],
      { flow: 'asks' },
      'models.flow_cycle',
      'refused → refused',
    ],
  ] as const)('refuses %s, and changes nothing', async (_, flows, endpoint, code, message) => {
    const files = flows.map(([name, text]) => steps(name, text));
    if (files.length > 1) files.push(model('other', { flow: 'back' }));
    await expect(app.apply([...files, model('refused', endpoint)])).rejects.toMatchObject({
      code: expect.stringMatching(code),
      issues: expect.arrayContaining([
        expect.objectContaining({ path: '/endpoint/flow', message: expect.stringContaining(message) }),
      ]),
    });
    expect(names()).not.toContain('refused');
    expect(app.stations.definitions.latest('model', 'refused')).toBeUndefined();
  });

  it('keeps the flow that a version was registered with; a version that asks for the new one is a new one', async () => {
    const constant = (value: number) =>
      steps('constant', `  - say: { set: { risk: "\${ input.features.map(row, [${value}]) }" } }`);
    await app.apply([constant(1), model('constant', { flow: 'constant' })]);
    await app.apply([constant(2)]);
    expect((await ask('constant', [[3, 4]])).outputs[0]!.data).toEqual([1]);
    await app.apply([model('constant', { flow: 'constant', version: 2 })]);
    await app.stations.models.promote({
      name: 'constant',
      alias: 'champion',
      version: 2,
      by: { kind: 'key', id: 'k' },
    });
    expect((await ask('constant', [[3, 4]])).outputs[0]!.data).toEqual([2]);
    const drawn = await Promise.all(
      [1, 2, 9].map((version) => get(`/api/v1/workflows/constant/graph?version=${version}`)),
    );
    const say = { nodes: expect.arrayContaining([expect.objectContaining({ id: 'say' })]) };
    expect(drawn).toMatchObject([say, say, { code: 'workflow.not_found' }]);
  });

  it('registers by the API, once for one flow, and takes the newest version of it', async () => {
    const register = () =>
      post('/api/v1/models/by-api/versions', {
        runtime: 'workflow',
        endpoint: { flow: 'constant' },
        signature: CASCADE.signature,
      });
    expect(await register()).toMatchObject({ version: 1, endpoint: { flow: 'constant', version: 2 } });
    expect(await register()).toMatchObject({ version: 1 });
  });
});
