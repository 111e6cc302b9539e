import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../../../kernel/limits.ts';
import { type RabbitUnderTest, rabbitPackages, startRabbit } from '../../../../testing/rabbitmq.ts';
import { bridgeContext } from '../context-under-test.ts';
import { amqpProtocol } from './amqp-protocol.ts';
import { amqpSource } from './amqp-source.ts';

const packages = await rabbitPackages();
const reason = packages ? '' : ' (skipped: no Debian to take rabbitmq-server from)';
/** RabbitMQ waits for so long for a reader (15 s where nobody says it), and for a sign of life. */
const SEND_MS = 1_000;
const HEARTBEAT_S = 1;
/** Several times as long. */
const STALLED_MS = 8_000;
const LARGE_BYTES = 300_000;
const SMALL_COUNT = 1_000;
const LARGE_COUNT = 100;
const { bridgeReadBytesMax: READ_BYTES_MAX } = limitsFrom();

describe.skipIf(!packages)(`AMQP, while a commit takes long${reason}`, () => {
  let rabbit: RabbitUnderTest;
  let connection: ChannelModel;
  let channel: Channel;
  beforeAll(async () => {
    const impatient = [`tcp_listen_options.send_timeout = ${SEND_MS}`, `heartbeat = ${HEARTBEAT_S}`];
    rabbit = await startRabbit(packages!, undefined, impatient);
    connection = await connect({ hostname: rabbit.host, port: rabbit.port });
    connection.on('error', () => {});
    channel = await connection.createConfirmChannel();
  }, 120_000);
  afterAll(async () => {
    await connection?.close().catch(() => {});
    await rabbit?.close();
  });

  it.each(['classic', 'quorum'])(
    'keeps its connection and its bound, and gives back the rest: each message comes once, in order, without an id of its own (%s)',
    async (type) => {
      const queue = `stalled-${type}`;
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
      const count = SMALL_COUNT + LARGE_COUNT;
      // Small ones, so that many are asked for; then large ones, of which few fit.
      for (let n = 0; n < count; n++)
        channel.sendToQueue(queue, Buffer.from(`#${n} `.padEnd(n < SMALL_COUNT ? 0 : LARGE_BYTES, 'x')));
      await (channel as Channel & { waitForConfirms(): Promise<void> }).waitForConfirms();
      const source = amqpSource(bridgeContext('in', amqpProtocol, { events: { type: "'t'" } }), {
        ...{ host: rabbit.host, port: rabbit.port, queue },
      });
      const ending = new AbortController();
      const read: number[] = [];
      let isStalled = false;
      for await (const { events, acknowledge } of source.read(undefined, ending.signal)) {
        const texts = events.map(({ data }) => data as string);
        expect(texts.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(READ_BYTES_MAX + LARGE_BYTES);
        read.push(...texts.map((text) => Number(text.slice(1).split(' ')[0])));
        if (!isStalled && texts.at(-1)!.length >= LARGE_BYTES) {
          isStalled = true;
          await sleep(STALLED_MS);
        }
        await acknowledge!();
        if (read.length >= count) break;
      }
      ending.abort();
      expect(read).toEqual(Array.from({ length: count }, (_, n) => n));
      const { messageCount } = await channel.checkQueue(queue);
      expect(messageCount).toBe(0);
    },
    120_000,
  );
});
