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
    return { put: (events) => put(queue, events), open: () => source(queue) };
  });

  sinkConformance('amqp', async () => {
    const queue = await queueOf();
    const places = new Map<string, LoggedEvent>();
    const arrived = new Map<string, string>();
    return {
      open(group) {
        const sink = amqpSink({ ...bridgeContext('out', amqpProtocol), group }, settings(queue));
        return {
          ...sink,
          deliver(events) {
            for (const one of events) places.set(one.event.id, one);
            return sink.deliver(events);
          },
        };
      },
      // A receiver that knows a message by its id.
      async received() {
        for (;;) {
          const message = await channel.get(queue, { noAck: true });
          if (!message) break;
          const { id } = JSON.parse(message.content.toString('utf8')) as CloudEvent;
          const messageId = String(message.properties.messageId);
          if (!arrived.has(messageId)) arrived.set(messageId, id);
        }
        return [...arrived.values()].map((id) => ({ ...places.get(id)!, id }));
      },
    };
  });

  it('reads and writes events in both modes, and messages of any form by expressions', async () => {
    const queue = await queueOf();
    const one = event('b1', { subject: 's', data: { n: 1 }, trace: 'x', partitionkey: 'k' });
    for (const format of ['binary', 'structured'] as const) {
      const sink = amqpSink(bridgeContext('out', amqpProtocol, { format }), settings(queue));
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
    const nobody = amqpSink(bridgeContext('out', amqpProtocol), settings('nobody'));
    await expect(nobody.deliver([logged(0)])).rejects.toMatchObject({ code: 'bridges.failed' });
    await nobody.close!();
    const wrong = amqpSource(bridgeContext('in', amqpProtocol), {
      ...settings('q'),
      username: 'guest',
      password: 'no',
    });
    await expect(read(wrong, 1)).rejects.toMatchObject({ code: 'bridges.refused' });
  });

  it('goes on when the broker was away', async () => {
    const queue = await queueOf();
    const sink = amqpSink(bridgeContext('out', amqpProtocol), settings(queue));
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
