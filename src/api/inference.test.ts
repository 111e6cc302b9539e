import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { type InferenceUnderTest, openInferenceUnderTest } from './inference-under-test.ts';

let door: InferenceUnderTest;
beforeAll(async () => {
  door = await openInferenceUnderTest('requestBytesMax=100000');
});
afterAll(() => door.close());

interface Call {
  method?: string;
  key?: string | undefined;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
}

async function call(path: string, { method, key = 'all', headers = {}, body }: Call = {}) {
  const response = await fetch(`${door.url}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(key && { authorization: `Bearer ${key}` }), ...headers },
    ...(body === undefined ? {} : { body }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const type = response.headers.get('content-type') ?? '';
  const json = type.includes('json') ? (JSON.parse(Buffer.from(bytes).toString()) as JsonObject) : {};
  return { status: response.status, headers: response.headers, bytes, json };
}

const request = JSON.stringify({
  id: 'one',
  inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
});
const url = '/v2/models/identity-fp32/infer';

describe('the inference routes', () => {
  it('tell what the server and its models are', async () => {
    expect((await call('/v2', { key: '' })).json).toMatchObject({ name: 'aios', version: 'test' });
    expect((await call('/v2/health/live', { key: '' })).json).toEqual({ live: true });
    expect((await call('/v2/health/ready', { key: '' })).json).toEqual({ live: true, ready: true });
    for (const path of ['/v2/models/add-sub', '/v2/models/add-sub/versions/1'])
      expect((await call(path)).json).toMatchObject({
        name: 'add-sub',
        versions: ['1'],
        platform: 'function',
        inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [-1, 4] }, {}],
      });
    expect((await call('/v2/models/add-sub/config')).json).toMatchObject({
      name: 'add-sub',
      max_batch_size: 8,
      input: [{ name: 'INPUT0', data_type: 'TYPE_FP32', dims: [4] }, {}],
      output: [{}, {}],
    });
  });

  it.each([
    ['a content type of JSON', { 'content-type': 'application/json' }],
    ['none', {}],
    ['another', { 'content-type': 'application/octet-stream' }],
  ])('read JSON under %s', async (_, headers) => {
    const { status, json } = await call(url, { headers, body: Buffer.from(request) });
    expect(status).toBe(200);
    expect(json).toEqual({
      model_name: 'identity-fp32',
      model_version: '1',
      id: 'one',
      outputs: [{ name: 'OUTPUT0', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    });
  });

  it('answer by version and by alias', async () => {
    for (const version of ['1', 'champion'])
      expect(
        (await call(`/v2/models/identity-fp32/versions/${version}/infer`, { body: request })).status,
      ).toBe(200);
    expect(await call('/v2/models/identity-fp32/versions/9/infer', { body: request })).toMatchObject({
      status: 404,
      json: { code: 'models.unknown_version', error: 'identity-fp32 has no version “9”.' },
    });
  });

  it('carry tensors in binary, with a header and without one', async () => {
    const floats = new Uint8Array(Float32Array.of(1, 2, 3, Number.NaN).buffer);
    const header = JSON.stringify({
      inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } }],
      outputs: [{ name: 'OUTPUT0', parameters: { binary_data: true } }],
    });
    for (const [length, body] of [
      [String(header.length), Buffer.concat([Buffer.from(header), floats])],
      ['0', Buffer.from(floats)],
    ] as const) {
      const { status, headers, bytes } = await call(url, {
        headers: { 'inference-header-content-length': length, 'content-type': 'application/octet-stream' },
        body: new Uint8Array(body),
      });
      expect(status).toBe(200);
      expect(headers.get('content-type')).toBe('application/octet-stream');
      const headerBytes = Number(headers.get('inference-header-content-length'));
      expect(JSON.parse(Buffer.from(bytes.subarray(0, headerBytes)).toString())).toMatchObject({
        outputs: [{ name: 'OUTPUT0', shape: [2, 2], parameters: { binary_data_size: 16 } }],
      });
      expect(Buffer.from(bytes.subarray(headerBytes)).equals(floats)).toBe(true);
    }
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('read bodies in %s, and refuse those that grow past the limit', async (coding, compress) => {
    const send = (text: string) =>
      call(url, { headers: { 'content-encoding': coding }, body: new Uint8Array(compress(text)) });
    expect((await send(request)).status).toBe(200);
    expect((await send(`${request}${' '.repeat(100_000)}`)).json).toMatchObject({
      code: 'request.too_large',
    });
    const garbage = await call(url, { headers: { 'content-encoding': coding }, body: request });
    expect(garbage.json).toMatchObject({ code: 'request.malformed' });
    const other = await call(url, { headers: { 'content-encoding': 'br' }, body: request });
    expect(other.json).toMatchObject({ code: 'request.media_type' });
  });

  it('compress an answer for who asks for one coding, and not for a library that always lists them', async () => {
    const read = async (accepted: string) => {
      // Node's fetch decompresses by itself.
      const { headers, bytes } = await call(url, { headers: { 'accept-encoding': accepted }, body: request });
      return [headers.get('content-encoding'), bytes.length];
    };
    const [, plain] = await read('gzip, deflate, br');
    expect(await read('gzip, deflate, br')).toEqual([null, plain]);
    expect(await read('gzip')).toEqual(['gzip', plain]);
    expect(await read('deflate')).toEqual(['deflate', plain]);
  });

  it.each<[string, string, Call, number, string]>([
    ['an unknown model', '/v2/models/none/infer', { body: request }, 404, 'models.unknown_model'],
    ['an unknown address', '/v2/models/identity-fp32/explain', { body: request }, 404, 'request.not_found'],
    ['no key', url, { body: request, key: '' }, 401, 'access.unauthenticated'],
    ['a key that may not', url, { body: request, key: 'models.read' }, 403, 'access.forbidden'],
    ['an empty body', url, { method: 'POST' }, 400, 'request.malformed'],
    ['a body past the limit', url, { body: 'x'.repeat(100_001) }, 413, 'request.too_large'],
    [
      'a model that fails',
      '/v2/models/broken/infer',
      { body: request.replace('[1,2]}', '[2,2]}') },
      422,
      'serving.model_failed',
    ],
    [
      'two inputs without a header',
      '/v2/models/add-sub/infer',
      { headers: { 'inference-header-content-length': '0' }, body: 'ab' },
      400,
      'serving.raw_input',
    ],
  ])(
    'answer %s as a problem, with the one member that clients read',
    async (_, path, asked, status, code) => {
      const answer = await call(path, asked);
      expect(answer.status).toBe(status);
      expect(answer.json).toMatchObject({ code, error: answer.json.detail });
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    },
  );

  it('end an inference at the time that its caller sets', async () => {
    const late = JSON.stringify({ ...JSON.parse(request), parameters: { timeout: 1 } });
    const { status, json } = await call(url, { body: late });
    // A microsecond has passed before the queue is first looked at, unless the model answered in the same turn.
    expect([200, 504]).toContain(status);
    if (status === 504) expect(json).toMatchObject({ code: 'serving.timeout' });
  });
});

describe('the model repository', () => {
  const index = async (body?: string) =>
    (await call('/v2/repository/index', { method: 'POST', ...(body === undefined ? {} : { body }) }))
      .json as unknown as JsonObject[];

  it('lists what there is, loads it and unloads it, on record', async () => {
    await call('/v2/repository/models/identity-int8/unload', { method: 'POST' });
    const entry = { name: 'identity-int8', version: '1' };
    expect(await index()).toContainEqual({
      ...entry,
      state: 'UNAVAILABLE',
      reason: 'not loaded; the next request loads it',
    });
    expect((await call('/v2/models/identity-int8/ready')).status).toBe(503);
    const before = door.audited.length;
    expect((await call('/v2/repository/models/identity-int8/load', { body: '{}' })).status).toBe(200);
    expect(await index('{"ready":true}')).toContainEqual({ ...entry, state: 'READY', reason: '' });
    expect((await index('{"ready":true}')).every(({ state }) => state === 'READY')).toBe(true);
    expect((await call('/v2/models/identity-int8/ready')).json).toEqual({
      name: 'identity-int8',
      ready: true,
    });
    expect(
      (
        await call('/v2/repository/models/identity-int8/unload', {
          body: '{"parameters":{"unload_dependents":false}}',
        })
      ).status,
    ).toBe(200);
    expect((await call('/v2/models/identity-int8/ready')).status).toBe(503);
    expect(door.audited.slice(before)).toMatchObject([
      {
        kind: 'model',
        action: 'loaded',
        object: 'model:identity-int8',
        actor: { kind: 'key', id: 'key_test' },
        payload: { versions: [1] },
      },
      { kind: 'model', action: 'unloaded', payload: { versions: [1] } },
    ]);
  });

  it.each<[string, string, Call, string]>([
    ['an unknown model', '/v2/repository/models/none/load', { method: 'POST' }, 'models.unknown_model'],
    [
      'unloading an unknown model',
      '/v2/repository/models/none/unload',
      { method: 'POST' },
      'models.unknown_model',
    ],
    [
      'a configuration of the caller’s',
      '/v2/repository/models/broken/load',
      { body: '{"parameters":{"config":"{}"}}' },
      'serving.parameter_refused',
    ],
    [
      'a file of the caller’s',
      '/v2/repository/models/broken/load',
      { body: '{"parameters":{"file:1/model.onnx":"AA=="}}' },
      'serving.parameter_refused',
    ],
    ['a body that is not JSON', '/v2/repository/index', { body: '{' }, 'request.malformed'],
    ['a body that is not an object', '/v2/repository/index', { body: '[]' }, 'request.invalid'],
    ['a `ready` that is a text', '/v2/repository/index', { body: '{"ready":"yes"}' }, 'request.invalid'],
    ['a `ready` that is a number', '/v2/repository/index', { body: '{"ready":1}' }, 'request.invalid'],
    [
      'parameters that are a list',
      '/v2/repository/models/identity-int8/load',
      { body: '{"parameters":["config"]}' },
      'request.invalid',
    ],
    [
      'a key that may not load',
      '/v2/repository/models/broken/load',
      { method: 'POST', key: 'models.read' },
      'access.forbidden',
    ],
  ])('refuses %s', async (_, path, asked, code) => {
    expect((await call(path, asked)).json).toMatchObject({ code });
  });

  it('unloads what is at work once it has answered', async () => {
    const faults = door.faults.length;
    const answers = Promise.all(Array.from({ length: 20 }, () => call(url, { body: request })));
    await call('/v2/repository/models/identity-fp32/unload', { method: 'POST' });
    expect((await answers).map(({ status }) => status)).toEqual(new Array(20).fill(200));
    expect(door.faults).toHaveLength(faults);
  });
});
