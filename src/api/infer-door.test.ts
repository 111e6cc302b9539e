import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { BodyIntake } from './body-intake.ts';
import { Cors } from './cors.ts';
import { InferDoor } from './infer-door.ts';
import {
  type Asked,
  type InferUnderTest,
  inferOf,
  message,
  openInferUnderTest,
  Wire,
} from './infer-under-test.ts';
import { handlingFor } from './lean/door.ts';
import { readHead } from './lean/head.ts';

const binary = () => {
  const json = JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
    parameters: { binary_data_output: true },
  });
  return {
    headers: {
      'inference-header-content-length': String(json.length),
      'content-type': 'application/octet-stream',
    },
    body: Buffer.concat([Buffer.from(json), Buffer.from(Float32Array.of(1.5, -2).buffer)]),
  };
};

const SHARED_HEADERS = [
  'x-content-type-options',
  'referrer-policy',
  'retry-after',
  'www-authenticate',
  'x-request-id',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'vary',
  'ratelimit',
  'ratelimit-policy',
];

describe('the inference door', () => {
  let door: InferUnderTest;
  beforeAll(async () => {
    door = await openInferUnderTest('requestBytesMax=100000', ['https://app.example']);
  });
  afterAll(() => door.close());

  const asked: [string, Asked][] = [
    ['tensors', {}],
    ['a version', { url: '/v2/models/double/versions/3/infer' }],
    ['an id that is not ASCII', { body: JSON.stringify({ id: 'größer 语', ...JSON.parse(inferOf([3])) }) }],
    ['binary tensors', binary()],
    ['a key that is looked up first', { key: 'slowly-may' }],
    ['a call that its limit had counted and that fails', { url: '/v2/models/limited-full/infer' }],
    ['no key', { key: '' }],
    ['a wrong key', { key: 'wrong' }],
    ['a key without the permission', { key: 'other' }],
    ['no JSON', { body: '{"inputs":' }],
    ['NaN', { body: '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[NaN]}]}' }],
    ['no body', { body: '' }],
    ['a shape that lies', { body: '{"inputs":[{"name":"x","datatype":"FP32","shape":[9,9],"data":[1]}]}' }],
    ['an unknown datatype', { body: '{"inputs":[{"name":"x","datatype":"FP99","shape":[1],"data":[1]}]}' }],
    ['truncated binary tensors', { ...binary(), body: binary().body.subarray(0, -3) }],
    [
      'a header length past the end',
      { ...binary(), headers: { 'inference-header-content-length': '100000' } },
    ],
    ['a header length that is none', { headers: { 'inference-header-content-length': '1e2' } }],
    ['a model that is not there', { url: '/v2/models/none/infer' }],
    ['a model with a rate limit', { url: '/v2/models/limited/infer' }],
    ['a call over it', { url: '/v2/models/refuses/infer' }],
    ['a queue that is full', { url: '/v2/models/full/infer' }],
    ['a fault', { url: '/v2/models/broken/infer' }],
    ['a version that is none', { url: '/v2/models/double/versions/x/infer' }],
    ['a body over the limit', { body: 'x'.repeat(100_001) }],
  ];
  it.each(asked)(
    'answers %s as the route does, lean and on an ordinary connection',
    async (_name, request) => {
      const { url = '/v2/models/double/infer', key = 'may', body = inferOf([1, 2]) } = request;
      const headers = { ...request.headers, 'x-request-id': 'ask-1', origin: 'https://app.example' };
      const asked = { ...request, headers };
      const route = await door.server.inject({
        method: 'POST',
        url,
        headers: { host: 'localhost', ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
        payload: Buffer.from(body),
      });
      const lean = new Wire(door.port).write(message(asked));
      const ordinary = new Wire(door.port).write(message({ method: 'GET', url: '/v2/health/live' }));
      expect((await ordinary.answer())?.status).toBe(200);
      ordinary.write(message(asked));
      for (const wire of [lean, ordinary]) {
        const answer = (await wire.answer())!;
        expect([answer.status, answer.body.toString('latin1')]).toEqual([
          route.statusCode,
          route.rawPayload.toString('latin1'),
        ]);
        const bare = (type: unknown) => String(type).replace('; charset=utf-8', '');
        expect(bare(answer.headers['content-type'])).toBe(bare(route.headers['content-type']));
        for (const name of SHARED_HEADERS)
          expect([name, answer.headers[name]]).toEqual([name, route.headers[name]]);
        expect(answer.headers['inference-header-content-length']).toBe(
          route.headers['inference-header-content-length'],
        );
        wire.socket.destroy();
      }
    },
  );

  it('tells what is left of a rate limit, to who is refused or fails too, and nothing where there is none', async () => {
    const wire = new Wire(door.port);
    const told: (string | undefined)[] = [];
    for (const model of ['limited', 'refuses', 'limited-full', 'double']) {
      const answer = (await wire.write(message({ url: `/v2/models/${model}/infer` })).answer())!;
      told.push(answer.headers.ratelimit, answer.headers['ratelimit-policy']);
    }
    wire.socket.destroy();
    const left = ['"requests";r=4;t=1', '"requests";q=5;w=1'];
    expect(told).toEqual([...left, ...left, ...left, undefined, undefined]);
  });

  it('tells the model who asks and for how long, by every way', async () => {
    const body = JSON.stringify({ ...JSON.parse(inferOf([1])), parameters: { timeout: 2_000_000 } });
    const reached = door.calls.length;
    const wire = new Wire(door.port);
    for (const request of [{ body }, { method: 'GET', url: '/v2' }, { body }]) {
      wire.write(message(request));
      await wire.answer();
    }
    wire.socket.destroy();
    await door.server.inject({
      method: 'POST',
      url: '/v2/models/double/infer',
      headers: { host: 'localhost', authorization: 'Bearer may' },
      payload: body,
    });
    const calls = door.calls.slice(reached).map(({ caller, deadlineMs }) => [caller?.id, deadlineMs]);
    expect(calls).toEqual([1, 2, 3].map(() => ['may', 2000]));
  });

  it('spares plain inferences node:http, and gives it the rest of a connection that brings something else', async () => {
    const urls: (string | undefined)[] = [];
    door.server.server.on('request', ({ url }) => void urls.push(url));
    const wire = new Wire(door.port);
    for (const request of [{}, {}, { method: 'GET', url: '/v2' }, {}]) {
      wire.write(message(request));
      expect((await wire.answer())?.status).toBe(200);
    }
    wire.socket.destroy();
    expect(urls).toEqual(['/v2', '/v2/models/double/infer']);
  });

  it('answers what is sent ahead in order, and then whatever else the connection brings', async () => {
    const wire = new Wire(door.port);
    const many = Array.from({ length: 20 }, (_, i) => message({ body: inferOf([i]) }));
    wire.write(Buffer.concat([...many, message({ method: 'GET', url: '/v2' }), message({})]));
    for (let i = 0; i < 20; i++)
      expect(JSON.parse((await wire.answer())!.body.toString()).outputs[0].data).toEqual([2 * i]);
    expect(JSON.parse((await wire.answer())!.body.toString())).toMatchObject({ name: 'aios' });
    expect((await wire.answer())!.status).toBe(200);
    wire.socket.destroy();
  });

  it('reads a message however the network cuts it', async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(cuts, fc.boolean(), async (at, isBinary) => {
        const bytes = Buffer.concat([message({ body: inferOf([7]) }), message(isBinary ? binary() : {})]);
        const wire = new Wire(door.port);
        let from = 0;
        for (const to of [...new Set(at)].sort((a, b) => a - b)) {
          wire.write(bytes.subarray(from, to));
          from = to;
          await sleep(1);
        }
        wire.write(bytes.subarray(from));
        const answers = [await wire.answer(), await wire.answer()];
        wire.socket.destroy();
        expect(answers.map((answer) => answer?.status)).toEqual([200, 200]);
        expect(JSON.parse(answers[0]!.body.toString()).outputs[0].data).toEqual([14]);
      }),
      { numRuns: 60 },
    );
  });

  it('cancels what a caller who has gone waits for', async () => {
    const wire = new Wire(door.port).write(message({ url: '/v2/models/hangs/infer' }));
    await expect.poll(() => door.calls.at(-1)?.model).toBe('hangs');
    const { signal } = door.calls.at(-1)!;
    expect(signal!.aborted).toBe(false);
    wire.socket.destroy();
    await expect.poll(() => signal!.aborted).toBe(true);
    door.release();
  });

  it('answers what is under way when the server closes, and closes idle connections', async () => {
    const closing = await openInferUnderTest();
    const idle = new Wire(closing.port).write(message({}));
    await idle.answer();
    const busy = new Wire(closing.port).write(message({ url: '/v2/models/hangs/infer' }));
    await expect.poll(() => closing.calls.length).toBe(2);
    const closed = closing.close();
    await idle.ended();
    closing.release();
    const { status, headers } = (await busy.answer())!;
    expect([status, headers.connection]).toEqual([200, 'close']);
    await Promise.all([closed, busy.ended()]);
  });

  it('told faults to the log and nothing else', () => {
    expect([...new Set(door.faults.map((fault) => fault.message))]).toEqual([
      'connect ECONNREFUSED 10.0.0.5:5432',
    ]);
  });
});

