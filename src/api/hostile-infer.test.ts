import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { BodyIntake } from './body-intake.ts';
import { Cors } from './cors.ts';
import { InferDoor } from './infer-door.ts';
import { type InferUnderTest, inferOf, message, openInferUnderTest, Wire } from './infer-under-test.ts';
import { listenLean } from './lean/listener.ts';

const MEGABYTE = 1024 * 1024;

describe('the inference door under hostile clients', () => {
  let door: InferUnderTest;
  beforeAll(async () => {
    door = await openInferUnderTest();
  });
  afterAll(() => door.close());

  const stillServes = async () => {
    const wire = new Wire(door.port).write(message({}));
    expect((await wire.answer())?.status).toBe(200);
    wire.socket.destroy();
  };

  it('refuses 100 MB by what its head says, and keeps none of it', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const wire = new Wire(door.port);
    wire.write(
      `POST /v2/models/double/infer HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer may\r\ncontent-length: ${100 * MEGABYTE}\r\n\r\n`,
    );
    const part = Buffer.alloc(MEGABYTE, 0x20);
    for (let sent = 0; sent < 100 && !wire.socket.destroyed; sent++) {
      wire.write(part);
      await sleep(0);
    }
    const answer = await wire.answer();
    if (answer)
      expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([413, 'request.too_large']);
    wire.socket.destroy();
    expect((process.memoryUsage().arrayBuffers - before) / MEGABYTE).toBeLessThan(120); // the test's own copies
    await stillServes();
  });

  it.each([
    ['chunks and a length', 'transfer-encoding: chunked\r\ncontent-length: 4\r\n'],
    ['two lengths', 'content-length: 4\r\ncontent-length: 400\r\n'],
    ['a length with a sign', 'content-length: +4\r\n'],
    ['a length past any number', `content-length: ${'9'.repeat(30)}\r\n`],
    ['a length under nought', 'content-length: -1\r\n'],
    ['a line feed alone', 'content-length: 4\nx: 1\r\n'],
    ['a space before a colon', 'content-length : 4\r\n'],
  ])('runs no request that is hidden behind %s', async (_name, lines) => {
    const reached = door.calls.length;
    const wire = new Wire(door.port);
    const hidden = message({ body: inferOf([666]) }).toString('latin1');
    wire.write(
      `POST /v2/models/double/infer HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer may\r\n${lines}\r\n0\r\n\r\n${hidden}`,
    );
    expect((await wire.answer())?.status).toBe(400);
    wire.socket.destroy();
    expect(
      door.calls.slice(reached).filter(({ inputs }) => (inputs[0]!.data as Float32Array)[0] === 666),
    ).toEqual([]);
    await stillServes();
  });

  it('reads a body as long as its length says: what is over is another message, and none of ours', async () => {
    const wire = new Wire(door.port);
    const bytes = message({}).toString('latin1');
    wire.write(`${bytes}${'x'.repeat(50)}\r\n\r\n`);
    expect((await wire.answer())?.status).toBe(200);
    expect((await wire.answer())?.status).toBe(400);
    await wire.ended();
    await stillServes();
  });

  it('lets a client wait for what it has not sent, and serves the others meanwhile', async () => {
    const slow = Array.from({ length: 50 }, () => new Wire(door.port).write(message({}).subarray(0, -1)));
    for (let i = 0; i < 5; i++) await stillServes();
    for (const wire of slow) wire.write('}');
    for (const wire of slow) {
      expect((await wire.answer())?.status).toBe(200);
      wire.socket.destroy();
    }
  });

  it('reads no more of a client that does not read its answers', async () => {
    const wire = new Wire(door.port);
    wire.socket.pause();
    const reached = door.calls.length;
    const many = Buffer.concat(Array.from({ length: 1000 }, () => message({})));
    for (let i = 0; i < 60; i++) wire.write(many);
    await expect.poll(() => door.calls.length > reached).toBe(true);
    for (let before = -1; door.calls.length !== before; await sleep(200)) before = door.calls.length;
    expect(door.calls.length - reached).toBeLessThan(60_000);
    wire.socket.destroy();
    await stillServes();
  });

  it('ends connections whose body stays away, or that ask nothing', async () => {
    const server = createServer();
    const unused = { authenticate: () => undefined, can: () => false };
    const inner = new InferDoor(
      { infer: () => Promise.reject(new Error('unused')) },
      {
        access: unused,
        bodyBytesMax: 1000,
        limits: limitsFrom(''),
        intake: new BodyIntake(limitsFrom('')),
        cors: new Cors([]),
        onFault: () => {},
      },
    );
    const close = listenLean(server, [inner], { requestIdCharsMax: 128, requestMs: 200, keepAliveMs: 200 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const late = new Wire(port).write(message({}).subarray(0, -5));
    const quiet = new Wire(port);
    expect((await late.answer())?.status).toBe(408);
    await Promise.all([late.ended(), quiet.ended()]);
    close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('met no fault of its own', () => expect(door.faults).toEqual([]));
});
