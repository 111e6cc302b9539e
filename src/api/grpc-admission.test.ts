import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { openGrpcUnderTest } from './grpc-door-under-test.ts';

let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
let session: ClientHttp2Session;
beforeAll(async () => {
  door = await openGrpcUnderTest();
});
afterAll(() => door.close());
beforeEach(async () => {
  session = connect(`http://127.0.0.1:${door.door.port}`);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
});
afterEach(() => session.destroy());

/** Begins a call, sends what is given of its message and does not end it. */
async function begin(method: string, key: string | undefined, bytes?: Buffer) {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(key ? { authorization: `Bearer ${key}` } : {}),
  });
  stream.on('error', () => {});
  if (bytes) stream.write(bytes);
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  stream.destroy();
  return headers;
}
/** The first bytes of a message that says how long it is. */
function frameOf(length: number, sent: number): Buffer {
  const frame = Buffer.alloc(5 + sent);
  frame.writeUInt32BE(length, 1);
  return frame;
}

it.each([
  ['ModelInfer', undefined, status.UNAUTHENTICATED, 'access.unauthenticated'],
  ['ModelInfer', 'bad', status.UNAUTHENTICATED, 'access.unauthenticated'],
  ['ModelInfer', 'weak', status.PERMISSION_DENIED, 'access.forbidden'],
  ['ModelStreamInfer', undefined, status.UNAUTHENTICATED, 'access.unauthenticated'],
  ['RepositoryModelLoad', 'weak', status.PERMISSION_DENIED, 'access.forbidden'],
] as const)('refuses %s by the key %s before a message is there', async (method, key, code, aiosCode) => {
  expect(await begin(method, key)).toMatchObject({ 'grpc-status': String(code), 'aios-code': aiosCode });
  expect(await begin(method, key, frameOf(900_000, 50_000))).toMatchObject({ 'grpc-status': String(code) });
});

it('takes no large message for a method that is open to all', async () => {
  expect(await begin('ServerLive', undefined, frameOf(100_000, 100))).toMatchObject({
    'grpc-status': String(status.RESOURCE_EXHAUSTED),
  });
});

it('tells clients how many calls a connection takes', () => {
  expect(session.remoteSettings.maxConcurrentStreams).toBe(17);
});

it('takes as many connections as its limit says', async () => {
  const more = Array.from({ length: 6 }, () => {
    const socket = connectSocket(door.door.port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    return socket;
  });
  // One is the session's.
  await expect.poll(() => more.filter(({ closed }) => closed).length, { timeout: 15_000 }).toBe(2);
  for (const socket of more) socket.destroy();
});
