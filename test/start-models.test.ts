import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase } from '../src/testing/database.ts';
import { logisticModel } from '../src/testing/onnx.ts';

it('starts although a model cannot be loaded: that one says why, and everything else answers', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'aios-start-'));
  const database = await createTestDatabase([]);
  const start = (limits: string) =>
    createApp({
      dataDir,
      databaseUrl: database.url,
      host: '127.0.0.1',
      port: 0,
      grpc: undefined,
      limits: limitsFrom(limits),
    });
  const onnxBase64 = Buffer.from(logisticModel([1, -2], 0)).toString('base64');
  let app = await start('');
  try {
    const call = async (method: string, path: string, body?: object) => {
      const response = await fetch(app.url + path, {
        method,
        headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const inputs = [{ name: 'features', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
    const infer = () => call('POST', '/v2/models/risk/infer', { inputs });
    app.ready();
    expect((await call('POST', '/api/v1/models/risk/versions', { onnxBase64 })).status).toBe(201);
    await call('PUT', '/api/v1/models/risk/aliases/champion', { version: 1 });
    expect((await infer()).status).toBe(200);
    await app.stop();
    app = await start('modelMemoryBytesMax=1000'); // no model fits
    app.ready();
    expect((await call('GET', '/v2/health/ready')).status).toBe(200);
    expect((await call('GET', '/v2/models/risk/ready')).status).toBe(503);
    expect((await infer()).body).toMatchObject({ code: 'serving.memory_exceeded' });
  } finally {
    await app.stop();
    await database.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
