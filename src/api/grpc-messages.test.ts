import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { BodyIntake } from './body-intake.ts';
import { type GrpcAnswer, keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';
import { GrpcMessages } from './grpc-messages.ts';

const WAIT = { timeout: 15_000, interval: 10 };
const LARGE = 300_000;
const limits = limitsFrom('bodyIntakeBytesMax=500000,requestBytesMax=1000000');

/** As messages go over the wire. */
function framed(message: Buffer, isCompressed = false): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isCompressed ? 1 : 0;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

describe('messages of a call', () => {
  it('are whole however the bytes come', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 50 });
    const messages = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 });
    fc.assert(
      fc.property(messages, pieces, (sent, sizes) => {
        const wire = Buffer.concat(sent.map((bytes) => framed(Buffer.from(bytes))));
        const decoder = new GrpcMessages({ bytesMax: 100, intake: undefined }, () => expect.unreachable());
        const read: Buffer[] = [];
        for (let at = 0, i = 0; at < wire.length; i++) {
          const size = sizes[i % sizes.length]!;
          read.push(...decoder.write(wire.subarray(at, at + size)));
          at += size;
        }
        expect(read.map((bytes) => bytes.subarray(5))).toEqual(sent.map((bytes) => Buffer.from(bytes)));
        expect(Buffer.concat(read)).toEqual(wire);
      }),
    );
  });

  const open = (intake = new BodyIntake(limits)) => {
    const refused: AiosError[] = [];
    const decoder = new GrpcMessages({ bytesMax: limits.requestBytesMax, intake }, (error) =>
      refused.push(error),
    );
    return { decoder, intake, refused };
  };
  const headOf = (length: number, isCompressed = false) =>
    framed(Buffer.alloc(length), isCompressed).subarray(0, 6);

  it('have their place from their head to their answer, in their order, or to the end of the call', () => {
    const { decoder, intake } = open();
    decoder.write(headOf(LARGE));
    expect(intake.bytes).toBe(LARGE);
    decoder.write(Buffer.alloc(LARGE - 1));
    decoder.write(framed(Buffer.alloc(10))); // small ones have none
    decoder.write(framed(Buffer.alloc(100_000)));
    expect(intake.bytes).toBe(LARGE + 100_000);
    decoder.answered();
    expect(intake.bytes).toBe(100_000);
    decoder.answered();
    expect(intake.bytes).toBe(100_000);
    decoder.answered();
    expect(intake.bytes).toBe(0);
    decoder.write(headOf(LARGE));
    decoder.end();
    decoder.end();
    expect(intake.bytes).toBe(0);
  });

  it('are refused past the intake and past their length, and nothing more is read', () => {
    const { decoder, intake, refused } = open();
    decoder.write(headOf(LARGE));
    const second = open(intake);
    expect(second.decoder.write(framed(Buffer.alloc(LARGE)))).toEqual([]);
    expect(second.refused).toMatchObject([
      { code: 'request.overloaded', extensions: { limitName: 'bodyIntakeBytesMax' } },
    ]);
    expect(second.decoder.write(framed(Buffer.alloc(5)))).toEqual([]);
    expect(intake.bytes).toBe(LARGE);
    decoder.write(Buffer.alloc(LARGE - 1));
    decoder.write(headOf(1_000_001));
    expect(refused).toMatchObject([{ code: 'request.too_large' }]);
    expect(intake.bytes).toBe(0);
  });

  it('count as much as they may become when they are compressed', () => {
    const { decoder, intake, refused } = open();
    decoder.write(headOf(100, true));
    expect(intake.bytes).toBe(103_200);
    decoder.write(Buffer.alloc(99));
    decoder.write(headOf(5_000, true));
    expect(refused).toMatchObject([{ code: 'request.overloaded' }]);
  });

  it('are not waited for without end', () => {
    vi.useFakeTimers();
    try {
      const { decoder, intake, refused } = open();
      decoder.write(headOf(LARGE));
      vi.advanceTimersByTime(121_000);
      expect(refused).toMatchObject([{ code: 'request.timeout' }]);
      expect(intake.bytes).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('the gRPC door', () => {
  const intake = new BodyIntake(limits);
  let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  let session: ClientHttp2Session;
  beforeAll(async () => {
    door = await openGrpcUnderTest({ intake, openMessageMs: 300 });
    session = connect(`http://127.0.0.1:${door.door.port}`);
    session.on('error', () => {});
    await once(session, 'remoteSettings');
  });
  afterAll(async () => {
    session.destroy();
    await door.close();
  });

  const large = (model: string, first = 0) => {
    const raw = Buffer.alloc(LARGE);
    raw.writeFloatLE(first);
    return {
      model_name: model,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [LARGE / 8, 2] }],
      raw_input_contents: [raw],
    };
  };
  const small = {
    model_name: 'echo-fp32',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
    raw_input_contents: [Buffer.alloc(8)],
  };
  const begin = (method: string, key: string | undefined, headers = {}): ClientHttp2Stream =>
    session
      .request({
        ':method': 'POST',
        ':path': `/inference.GRPCInferenceService/${method}`,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...headers,
      })
      .on('error', () => {});

  it('holds large messages to the intake of all doors until their answer', async () => {
    const hanging = door.start('ModelInfer', large('never', 1), () => {});
    await expect.poll(() => intake.bytes, WAIT).toBeGreaterThan(LARGE);
    await expect(door.call('ModelInfer', large('echo-fp32'))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringMatching(/^request\.overloaded: 300\d+ bytes of requests are under way/),
    });
    expect((await door.call('ModelInfer', small)).model_name).toBe('echo-fp32');
    hanging.cancel();
    await expect.poll(() => intake.bytes, WAIT).toBe(0);
    expect((await door.call('ModelInfer', large('echo-fp32'))).model_name).toBe('echo-fp32');
    await expect.poll(() => intake.bytes, WAIT).toBe(0);
    const release = intake.take(LARGE); // of HTTP
    await expect(door.call('ModelInfer', large('echo-fp32'))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    release();
  });

  it('gives back what was held for one who goes away in the middle of a message', async () => {
    const stream = begin('ModelInfer', 'good');
    stream.write(framed(Buffer.alloc(LARGE)).subarray(0, 5_000));
    await expect.poll(() => intake.bytes, WAIT).toBe(LARGE);
    stream.destroy();
    await expect.poll(() => intake.bytes, WAIT).toBe(0);
  });

  it('holds the messages of a stream until each has its answer', async () => {
    const stream = door.stream(keyOf());
    const answers: GrpcAnswer[] = [];
    stream.on('data', (answer: GrpcAnswer) => answers.push(answer)).on('error', () => {});
    for (let i = 1; i <= 4; i++) {
      stream.write(large('echo-fp32'));
      await expect.poll(() => answers.length, WAIT).toBe(i);
      await expect.poll(() => intake.bytes, WAIT).toBe(0);
    }
    stream.write(large('never', 1));
    await expect.poll(() => intake.bytes, WAIT).toBeGreaterThan(LARGE);
    stream.cancel();
    await expect.poll(() => intake.bytes, WAIT).toBe(0);
    expect(answers.map(({ error_message }) => error_message)).toEqual(['', '', '', '']);
  });

  it('lets no message of a stranger grow, and waits for none for long', async () => {
    const grown = begin('ServerLive', undefined, { 'grpc-encoding': 'gzip' });
    grown.end(framed(gzipSync(Buffer.alloc(900_000)), true));
    const [refused] = (await once(grown, 'response')) as [IncomingHttpHeaders];
    expect(refused['grpc-status']).toBe(String(status.RESOURCE_EXHAUSTED));
    const slow = [Buffer.alloc(0), framed(Buffer.alloc(100)).subarray(0, 50)].map(async (bytes) => {
      const stream = begin('ServerLive', undefined);
      stream.write(bytes);
      const [late] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      expect(late).toMatchObject({
        'grpc-status': String(status.DEADLINE_EXCEEDED),
        'aios-code': 'request.timeout',
      });
    });
    await Promise.all(slow);
  });
});
