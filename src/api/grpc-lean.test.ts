import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadGrpcServices } from '../serving/protocol/grpc-services.ts';
import { openGrpcUnderTest } from './grpc-door-under-test.ts';
import { answerLean, type LeanGrpcOptions } from './grpc-lean.ts';

const PATH = '/inference.GRPCInferenceService/ModelInfer';
const LEAN = { 'content-type': 'application/grpc' };
/** With a parameter that changes nothing, a call is left to grpc-js. */
const LIBRARY = { 'content-type': 'application/grpc; by=grpc-js' };

const { inference } = await loadGrpcServices();
const { requestSerialize, responseDeserialize } = inference.ModelInfer!;
const inferOf = (model_name: string, first = 1, more: object = {}) => ({
  model_name,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
  raw_input_contents: [Buffer.from(Float32Array.from([first, 2]).buffer)],
  ...more,
});

function framed(bytes: Uint8Array, { flag = 0, length = bytes.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

/** One call over HTTP/2: what it sends, with or without its end, and what it is told. */
async function call(session: ClientHttp2Session, headers: object, bytes: Buffer, isWhole = true) {
  const stream = session.request({
    ':method': 'POST',
    ':path': PATH,
    te: 'trailers',
    authorization: 'Bearer good',
    'x-request-id': 'mine',
    ...headers,
  });
  stream.on('error', () => {});
  if (isWhole) stream.end(bytes);
  else stream.write(bytes);
  let told: IncomingHttpHeaders = {};
  const parts: Buffer[] = [];
  stream.on('response', (response) => {
    told = { ...response, ...told };
  });
  stream.on('trailers', (trailers) => {
    told = { ...told, ...trailers };
  });
  stream.on('data', (part: Buffer) => parts.push(part));
  await new Promise<void>((resolve) => {
    stream.on('end', resolve);
    stream.on('close', resolve);
  });
  stream.destroy();
  const answer = Buffer.concat(parts);
  return {
    code: Number(told['grpc-status']),
    details: told['grpc-message'],
    aiosCode: told['aios-code'],
    requestId: told['x-request-id'],
    answer: answer.length > 5 ? (responseDeserialize(answer.subarray(5)) as { id: string }) : undefined,
    isByLibrary: told['grpc-encoding'] !== undefined,
  };
}

describe('a plain call of ModelInfer', () => {
  let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  let session: ClientHttp2Session;
  beforeAll(async () => {
    door = await openGrpcUnderTest();
    session = connect(`http://127.0.0.1:${door.door.port}`);
    await once(session, 'remoteSettings');
  });
  afterAll(async () => {
    session.destroy();
    await door.close();
  });

  it('is answered without grpc-js, to the same bytes', async () => {
    const request = framed(requestSerialize(inferOf('echo-fp32', 7, { id: 'r1' })));
    const lean = await call(session, LEAN, request);
    const library = await call(session, LIBRARY, request);
    expect([lean.isByLibrary, library.isByLibrary]).toEqual([false, true]);
    expect(lean).toEqual({ ...library, isByLibrary: false });
    expect(lean).toMatchObject({ code: status.OK, answer: { id: 'r1', model_version: '3' } });
    expect(lean.requestId).toBe('mine');
  });

  it('may come in pieces', async () => {
    const bytes = framed(requestSerialize(inferOf('echo-fp32')));
    const stream = session.request({
      ':method': 'POST',
      ':path': PATH,
      authorization: 'Bearer later',
      ...LEAN,
    });
    for (const byte of bytes) stream.write(Buffer.of(byte));
    stream.end();
    const [trailers] = (await once(stream.resume(), 'trailers')) as [IncomingHttpHeaders];
    expect(trailers['grpc-status']).toBe('0');
  });

  const fine = framed(requestSerialize(inferOf('echo-fp32')));
  it.each<[string, Buffer, object, keyof typeof status]>([
    ['of a model that there is not', framed(requestSerialize(inferOf('nobody'))), {}, 'NOT_FOUND'],
    [
      'of another version',
      framed(requestSerialize(inferOf('echo-fp32', 1, { model_version: '9' }))),
      {},
      'NOT_FOUND',
    ],
    ['without its input', framed(requestSerialize({ model_name: 'echo-fp32' })), {}, 'INVALID_ARGUMENT'],
    ['that its model refuses', framed(requestSerialize(inferOf('failing', 13))), {}, 'INVALID_ARGUMENT'],
    ['with a key that is not valid', fine, { authorization: 'Bearer bad' }, 'UNAUTHENTICATED'],
    ['with a key that may not', fine, { authorization: 'Bearer weak' }, 'PERMISSION_DENIED'],
    ['over the limit', framed(Buffer.alloc(10), { length: 2_000_000 }), {}, 'RESOURCE_EXHAUSTED'],
    ['that is no message of the protocol', framed(Buffer.from([0x0a, 0xff])), {}, 'INTERNAL'],
    [
      'past its deadline',
      framed(requestSerialize(inferOf('never'))),
      { 'grpc-timeout': '50m' },
      'DEADLINE_EXCEEDED',
    ],
  ])('has the status that grpc-js would give it: one %s', async (_, bytes, headers, name) => {
    const lean = await call(session, { ...LEAN, ...headers }, bytes);
    const library = await call(session, { ...LIBRARY, ...headers }, bytes);
    // Whoever notices first that a time is over, the call or what it waits for, has words of its own.
    const { details, aiosCode } = lean;
    const words = name === 'DEADLINE_EXCEEDED' ? { details, aiosCode } : {};
    expect(lean).toEqual({ ...library, ...words, isByLibrary: false });
    expect(lean.code).toBe(status[name]);
  });

  it.each<[string, Buffer, keyof typeof status]>([
    ['without a message', Buffer.alloc(0), 'UNIMPLEMENTED'],
    ['with two messages', Buffer.concat([fine, fine]), 'UNIMPLEMENTED'],
    [
      'with a message that says it is compressed, and not how',
      framed(fine.subarray(5), { flag: 1 }),
      'INTERNAL',
    ],
  ])('is refused %s', async (_, bytes, name) => {
    expect(await call(session, LEAN, bytes)).toMatchObject({ code: status[name], answer: undefined });
  });

  it('ends at its deadline while its message is still coming', async () => {
    const half = fine.subarray(0, 20);
    const ended = await call(session, { ...LEAN, 'grpc-timeout': '50m' }, half, false);
    expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
  });

  it('holds up no other call of its connection when it ends so', async () => {
    expect(await call(session, LEAN, fine)).toMatchObject({ code: status.OK });
  });
});

describe('a call that is not as plain', () => {
  it.each<[string, object, boolean]>([
    ['as they come', {}, true],
    ['that are marked as not compressed', { 'grpc-encoding': 'identity' }, true],
    ['with a deadline', { 'grpc-timeout': '100S' }, true],
    ['that are compressed', { 'grpc-encoding': 'gzip' }, false],
    ['with a deadline that cannot be read', { 'grpc-timeout': 'soon' }, false],
    ['that their caller traces', { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` }, false],
    ['of another method', { ':path': '/inference.GRPCInferenceService/ModelReady' }, false],
    ['of another content type', { 'content-type': 'application/json' }, false],
    ['by GET', { ':method': 'GET' }, false],
  ])(
    'is left to grpc-js, which always knows which connections are in use: calls %s',
    async (_, headers, isOurs) => {
      const seen: string[] = [];
      const http2 = createServer();
      http2.on('stream', (stream) => {
        seen.push('library');
        stream.respond({ ':status': 200 }, { endStream: true });
      });
      const inside = {
        http2Servers: new Map([[Object.assign(http2, { maxConnections: 9 }), {}]]),
        onStreamOpened: (_stream: ServerHttp2Stream) => void seen.push('lean'),
      };
      const refused = { code: status.UNAUTHENTICATED, details: 'no', metadata: undefined };
      const calls = {
        isTraced: true,
        newHead: () => ({ requestId: 'mine', tell: () => {} }),
        caller: () => {
          throw new Error('nobody comes in here');
        },
        refusalOf: () => refused,
      };
      const rest = { method: inference.ModelInfer!, inference: {}, intake: {}, messageBytesMax: 1000 };
      answerLean(inside, { calls, ...rest } as unknown as LeanGrpcOptions);
      await new Promise<void>((done) => http2.listen(0, '127.0.0.1', done));
      const session = connect(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
      await call(session, { ...LEAN, ...headers }, Buffer.alloc(0));
      expect(seen).toEqual([isOurs ? 'lean' : 'library']);
      session.destroy();
      http2.close();
    },
  );
});
