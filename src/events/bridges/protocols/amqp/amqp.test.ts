import { type Channel, type ChannelModel, connect } from 'amqplib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { type RabbitUnderTest, rabbitPackages, startRabbit } from '../../../../testing/rabbitmq.ts';
import { event } from '../../../event-under-test.ts';
import { messageWriter } from '../../messages/message-mapping.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import { sinkConformance } from '../../port/sink-conformance.ts';
import { sourceConformance } from '../../port/source-conformance.ts';
import { bridgeContext } from '../context-under-test.ts';
import { sendThroughKills } from '../killed-sinks-under-test.ts';
import { amqpProtocol } from './amqp-protocol.ts';
import { amqpSink } from './amqp-sink.ts';
import { amqpSource } from './amqp-source.ts';

const packages = await rabbitPackages();
const reason = packages ? '' : ' (skipped: no Debian to take rabbitmq-server from)';

describe.skipIf(!packages)(`AMQP${reason}`, () => {
  let rabbit: RabbitUnderTest;
  let connection: ChannelModel;
  let channel: Channel;
  let made = 0;
  const open = async () => {
    connection = await connect({ hostname: rabbit.host, port: rabbit.port });
    connection.on('error', () => {});
    channel = await connection.createChannel();
  };
  beforeAll(async () => {
    rabbit = await startRabbit(packages!);
    await open();
  }, 120_000);
  afterAll(async () => {
    await connection?.close().catch(() => {});
    await rabbit?.close();
  });

  const queueOf = async () => {
    const queue = `queue-${++made}`;
    await channel.assertQueue(queue, { durable: true });
    return queue;
  };
  const settings = (queue: string) => ({ host: rabbit.host, port: rabbit.port, queue });
  const structured = messageWriter('structured', 'cloudEvents:');
  const put = async (queue: string, events: readonly CloudEvent[]) => {
    for (const one of events) {
      const { value, contentType } = structured(one);
      channel.sendToQueue(queue, value, { contentType: contentType!, persistent: true });
    }
  };
  const source = (queue: string, more = {}) =>
    amqpSource(bridgeContext('in', amqpProtocol, more), settings(queue));
  const logged = (offset: number, one = event(`e${offset}`)): LoggedEvent => ({
    ...{ partition: 0, offset, event: one, timeMs: 0, recordedAtMs: 0 },
  });
  /** Acknowledged batches until there are so many events and rejected messages. */
  const read = async (from: EventSource, count: number) => {
    const ending = new AbortController();
    const batches: SourceBatch[] = [];
    for await (const batch of from.read(undefined, ending.signal)) {
      batches.push(batch);
      await batch.acknowledge!();
      if (batches.flatMap(({ events, rejected = [] }) => [...events, ...rejected]).length >= count) break;
    }
    ending.abort();
    return {
      events: batches.flatMap(({ events }) => events),
      rejected: batches.flatMap(({ rejected = [] }) => rejected),
    };
  };

  sourceConformance('amqp', async () => {
    const queue = await queueOf();
    return { put: (events) => put(queue, events), open: (more) => source(queue, more) };
  });

  sinkConformance('amqp', async () => {
    const queue = await queueOf();
    const places = new Map<string, LoggedEvent>();
    const arrived: string[] = [];
    return {
      open(group, more) {
        const sink = amqpSink({ ...bridgeContext('out', amqpProtocol, more), group }, settings(queue));
        return {
          ...sink,
          deliver(events) {
            for (const one of events) places.set(one.event.id, one);
            return sink.deliver(events);
          },
        };
      },
      // A receiver that knows nothing of messages that come again: there are none.
      async received() {
        for (;;) {
          const message = await channel.get(queue, { noAck: true });
          if (!message) break;
          const { id } = JSON.parse(message.content.toString('utf8')) as CloudEvent;
          arrived.push(id);
        }
        return arrived.map((id) => ({ ...places.get(id)!, id }));
      },
    };
  });

  it('reads and writes events in both modes, and messages of any form by expressions', async () => {
    const queue = await queueOf();
    const one = event('b1', { subject: 's', data: { n: 1 }, trace: 'x', partitionkey: 'k' });
    for (const format of ['binary', 'structured'] as const) {
      const sink = amqpSink(bridgeContext(`out-${format}`, amqpProtocol, { format }), settings(queue));
      await sink.deliver([logged(0, { ...one, id: format })]);
      await sink.close!();
    }
    const properties = { messageId: 'm1', headers: { who: 'me', depth: 2 }, timestamp: 1_700_000_000 };
    channel.sendToQueue(queue, Buffer.from('{"n":2}'), properties);
    const events = { type: "'raw'", subject: 'headers.who', depth: 'headers.depth' };
    expect((await read(source(queue, { events }), 3)).events).toEqual([
      { ...one, id: 'binary', datacontenttype: 'application/json' },
      { ...one, id: 'structured' },
      {
        ...{
          specversion: '1.0',
          id: 'm1',
          source: 'urn:aios:bridge:in',
          type: 'raw',
          subject: 'me',
          depth: '2',
        },
        ...{ time: '2023-11-14T22:13:20.000Z', data: { n: 2 } },
      },
    ]);
  });

  it('reads headers of every type: times as RFC 3339, as CloudEvents of AMQP 1.0 have them, and none without a value', async () => {
    const queue = await queueOf();
    const headers = {
      ...{ 'cloudEvents:specversion': '1.0', 'cloudEvents:id': 'typed', 'cloudEvents:source': 'urn:s' },
      ...{ 'cloudEvents:type': 't', 'cloudEvents:subject': null },
      'cloudEvents:time': { '!': 'timestamp', value: 1_700_000_000 },
      'cloudEvents:late': { '!': 'timestamp', value: 1_700_000_000_000 },
      'cloudEvents:price': { '!': 'decimal', value: { places: 2, digits: 1250 } },
      'cloudEvents:binary': Buffer.from([0xff, 0]),
      'cloudEvents:text': Buffer.from('caf\u00e9'),
      ...{ 'cloudEvents:isnew': true, 'cloudEvents:count': 2 ** 40, 'x-list': [1, 'a'] },
    };
    channel.sendToQueue(queue, Buffer.from('1'), { headers, messageId: '', contentType: 'application/json' });
    channel.sendToQueue(queue, Buffer.from('2'), { headers: { 'x-list': [1, 'a'] }, messageId: '' });
    const events = { type: "'raw'", list: "headers['x-list']" };
    const found = (await read(source(queue, { events }), 2)).events;
    expect(found[0]).toEqual({
      ...{ specversion: '1.0', id: 'typed', source: 'urn:s', type: 't', data: 1 },
      ...{ time: '2023-11-14T22:13:20.000Z', datacontenttype: 'application/json', late: '1700000000000' },
      ...{ price: '12.50', binary: '/wA=', text: 'caf\u00e9', isnew: 'true', count: '1099511627776' },
    });
    expect(found[1]).toMatchObject({ id: expect.stringMatching(/./), list: '[1,"a"]', data: 2 });
  });

  it('reads no further ahead than it is told to, and gets again what was not acknowledged', async () => {
    const queue = await queueOf();
    await put(
      queue,
      Array.from({ length: 20 }, (_, n) => event(`p${n}`)),
    );
    const ending = new AbortController();
    const bounded = amqpSource(bridgeContext('in', amqpProtocol), { ...settings(queue), prefetch: 5 });
    const batches = bounded.read(undefined, ending.signal)[Symbol.asyncIterator]();
    const { value } = await batches.next();
    expect(value!.events.length).toBeLessThanOrEqual(5);
    await batches.return?.();
    ending.abort();
    const { events } = await read(source(queue), 20);
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, n) => `p${n}`));
  });

  it('says what is wrong: a queue that is not there, a message for nobody, a wrong password', async () => {
    await expect(read(source('nowhere'), 1)).rejects.toMatchObject({ code: 'bridges.failed' });
    const nobody = amqpSink(bridgeContext('to-nobody', amqpProtocol), settings('nobody'));
    await expect(nobody.deliver([logged(0)])).rejects.toMatchObject({ code: 'bridges.failed' });
    await nobody.close!();
    const wrong = amqpSource(bridgeContext('in', amqpProtocol), {
      ...settings('q'),
      username: 'guest',
      password: 'no',
    });
    await expect(read(wrong, 1)).rejects.toMatchObject({ code: 'bridges.refused' });
  });

  /** What is in a queue, by the ids of events. */
  const idsIn = async (queue: string) => {
    const ids: string[] = [];
    for (let message = await channel.get(queue, { noAck: true }); message; ) {
      ids.push((JSON.parse(message.content.toString('utf8')) as CloudEvent).id);
      message = await channel.get(queue, { noAck: true });
    }
    return ids;
  };

  it('sends each event once, though its process is killed at any moment and the next one begins anew', async () => {
    const queue = await queueOf();
    expect(await sendThroughKills('amqp', settings(queue), 'killed', 2_000)).toBeGreaterThan(0);
    const ids = await idsIn(queue);
    expect(ids).toHaveLength(2_000);
    expect(new Set(ids).size).toBe(2_000);
  });

  it('keeps the place of its own log alone, sends a dead letter again, and leaves the place out where it is told to', async () => {
    const queue = await queueOf();
    const sinkOf = (space: string, more = {}) =>
      amqpSink({ ...bridgeContext('placed', amqpProtocol), space }, { ...settings(queue), ...more });
    const deliver = async (space: string, isAgain: boolean, more = {}) => {
      const sink = sinkOf(space, more);
      await sink.deliver([logged(0), logged(1)], isAgain ? 'again' : undefined);
      await sink.close!();
      return idsIn(queue);
    };
    expect(await deliver('one', false)).toEqual(['e0', 'e1']);
    expect(await deliver('one', false)).toEqual([]);
    expect(await deliver('one', true)).toEqual(['e0', 'e1']);
    expect(await deliver('one', false, { placeInBroker: false })).toEqual(['e0', 'e1']);
    expect(await deliver('another', false)).toEqual(['e0', 'e1']);
    const sink = sinkOf('another');
    await sink.deliver([logged(0), logged(1), logged(2)]);
    await sink.close!();
    const message = await channel.get(queue, { noAck: true });
    expect(message).toMatchObject({ properties: { headers: { 'aios-partition': 0, 'aios-offset': 2 } } });
    expect(await idsIn(queue)).toEqual([]);
  });

  it('goes on behind the last event that a queue took, when one for nobody comes after it', async () => {
    const queue = await queueOf();
    const exchange = `exchange-${made}`;
    await channel.assertExchange(exchange, 'direct');
    await channel.bindQueue(queue, exchange, 'known');
    const { queue: _, ...server } = settings(queue);
    const sink = amqpSink(bridgeContext('by-type', amqpProtocol), { ...server, exchange });
    const of = (offset: number, type: string) => logged(offset, event(`${type}${offset}`, { type }));
    const events = [of(0, 'known'), of(1, 'known'), of(2, 'unknown'), of(3, 'known')];
    const failed = { code: 'bridges.failed', message: expect.stringMatching(/no queue.*“unknown”/) };
    await expect(sink.deliver(events)).rejects.toMatchObject(failed);
    await expect(sink.deliver(events)).rejects.toMatchObject(failed);
    await channel.bindQueue(queue, exchange, 'unknown');
    await sink.deliver(events);
    // A binding that goes while the bridge knows of it.
    await channel.unbindQueue(queue, exchange, 'unknown');
    const more = [of(4, 'known'), of(5, 'unknown'), of(6, 'known')];
    await expect(sink.deliver(more)).rejects.toMatchObject(failed);
    await channel.bindQueue(queue, exchange, 'unknown');
    await sink.deliver(more);
    await sink.close!();
    expect(await idsIn(queue)).toEqual([
      ...['known0', 'known1', 'unknown2', 'known3'],
      // Offset 6 went out with the transaction whose event 5 came back.
      ...['known4', 'known6', 'unknown5', 'known6'],
    ]);
  });

  it('takes no place for true that the broker kept over its end, where it may have lost what came before it', async () => {
    const queue = await queueOf();
    const deliver = async (count: number) => {
      const sink = amqpSink(bridgeContext('torn', amqpProtocol), settings(queue));
      await sink.deliver(Array.from({ length: count }, (_, offset) => logged(offset)));
      await sink.close!();
      return idsIn(queue);
    };
    expect(await deliver(3)).toEqual(['e0', 'e1', 'e2']); // and now they are in the queue no more, as if they had been lost
    expect(await deliver(4)).toEqual(['e3']);
    await rabbit.kill();
    await rabbit.start();
    await open();
    // What was taken out last may be there again.
    expect((await deliver(5)).slice(-5)).toEqual(['e0', 'e1', 'e2', 'e3', 'e4']);
    expect(await deliver(6)).toEqual(['e5']);
  }, 120_000);

  it('goes on when the broker was away', async () => {
    const queue = await queueOf();
    const sink = amqpSink(bridgeContext('to-one-away', amqpProtocol), settings(queue));
    await sink.deliver([logged(0)]);
    await rabbit.kill();
    await expect(sink.deliver([logged(1)])).rejects.toMatchObject({ retryable: true });
    await expect(read(source(queue), 1)).rejects.toMatchObject({ code: 'bridges.unreachable' });
    await rabbit.start();
    await open();
    await vi.waitFor(() => sink.deliver([logged(1)]), { timeout: 60_000, interval: 200 });
    await sink.close!();
    expect(new Set((await read(source(queue), 2)).events.map(({ id }) => id))).toEqual(new Set(['e0', 'e1']));
  }, 120_000);
});
