import { type Channel, type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import { type RabbitUnderTest, rabbitPackages, startRabbit } from '../../../../testing/rabbitmq.ts';
import { event } from '../../../event-under-test.ts';
import type { MessageFormat } from '../../port/protocol.ts';
import { bridgeContext } from '../context-under-test.ts';
import { type Following, follow } from '../following-under-test.ts';
import { logged, told } from '../told-under-test.ts';
import { amqpProtocol } from './amqp-protocol.ts';
import { amqpSink } from './amqp-sink.ts';
import { amqpSource } from './amqp-source.ts';

const packages = await rabbitPackages();
const reason = packages ? '' : ' (skipped: no Debian to take rabbitmq-server from)';
const MESSAGE_BYTES_MAX = 65_536;
const WAIT = { timeout: 20_000, interval: 50 };

describe.skipIf(!packages)(`AMQP, whose queues change${reason}`, () => {
  let rabbit: RabbitUnderTest;
  let connection: ChannelModel;
  let channel: Channel;
  let made = 0;
  beforeAll(async () => {
    rabbit = await startRabbit(packages!, undefined, [`max_message_size = ${MESSAGE_BYTES_MAX}`]);
    connection = await connect({ hostname: rabbit.host, port: rabbit.port });
    connection.on('error', () => {});
    channel = await connection.createChannel();
    channel.on('error', () => {});
  }, 120_000);
  afterAll(async () => {
    await connection?.close().catch(() => {});
    await rabbit?.close();
  });
  const queueOf = async (args: object = {}) => {
    const queue = `changing-${++made}`;
    await channel.assertQueue(queue, { durable: true, arguments: args });
    return queue;
  };
  const settings = (more: object) => ({ host: rabbit.host, port: rabbit.port, ...more }) as never;
  const source = (queue: string) =>
    amqpSource(bridgeContext('in', amqpProtocol, { events: { type: "'t'" } }), settings({ queue }));
  const data = ({ events }: Following) => events.map((one) => one.data);
  const left = async (queue: string) => (await channel.checkQueue(queue)).messageCount;
  const drained = async (queue: string) => {
    const ids: string[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) return ids;
      ids.push((JSON.parse(message.content.toString()) as CloudEvent).id);
    }
  };
  const batch = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => logged(from + n));

  it('goes on by itself with a queue that was deleted, and is made again', async () => {
    const queue = await queueOf();
    const following = follow(source(queue));
    channel.sendToQueue(queue, Buffer.from('a'));
    await expect.poll(() => data(following), WAIT).toEqual(['a']);
    await channel.deleteQueue(queue);
    await expect.poll(() => following.faults, WAIT).toEqual(['bridges.failed']);
    await channel.assertQueue(queue, { durable: true });
    channel.sendToQueue(queue, Buffer.from('b'));
    await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
    await following.stop();
  }, 60_000);

  it.each([true, false])(
    'refuses a queue that is auto-delete before it reads it, so that it stays with its messages (durable: %s)',
    async (durable) => {
      const queue = `fleeting-${++made}`;
      await channel.assertQueue(queue, { durable, autoDelete: true });
      channel.sendToQueue(queue, Buffer.from('a'));
      const following = follow(source(queue));
      await expect.poll(() => following.faults, WAIT).toContain('bridges.refused');
      await following.stop();
      expect(data(following)).toEqual([]);
      expect(await left(queue)).toBe(1);
      await channel.deleteQueue(queue);
    },
    60_000,
  );

  it('refuses a queue of another connection', async () => {
    const queue = `own-${++made}`;
    await channel.assertQueue(queue, { exclusive: true });
    const following = follow(source(queue));
    await expect.poll(() => following.faults, WAIT).toContain('bridges.refused');
    await following.stop();
    await channel.deleteQueue(queue);
  }, 60_000);

  it('reads a queue that does not last over an end of the broker, and one with arguments', async () => {
    for (const options of [
      { durable: false },
      { arguments: { 'x-queue-type': 'quorum' } },
      { durable: false, arguments: { 'x-max-length': 9 } },
    ]) {
      const queue = `plain-${++made}`;
      await channel.assertQueue(queue, options);
      const following = follow(source(queue));
      channel.sendToQueue(queue, Buffer.from('a'));
      await expect.poll(() => data(following), WAIT).toEqual(['a']);
      await following.stop();
    }
  }, 60_000);

  it('tells how many messages wait in a queue', async () => {
    const queue = await queueOf();
    for (let n = 0; n < 5; n++) channel.sendToQueue(queue, Buffer.from(`${n}`));
    await expect.poll(() => left(queue), WAIT).toBe(5);
    const waiting: number[] = [];
    const more = { events: { type: "'t'" }, behind: (count: number) => void waiting.push(count) };
    const following = follow(amqpSource(bridgeContext('in', amqpProtocol, more), settings({ queue })));
    await expect.poll(() => waiting, WAIT).toEqual([5, 0]);
    await following.stop();
  }, 60_000);

  it('reads headers of every kind, and times that are none', async () => {
    const queue = await queueOf();
    const following = follow(source(queue));
    const headers = { bytes: Buffer.from('b'), list: ['x', 1], table: { a: 1 }, none: null };
    channel.sendToQueue(queue, Buffer.from('a'), { headers, timestamp: Date.now() }); // milliseconds, not seconds
    channel.sendToQueue(queue, Buffer.from('b'), { timestamp: 1e17 });
    channel.sendToQueue(queue, Buffer.alloc(0));
    await expect.poll(() => data(following), WAIT).toEqual(['a', 'b', '']);
    expect(following.rejected).toEqual([]);
    await following.stop();
  }, 60_000);

  it('sends what is left to a queue that was deleted, and is made again; its place may go, too', async () => {
    const queue = await queueOf();
    const sink = amqpSink(bridgeContext('out', amqpProtocol), settings({ queue }));
    expect(await told(sink, batch(0, 2))).toEqual([]);
    await channel.deleteQueue(queue);
    expect(await told(sink, batch(2, 4))).toBe('bridges.failed');
    expect(await told(sink, batch(2, 4))).toBe('bridges.failed');
    await channel.assertQueue(queue, { durable: true });
    expect(await told(sink, batch(2, 4))).toEqual([]);
    await channel.deleteQueue('aios-bridge:out-of-the-test-0');
    await expect.poll(() => told(sink, batch(4, 6)), WAIT).toEqual([]);
    expect(await drained(queue)).toEqual(['e2', 'e3', 'e4', 'e5']);
    await sink.close?.();
  }, 60_000);

  it('sends what is left to an exchange that was deleted, and is made and bound again', async () => {
    const queue = await queueOf();
    const bind = async () => {
      await channel.assertExchange('made-again', 'topic');
      await channel.bindQueue(queue, 'made-again', '#');
    };
    await bind();
    const sink = amqpSink(bridgeContext('exchange', amqpProtocol), settings({ exchange: 'made-again' }));
    expect(await told(sink, batch(0, 2))).toEqual([]);
    await channel.deleteExchange('made-again');
    expect(await told(sink, batch(2, 4))).toBe('bridges.failed');
    await channel.assertExchange('made-again', 'topic');
    expect(await told(sink, batch(2, 4))).toBe('bridges.failed'); // nothing is bound
    await bind();
    expect(await told(sink, batch(2, 4))).toEqual([]);
    expect(await drained(queue)).toEqual(['e0', 'e1', 'e2', 'e3']);
    await sink.close?.();
  }, 60_000);

  it.each([{}, { placeInBroker: false, 'x-queue-type': 'quorum' }])(
    'loses nothing where a queue is full and refuses what comes: %o',
    async ({ placeInBroker = true, ...type }) => {
      const queue = await queueOf({ 'x-max-length': 3, 'x-overflow': 'reject-publish', ...type });
      const sink = amqpSink(bridgeContext(queue, amqpProtocol), settings({ queue, placeInBroker }));
      expect(await told(sink, batch(0, 2))).toEqual([]);
      await vi.waitFor(async () => expect(await told(sink, batch(2, 9))).toBe('bridges.failed'), WAIT); // a quorum queue takes a few more
      await sink.close?.();
      const next = amqpSink(bridgeContext(queue, amqpProtocol), settings({ queue, placeInBroker }));
      const ids = new Set<string>();
      await vi.waitFor(async () => {
        for (const id of await drained(queue)) ids.add(id);
        expect(await told(next, batch(ids.size, 9))).toEqual([]);
      }, WAIT);
      for (const id of await drained(queue)) ids.add(id);
      expect([...ids]).toEqual(batch(0, 9).map(({ event: { id } }) => id));
      await next.close?.();
    },
    60_000,
  );

  it('puts aside what AMQP or the broker takes in no case, and sends the others', async () => {
    const queue = await queueOf();
    await channel.assertExchange('all', 'topic');
    await channel.bindQueue(queue, 'all', '#');
    const sinkOf = (to: object, format: MessageFormat, name: string) =>
      amqpSink(bridgeContext(name, amqpProtocol, { format }), settings(to));
    const longType = logged(1, event('e1', { type: 'a'.repeat(300) }));
    const byType = sinkOf({ exchange: 'all' }, 'structured', 'by-type');
    expect(await told(byType, [logged(0), longType, logged(2)])).toEqual([1]);
    expect(await drained(queue)).toEqual(['e0', 'e2']);
    const toQueue = sinkOf({ queue }, 'structured', 'to-queue');
    const large = logged(2, event('e2', { data: 'x'.repeat(MESSAGE_BYTES_MAX) }));
    expect(await told(toQueue, [logged(0), longType, large, logged(3)])).toEqual([2]);
    expect(await drained(queue)).toEqual(['e0', 'e1', 'e3']);
    expect(await toQueue.deliver([logged(4), { ...large, offset: 5 }, logged(6)], 'strict')).toMatchObject({
      refused: [{ event: { offset: 5 } }],
      undone: [{ offset: 6 }],
    });
    const binary = sinkOf({ queue }, 'binary', 'binary');
    const longSubject = logged(1, event('e1', { subject: 'x'.repeat(100_000) }));
    expect(await told(binary, [logged(0), longSubject, logged(2)])).toEqual([1]);
    await Promise.all([byType, toQueue, binary].map((sink) => sink.close?.()));
  }, 60_000);

  it('reads and sends what is left where its rights or its user go, and come back', async () => {
    const [queue, out] = [await queueOf(), await queueOf()];
    const giveAll = () => rabbit.control('set_permissions', 'bridge', '.*', '.*', '.*');
    await rabbit.control('add_user', 'bridge', 'pass-word');
    await giveAll();
    const login = { username: 'bridge', password: 'pass-word' };
    const more = { events: { type: "'t'" } };
    const following = follow(
      amqpSource(bridgeContext('in', amqpProtocol, more), settings({ queue, ...login })),
    );
    const sink = amqpSink(bridgeContext('rights', amqpProtocol), settings({ queue: out, ...login }));
    const pass = async (one: string, offset: number) => {
      channel.sendToQueue(queue, Buffer.from(one));
      await expect.poll(() => data(following).at(-1), WAIT).toBe(one);
      await expect.poll(() => told(sink, batch(offset, offset + 1)), WAIT).toEqual([]);
    };
    const expectRefused = async (offset: number) => {
      await expect.poll(() => following.faults.at(-1), WAIT).toBe('bridges.refused');
      await expect.poll(() => told(sink, batch(offset, offset + 1)), WAIT).toBe('bridges.refused');
    };
    await pass('a', 0);
    await rabbit.control('clear_permissions', 'bridge');
    await rabbit.control('close_all_user_connections', 'bridge', 'test');
    await expectRefused(1);
    await giveAll();
    await pass('b', 1);
    await rabbit.control('delete_user', 'bridge');
    await expectRefused(2);
    await rabbit.control('add_user', 'bridge', 'pass-word');
    await giveAll();
    await pass('c', 2);
    expect(data(following)).toEqual(['a', 'b', 'c']);
    expect(await drained(out)).toEqual(['e0', 'e1', 'e2']);
    await following.stop();
    await sink.close?.();
  }, 120_000);
});
