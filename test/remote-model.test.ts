import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newSecret } from '../src/access/key-format.ts';
import type { App } from '../src/app/app.ts';
import { logisticModel } from '../src/testing/onnx.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

/** One AIOS that serves a file, and two models of which it says that another server runs them: itself, over HTTP and over gRPC. */
let app: App;
let dataDir: string;
let close: OpenedApp['close'];
const adminKey = newSecret('key');
beforeAll(async () => {
  process.env.AIOS_SECRET_SELF = adminKey;
  process.env.AIOS_HTTP_ALLOW_PRIVATE = '127.0.0.1';
  ({ app, dataDir, close } = await openApp({ grpc: { port: 0 }, adminKey }));
});
afterAll(async () => {
  await close();
  delete process.env.AIOS_SECRET_SELF;
  delete process.env.AIOS_HTTP_ALLOW_PRIVATE;
});

const file = (path: string, content: string | Uint8Array) => ({
  path,
  bytes: typeof content === 'string' ? new TextEncoder().encode(content) : content,
});
const far = (name: string, protocol: string, url: string) =>
  file(
    `models/${name}/model.yaml`,
    `name: ${name}
runtime: oip
endpoint:
  url: ${url}
  model: near
  protocol: ${protocol}
  headers: { authorization: "Bearer \${secrets.SELF}" }
signature: { features: [orders, returns], results: { risk: { output: probabilities, column: 0 } } }
serving: { replicas: 2 }
`,
  );

it('serves models of other servers, applied from a project, over HTTP and gRPC', async () => {
  await app.apply([
    file('models/near/model.yaml', 'name: near\nfile: near.onnx\n'),
    file('models/near/near.onnx', logisticModel([1, -1], 0)),
  ]);
  await app.apply([
    far('far-http', 'http', app.url),
    far('far-grpc', 'grpc', `http://127.0.0.1:${app.grpc?.port}`),
  ]);
  const { serving } = app.stations;
  for (const model of ['far-http', 'far-grpc']) {
    const scores = await Promise.all(
      [0, 1, 2, 3].map((x) => serving.score({ model, features: { orders: x, returns: x } })),
    );
    expect(scores.map(({ outputs }) => outputs)).toEqual(scores.map(() => ({ risk: 0.5 })));
    const response = await fetch(`${app.url}/v2/models/${model}`, {
      headers: { authorization: `Bearer ${adminKey}` },
    });
    expect(await response.json()).toMatchObject({ name: model, platform: 'oip', versions: ['1'] });
  }
  const [entry] = await app.stations.db.query<{ body: { endpoint: object } }>(
    "select body from definitions where kind = 'model' and name = 'far-http'",
  );
  expect(JSON.stringify(entry)).not.toContain(adminKey);
});

it('refuses a definition whose server is away, and changes nothing', async () => {
  await expect(app.apply([far('lost', 'http', 'http://127.0.0.1:9')])).rejects.toMatchObject({
    code: 'models.endpoint_unavailable',
    message: expect.stringContaining('models/lost/model.yaml'),
  });
  expect(app.stations.models.list().map(({ name }) => name)).not.toContain('lost');
});

it('says which variable names no port for gRPC', async () => {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const env = { ...process.env, AIOS_GRPC_PORT: 'none', AIOS_DATA_DIR: join(dataDir, 'never') };
  const started = promisify(execFile)(process.execPath, [main, 'start'], { env });
  await expect(started).rejects.toMatchObject({ stderr: expect.stringContaining('AIOS_GRPC_PORT: “none”') });
});
