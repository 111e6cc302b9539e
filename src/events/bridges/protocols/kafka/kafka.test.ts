import { Admin, type MessageToProduce, Producer } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { type KafkaUnderTest, kafkaJars, PATIENT, startKafka } from '../../../../testing/kafka.ts';
import { event } from '../../../event-under-test.ts';
import { messageWriter } from '../../messages/message-mapping.ts';
import type { EventSource, SourceBatch } from '../../port/event-source.ts';
import { sinkConformance } from '../../port/sink-conformance.ts';
import { sourceConformance } from '../../port/source-conformance.ts';
import { bridgeContext } from '../context-under-test.ts';
import { kafkaProtocol } from './kafka-protocol.ts';
import { kafkaSink } from './kafka-sink.ts';
import { kafkaSource } from './kafka-source.ts';

const jars = await kafkaJars();
const reason = jars ? '' : ' (skipped: no java and mvn here, or no Maven Central)';

describe.skipIf(!jars)(`Kafka${reason}`, () => {
  let kafka: KafkaUnderTest;
  let admin: Admin;
  let producer: Producer;
  beforeAll(async () => {
    kafka = await startKafka(jars!, { user: { name: 'aios', password: 'pass-word' } });
    const bootstrapBrokers = [kafka.address];
    admin = new Admin({ clientId: 'test', bootstrapBrokers });
    producer = new Producer({ clientId: 'test', bootstrapBrokers, idempotent: true, ...PATIENT });
  }, 120_000);
  afterAll(async () => {
    await Promise.allSettled([admin.close(), producer.close(true)]);
    await kafka?.close();
  });

  let made = 0;
  const topicOf = async (partitions = 1) => {
    const topic = `topic-${++made}`;
    await admin.createTopics({ topics: [topic], partitions, replicas: 1 });
    return topic;
  };
  const settings = (topic: string) => ({ brokers: [kafka.address], topic });
  const structured = messageWriter('structured', 'ce_');
  const put = async (topic: string, messages: Partial<MessageToProduce>[]) => {
    await producer.send({ acks: -1, messages: messages.map((one) => ({ topic, ...one })) });
  };
  const wrapped = (one: ReturnType<typeof event>) => {
    const { value, contentType } = structured(one);
    return { value, headers: new Map([[Buffer.from('content-type'), Buffer.from(contentType!)]]) };
  };
  /** Batches until there are so many events and rejected messages, or until an event. */
  const read = async (
    source: EventSource,
    end: number | ((one: CloudEvent) => boolean),
    from?: JsonObject,
  ) => {
    const ending = new AbortController();
    const batches: SourceBatch[] = [];
    for await (const batch of source.read(from, ending.signal)) {
      batches.push(batch);
      const count = batches.flatMap(({ events, rejected = [] }) => [...events, ...rejected]).length;
      if (typeof end === 'number' ? count >= end : batch.events.some(end)) break;
    }
    ending.abort();
    return {
      events: batches.flatMap(({ events }) => events),
      rejected: batches.flatMap(({ rejected = [] }) => rejected),
      position: batches.at(-1)!.position,
    };
  };
  const source = (topic: string, more = {}) =>
    kafkaSource(bridgeContext('in', kafkaProtocol, more), settings(topic));
  const logged = (
    partition: number,
    offset: number,
    one = event(`e${partition}-${offset}`),
  ): LoggedEvent => ({
    ...{ partition, offset, event: one, timeMs: 0, recordedAtMs: 0 },
  });

  sourceConformance('kafka', async () => {
    const topic = await topicOf();
    return { put: (events) => put(topic, events.map(wrapped)), open: (more) => source(topic, more) };
  });

  it('tells how far it is behind', async () => {
    const topic = await topicOf(2);
    await put(
      topic,
      Array.from({ length: 5 }, (_, n) => ({ key: Buffer.from(`k${n}`), ...wrapped(event(`behind${n}`)) })),
    );
    const told: number[] = [];
    const ids: string[] = [];
    const ended = new AbortController();
    const behind = (messages: number) => {
      told.push(messages);
      if (messages === 0) ended.abort();
    };
    const from = source(topic, { batchMax: () => 2, behind });
    for await (const { events } of from.read(undefined, ended.signal))
      ids.push(...events.map(({ id }) => id));
    expect(ids).toHaveLength(5);
    expect([told[0], told.at(-1)]).toEqual([5, 0]);
    expect(told).toEqual([...told].sort((a, b) => b - a));
  });

  sinkConformance('kafka', async () => {
    const topic = await topicOf();
    const places = new Map<string, LoggedEvent>();
    let ends = 0;
    return {
      open(group, more) {
        const sink = kafkaSink({ ...bridgeContext('out', kafkaProtocol, more), group }, settings(topic));
        return {
          ...sink,
          deliver(events) {
            for (const one of events) places.set(one.event.id, one);
            return sink.deliver(events);
          },
        };
      },
      async received() {
        const end = `end${++ends}`;
        await put(topic, [wrapped(event(end))]);
        const { events } = await read(source(topic), ({ id }) => id === end);
        return events.flatMap(({ id }) => (places.has(id) ? [{ ...places.get(id)!, id }] : []));
      },
    };
  });

  it('reads and writes events in both modes, and messages of any form by expressions', async () => {
    const topic = await topicOf();
    const one = event('b1', { subject: 's', data: { n: 1 }, trace: 'x', partitionkey: 'k' });
    for (const format of ['binary', 'structured', 'raw'] as const) {
      const sink = kafkaSink(bridgeContext(`out-${format}`, kafkaProtocol, { format }), settings(topic));
      await sink.deliver([logged(0, 0, { ...one, id: format })]);
      await sink.close!();
    }
    await put(topic, [
      { key: Buffer.from('k2'), value: Buffer.from([0xff, 0x00]) },
      { key: Buffer.from('k3') },
    ]);
    const { events } = await read(source(topic, { events: { type: "'raw'", subject: 'key' } }), 5);
    expect(events.slice(0, 2)).toEqual([
      { ...one, id: 'binary', datacontenttype: 'application/json' },
      { ...one, id: 'structured' },
    ]);
    expect(events.slice(2)).toMatchObject([
      { type: 'raw', source: 'urn:aios:bridge:in', data: { n: 1 }, partitionkey: 'k', subject: 'k' },
      { type: 'raw', data: '/wA=', partitionkey: 'k2' },
      { type: 'raw', data: null, partitionkey: 'k3' },
    ]);
    const { rejected } = await read(source(topic), 5);
    expect(rejected.map(({ error: { code } }) => code)).toEqual(new Array(3).fill('bridges.message_invalid'));
  });

  it('leaves out what transactions took back, and goes on over it', async () => {
    const topic = await topicOf();
    const transactional = new Producer({
      ...{
        clientId: 'test',
        bootstrapBrokers: [kafka.address],
        idempotent: true,
        transactionalId: 'taking-back',
        ...PATIENT,
      },
    });
    for (let round = 0; round < 6; round++) {
      const transaction = await transactional.beginTransaction({});
      const messages = [
        { topic, ...wrapped(event(`t${round}`)) },
        { topic, ...wrapped(event(`u${round}`)) },
      ];
      await transaction.send({ messages });
      await (round % 3 === 2 ? transaction.commit() : transaction.abort());
    }
    await transactional.close(true);
    const { events } = await read(source(topic), 4);
    expect(events.map(({ id }) => id)).toEqual(['t2', 'u2', 't5', 'u5']);
  });

  it('takes partitions that come later, and tells of a gap once', async () => {
    const topic = await topicOf(2);
    await put(
      topic,
      [0, 1].map((partition) => ({ partition, ...wrapped(event(`p${partition}`)) })),
    );
    const first = await read(source(topic), 2);
    expect(first.position).toMatchObject({ topic, offsets: { 0: 1, 1: 1 } });
    await admin.createPartitions({ topics: [{ name: topic, count: 3, assignments: [{ brokerIds: [1] }] }] });
    await put(
      topic,
      [0, 0, 1, 2].map((partition, n) => ({ partition, ...wrapped(event(`q${n}`)) })),
    );
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 2n }] }] });
    const reports: AiosError[] = [];
    const second = await read(source(topic, { reports }), 3, first.position);
    expect(second.events.map(({ id }) => id).sort()).toEqual(['q1', 'q2', 'q3']);
    expect(reports).toMatchObject([
      { code: 'bridges.gap', extensions: { partition: 0, offset: 1, first: 2 } },
    ]);
    await put(topic, [{ partition: 0, ...wrapped(event('r')) }]);
    expect((await read(source(topic, { reports }), 1, second.position)).events).toMatchObject([{ id: 'r' }]);
    expect(reports).toHaveLength(1);
  });

  it('begins with what comes from then on where it is told to', async () => {
    const topic = await topicOf();
    await put(topic, [wrapped(event('old'))]);
    const ending = new AbortController();
    const batches = source(topic, { start: 'latest' }).read(undefined, ending.signal)[Symbol.asyncIterator]();
    expect((await batches.next()).value).toMatchObject({ events: [], position: { offsets: { 0: 1 } } });
    await put(topic, [wrapped(event('new'))]);
    expect((await batches.next()).value!.events).toMatchObject([{ id: 'new' }]);
    ending.abort();
    await batches.return?.();
  });

  it('puts aside the event that a topic will never take, and sends a dead letter again', async () => {
    const topic = await topicOf();
    const sink = kafkaSink(bridgeContext('large', kafkaProtocol), settings(topic));
    const large = logged(0, 1, event('large', { data: 'x'.repeat(1_200_000) }));
    const { refused, undone } = await sink.deliver([logged(0, 0), large, logged(0, 2)]);
    expect(undone).toEqual([]);
    expect(refused).toMatchObject([{ event: { offset: 1 }, error: { code: 'bridges.message_refused' } }]);
    await sink.deliver([logged(0, 0)]);
    await sink.deliver([logged(0, 1, event('smaller'))], 'again');
    await sink.close!();
    const { events } = await read(source(topic), 3);
    expect(events.map(({ id }) => id)).toEqual(['e0-0', 'e0-2', 'smaller']);
  });

  it('keeps the places of two databases apart, and neither fences the other', async () => {
    const topic = await topicOf();
    const sinkOf = (space: string) =>
      kafkaSink({ ...bridgeContext('shared', kafkaProtocol), space }, settings(topic));
    const [one, other] = [sinkOf('one'), sinkOf('other')];
    const deliver = (sink: typeof one, name: string, from: number, to: number) =>
      sink.deliver(
        Array.from({ length: to - from }, (_, n) => logged(0, from + n, event(`${name}${from + n}`))),
      );
    await deliver(one, 'a', 0, 2);
    await deliver(other, 'b', 0, 2);
    await deliver(one, 'a', 1, 3);
    await Promise.all([one.close!(), other.close!()]);
    const again = sinkOf('other');
    await deliver(again, 'b', 0, 3);
    await again.close!();
    const { events } = await read(source(topic), 6);
    expect(events.map(({ id }) => id)).toEqual(['a0', 'a1', 'b0', 'b1', 'a2', 'b2']);
  });

  it('sends nothing past an event that a topic refuses, where it is told to', async () => {
    const topic = await topicOf();
    const sink = kafkaSink(bridgeContext('strict', kafkaProtocol), settings(topic));
    const large = logged(0, 2, event('large', { data: 'x'.repeat(1_200_000) }));
    const batch = [logged(0, 0), logged(0, 1), large, logged(0, 3), logged(0, 4), logged(1, 0)];
    expect(await sink.deliver(batch, 'strict')).toMatchObject({
      refused: [{ event: { offset: 2 } }],
      undone: [{ offset: 3 }, { offset: 4 }],
    });
    await sink.close!();
    const next = kafkaSink(bridgeContext('strict', kafkaProtocol), settings(topic));
    await next.deliver([logged(0, 2), logged(0, 3), logged(0, 4)], 'strict');
    await next.close!();
    const { events } = await read(source(topic), 6);
    const ids = events.map(({ id }) => id).filter((id) => id !== 'e1-0');
    expect(ids).toEqual([0, 1, 2, 3, 4].map((offset) => `e0-${offset}`));
  });

  it('goes on when the broker was away', async () => {
    const topic = await topicOf();
    const sink = kafkaSink(bridgeContext('away', kafkaProtocol), settings(topic));
    await sink.deliver([logged(0, 0), logged(1, 0)]);
    await kafka.kill();
    await expect(sink.deliver([logged(0, 1), logged(1, 1)])).rejects.toMatchObject({ retryable: true });
    await expect(read(source(topic), 1)).rejects.toMatchObject({ code: 'bridges.unreachable' });
    await kafka.start();
    await vi.waitFor(() => sink.deliver([logged(0, 1), logged(1, 1)]), { timeout: 60_000, interval: 200 });
    await sink.deliver([logged(0, 0), logged(0, 1), logged(0, 2)]);
    await sink.close!();
    const { events } = await read(source(topic), 5);
    expect(events.map(({ id }) => id).sort()).toEqual(['e0-0', 'e0-1', 'e0-2', 'e1-0', 'e1-1']);
  }, 300_000);

  it('logs in where it has to, and says that it is refused', async () => {
    const topic = await topicOf();
    await put(topic, [wrapped(event('login'))]);
    const sasl = (password: string) => ({
      ...{ topic, brokers: [kafka.loginAddress] },
      sasl: { mechanism: 'PLAIN', username: 'aios', password },
    });
    const known = kafkaSource(bridgeContext('in', kafkaProtocol), sasl('pass-word'));
    expect((await read(known, 1)).events).toHaveLength(1);
    const unknown = kafkaSource(bridgeContext('in', kafkaProtocol), sasl('wrong'));
    await expect(read(unknown, 1)).rejects.toMatchObject({ code: 'bridges.refused' });
  });

  it('connects to checked addresses only', async () => {
    const topic = await topicOf();
    const asked: string[] = [];
    const egress = {
      addresses: async (host: string, port: number) => {
        asked.push(`${host}:${port}`);
        return [{ address: '127.0.0.1', family: 4 }];
      },
    };
    await put(topic, [wrapped(event('checked'))]);
    const named = { topic, brokers: [kafka.address.replace('127.0.0.1', 'broker.test')] };
    const guarded = kafkaSource(bridgeContext('in', kafkaProtocol, { egress }), named);
    expect((await read(guarded, 1)).events).toHaveLength(1);
    expect(new Set(asked)).toEqual(new Set([named.brokers[0], kafka.address]));
  });
});
