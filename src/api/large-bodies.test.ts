import { once } from 'node:events';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { BodyIntake } from './body-intake.ts';
import { type InferUnderTest, inferOf, message, openInferUnderTest, Wire } from './infer-under-test.ts';

const LARGE = 300_000;
const WAIT = { timeout: 15_000 };

let door: InferUnderTest;
beforeAll(async () => {
  door = await openInferUnderTest('bodyIntakeBytesMax=500000,doorConnectionsMax=12');
});
afterAll(() => door.close());

const infer = '/v2/models/double/infer';
/** The head of a large request, without a byte of its body. */
function headOf(key: string | undefined, { url = infer, more = '', bytes = LARGE } = {}): string {
  const lines = key ? `authorization: Bearer ${key}\r\n` : '';
  return `POST ${url} HTTP/1.1\r\nhost: localhost\r\n${lines}${more}content-length: ${bytes}\r\n\r\n`;
}
const body = inferOf([1, 2]).padEnd(LARGE);
/** A connection that is node:http's, since the first request on it was. */
async function ordinary(): Promise<Wire> {
  const wire = new Wire(door.port).write(message({ url: '/v2', method: 'GET' }));
  await wire.answer();
  return wire;
}
const lean = async () => new Wire(door.port);
const framework = 'accept-encoding: gzip\r\n'; // what the lean door leaves to the route

const doors: [string, () => Promise<Wire>, string][] = [
  ['read lean', lean, ''],
  ['of node:http', ordinary, ''],
  ['of the framework', ordinary, framework],
];

it.each(doors)('asks for the key before it reads a large body on a connection %s', async (_, open, more) => {
  for (const [key, status, code] of [
    [undefined, 401, 'access.unauthenticated'],
    ['none', 401, 'access.unauthenticated'],
    ['other', 403, 'access.forbidden'],
    ['slowly-other', 403, 'access.forbidden'],
  ] as const) {
    const wire = (await open()).write(headOf(key, { more }));
    const answer = await wire.answer();
    expect([answer?.status, JSON.parse(answer!.body.toString()).code]).toEqual([status, code]);
    if (more === '') expect(answer!.headers.connection).toBe('close'); // the framework reads the rest and keeps none of it
    wire.socket.destroy();
  }
});

it.each(doors)('answers a large body of who may, in parts, on a connection %s', async (_, open, more) => {
  for (const key of ['may', 'slowly-may']) {
    const wire = (await open()).write(headOf(key, { more }));
    for (let at = 0; at < LARGE; at += 50_000) wire.write(body.slice(at, at + 50_000));
    expect((await wire.answer())?.status).toBe(200);
    // The connection goes on.
    wire.write(message({}));
    expect((await wire.answer())?.status).toBe(200);
    wire.socket.destroy();
  }
});

it.each(doors)(
  'holds large bodies to the intake until their answer on a connection %s',
  async (_, open, more) => {
    const hanging = () => door.calls.filter(({ model }) => model === 'hangs').length;
    const before = hanging();
    const first = (await open()).write(headOf('may', { url: '/v2/models/hangs/infer', more })).write(body);
    await expect.poll(hanging, WAIT).toBe(before + 1);
    const busy = (await open()).write(headOf('may', { more }));
    const refused = await busy.answer();
    expect(refused?.status).toBe(429);
    expect(JSON.parse(refused!.body.toString())).toMatchObject({
      code: 'request.overloaded',
      limitName: 'bodyIntakeBytesMax',
    });
    busy.socket.destroy();
    // Small ones pass by.
    const small = (await open()).write(message({}));
    expect((await small.answer())?.status).toBe(200);
    small.socket.destroy();
    door.release();
    expect((await first.answer())?.status).toBe(200);
    // What was held is free again, also by one that goes away in the middle of its body.
    first.write(headOf('may', { more })).write(body.slice(0, 1000));
    first.socket.end();
    await first.ended();
    await expect
      .poll(async () => {
        const wire = (await open()).write(headOf('may', { more })).write(body);
        const answer = await wire.answer();
        wire.socket.destroy();
        return answer?.status;
      }, WAIT)
      .toBe(200);
  },
);

it('counts a compressed body as what it may become', async () => {
  const calls = () => door.calls.filter(({ model }) => model === 'hangs').length;
  const before = calls();
  const first = (await ordinary()).write(headOf('may', { url: '/v2/models/hangs/infer' })).write(body);
  await expect.poll(calls, WAIT).toBe(before + 1);
  const small = gzipSync(inferOf([1, 2]).padEnd(400_000)); // hundreds of bytes
  const ask = async () => {
    const wire = new Wire(door.port).write(
      headOf('may', { more: 'content-encoding: gzip\r\n', bytes: small.length }),
    );
    wire.write(small);
    const answer = await wire.answer();
    wire.socket.destroy();
    return answer?.status;
  };
  expect(await ask()).toBe(429);
  door.release();
  expect((await first.answer())?.status).toBe(200);
  first.socket.destroy();
  await expect.poll(ask, WAIT).toBe(200);
});

it('reads no large body without a route, and none of a public one', async () => {
  const missing = new Wire(door.port).write(headOf(undefined, { url: '/nowhere' }));
  expect(await missing.answer()).toMatchObject({ status: 404, headers: { connection: 'close' } });
  missing.socket.destroy();
  const open = new Wire(door.port).write(
    headOf(undefined, { url: '/v2/open', more: 'content-type: application/json\r\n' }),
  );
  expect((await open.answer())?.status).toBe(413);
  open.socket.destroy();
});

it('takes as many connections as its limit says', async () => {
  const connections = promisify(door.server.server.getConnections).bind(door.server.server);
  await expect.poll(() => connections(), WAIT).toBe(0);
  const wires = Array.from({ length: 12 }, () => new Wire(door.port));
  await Promise.all(wires.map(({ socket }) => once(socket, 'connect')));
  const over = new Wire(door.port).write(message({}));
  expect(await over.answer().catch(() => undefined)).toBeUndefined(); // reset, or closed
  for (const wire of wires) wire.socket.destroy();
  await Promise.all(wires.map((wire) => wire.ended()));
  await expect
    .poll(async () => {
      const again = new Wire(door.port).write(message({}));
      const answer = await again.answer().catch(() => undefined);
      again.socket.destroy();
      return answer?.status;
    }, WAIT)
    .toBe(200);
});

it('lets one body alone in whatever its size, and gives back once', () => {
  const intake = new BodyIntake(limitsFrom('bodyIntakeBytesMax=100,requestBytesMax=500'));
  const release = intake.take(400);
  expect(() => intake.take(1)).toThrow(expect.objectContaining({ code: 'request.overloaded' }));
  release();
  release();
  expect(intake.bytes).toBe(0);
  intake.take(60);
  expect(() => intake.take(undefined)).toThrow(); // of unknown length: the largest
  intake.take(40);
  expect(intake.bytes).toBe(100);
});