describe('a head', () => {
  const lines = ['host: a', 'content-length: 2', 'authorization: Bearer k'];
  const head = (...changed: readonly string[]) =>
    `${['POST /v2/models/m/infer HTTP/1.1', ...changed].join('\r\n')}\r\n\r\n`;

  const door = new InferDoor(
    { infer: () => Promise.reject(new Error('unused')) },
    {
      access: { authenticate: () => undefined, can: () => false },
      bodyBytesMax: 100,
      limits: limitsFrom(''),
      cors: new Cors([]),
      intake: new BodyIntake(limitsFrom('')),
      onFault: () => {},
    },
  );
  const taken = (text: string) => {
    const read = readHead(text);
    return read && handlingFor([door], read);
  };

  it('of a plain inference is read', () => {
    const read = readHead(head(...lines));
    expect(read).toMatchObject({ url: '/v2/models/m/infer', bodyBytes: 2 });
    expect(read?.headers.authorization).toBe('Bearer k');
    expect(taken(head(...lines))?.handle).toBeTypeOf('function');
  });

  it.each([
    ['a second length', head(...lines, 'content-length: 2')],
    ['a second host', head(...lines, 'host: b')],
    ['chunks', head(...lines, 'transfer-encoding: chunked')],
    ['chunks in another spelling', head(...lines, 'Transfer-Encoding: identity')],
    ['a compressed body', head(...lines, 'content-encoding: gzip')],
    ['a space before the colon', head(...lines, 'x-a : 1')],
    ['a folded line', head(...lines, 'x-a: 1', ' 2')],
    ['a line without a colon', head(...lines, 'x-a')],
    ['a bare line feed', head(...lines, 'x-a: 1\ncontent-length: 9')],
    ['a bare carriage return', head(...lines, 'x-a: 1\rcontent-length: 9')],
    ['a NUL', head(...lines, 'x-a: \u0000')],
    ['a character that is not ASCII', head(...lines, 'x-a: ü')],
    ['no host', head('content-length: 2')],
    ['no length', head('host: a')],
    ['a length with a sign', head('host: a', 'content-length: +2')],
    ['a length in hexadecimal', head('host: a', 'content-length: 0x2')],
    ['two lengths in one', head('host: a', 'content-length: 2, 2')],
    ['a length over the limit', head('host: a', 'content-length: 101')],
    ['a connection to be closed', head(...lines, 'connection: close')],
    ['an answer to be compressed', head(...lines, 'accept-encoding: gzip')],
    ['an upgrade', head(...lines, 'upgrade: h2c')],
    ['an expectation', head(...lines, 'expect: 100-continue')],
    ['another version of HTTP', head(...lines).replace('HTTP/1.1', 'HTTP/1.0')],
    ['two spaces', head(...lines).replace(' HTTP', '  HTTP')],
    ['a query', head(...lines).replace('/infer', '/infer?a=1')],
    ['an escaped address', head(...lines).replace('/m/', '/%6d/')],
    ['a path that climbs', head(...lines).replace('/m/', '/../')],
    ['another method', head(...lines).replace('POST', 'PUT')],
    ['sixty-five headers', head(...lines, ...Array.from({ length: 62 }, (_, i) => `x-${i}: 1`))],
  ])('with %s is left to node', (_name, text) => expect(taken(text)).toBeUndefined());
});
