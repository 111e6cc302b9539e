import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  type MessageToProduce,
  Producer,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AiosError } from '../../../../kernel/errors.ts';
import { type KafkaUnderTest, kafkaJars, PATIENT, startKafka } from '../../../../testing/kafka.ts';
import { event } from '../../../event-under-test.ts';
import type { SourceBatch } from '../../port/event-source.ts';
import { bridgeContext } from '../context-under-test.ts';
import { type Following, follow } from '../following-under-test.ts';
import { logged, told } from '../told-under-test.ts';
import { kafkaProtocol } from './kafka-protocol.ts';
import { kafkaSink } from './kafka-sink.ts';
import { kafkaSource } from './kafka-source.ts';

const jars = await kafkaJars();
const reason = jars ? '' : ' (skipped: no java and mvn here, or no Maven Central)';
const WAIT = { timeout: 40_000, interval: 100 };

describe.skipIf(!jars)(`Kafka, whose topics change${reason}`, () => {
  let kafka: KafkaUnderTest;
  let admin: Admin;
  let producer: Producer;
  beforeAll(async () => {
    kafka = await startKafka(jars!, { user: { name: 'aios', password: 'pass-word' } });
    const bootstrapBrokers = [kafka.address];
    admin = new Admin({ clientId: 'test', bootstrapBrokers });
    producer = new Producer({ clientId: 'test', bootstrapBrokers, metadataMaxAge: 200, ...PATIENT });
  }, 120_000);
  afterAll(async () => {
    await Promise.allSettled([admin.close(), producer.close(true)]);
    await kafka?.close();
  });
  let made = 0;
  const topicOf = async (partitions = 1, configs: { name: string; value: string }[] = []) => {
    const topic = `changing-${++made}`;
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs });
    return topic;
  };
  const settings = (topic: string) => ({ brokers: [kafka.address], topic });
  const put = async (topic: string, messages: Partial<MessageToProduce>[]) => {
    await producer.send({ acks: -1, messages: messages.map((one) => ({ topic, ...one })) });
  };
  const text = (value: string) => ({ value: Buffer.from(value) });
  const source = (topic: string, more = {}) =>
    kafkaSource(bridgeContext('in', kafkaProtocol, { events: { type: "'t'" }, ...more }), settings(topic));
  const ids = ({ events }: Following) => events.map(({ id }) => id);

  it('brings what is written to partitions that come while it runs', async () => {
    const topic = await topicOf();
    const following = follow(source(topic));
    await put(topic, [text('a')]);
    await expect.poll(() => following.events, WAIT).toHaveLength(1);
    await admin.createPartitions({ topics: [{ name: topic, count: 2, assignments: [{ brokerIds: [1] }] }] });
    const later = [{ partition: 1, ...text('b') }];
    await expect.poll(() => put(topic, later).then(() => 'put', String), WAIT).toBe('put');
    await expect.poll(() => following.events, WAIT).toHaveLength(2);
    expect(following.faults).toEqual([]);
    await following.stop();
  }, 60_000);

  it('goes on by itself with a topic that was deleted, and is made again with more partitions', async () => {
    const topic = await topicOf();
    const reports: AiosError[] = [];
    const following = follow(source(topic, { reports }));
    await put(topic, [text('a'), text('b')]);
    await expect.poll(() => following.events, WAIT).toHaveLength(2);
    await admin.deleteTopics({ topics: [topic] });
    await expect.poll(() => following.faults, WAIT).toEqual(['bridges.failed']);
    expect(await admin.listTopics()).not.toContain(topic); // reading makes none
    const again = () => admin.createTopics({ topics: [topic], partitions: 2, replicas: 1 });
    await expect.poll(() => again().then(() => 'made', String), WAIT).toBe('made');
    const both = [0, 1].map((partition) => ({ partition, ...text(`c${partition}`) }));
    await expect.poll(() => put(topic, both).then(() => 'put', String), WAIT).toBe('put');
    // A try of the producer may have written to one of both.
    const texts = () => new Set(following.events.map(({ data }) => data));
    await expect.poll(texts, WAIT).toEqual(new Set(['a', 'b', 'c0', 'c1']));
    expect(reports).toMatchObject([{ code: 'bridges.gap' }]);
    await following.stop();
  }, 120_000);

  it('goes on behind what is deleted ahead of it while it runs, and tells of it once', async () => {
    const topic = await topicOf();
    const reports: AiosError[] = [];
    const ending = new AbortController();
    const batches = source(topic, { reports }).read(undefined, ending.signal)[Symbol.asyncIterator]();
    const until = async (last: string) => {
      for (;;) {
        const { value, done } = await batches.next();
        if (done) return undefined;
        const data = (value as SourceBatch).events.map((one) => one.data);
        if (data.at(-1) === last) return data;
      }
    };
    const dropUpTo = (offset: bigint) =>
      admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset }] }] });
    await put(topic, [text('a')]);
    expect(await until('a')).toEqual(['a']);
    await put(topic, [text('b'), text('c')]);
    await dropUpTo(2n);
    expect(await until('c')).toEqual(['c']);
    await dropUpTo(3n); // what was taken is gone, and nothing else
    await put(topic, [text('d')]);
    expect(await until('d')).toEqual(['d']);
    await put(topic, [text('e')]);
    await dropUpTo(5n); // all of it
    await put(topic, [text('f')]);
    expect(await until('f')).toEqual(['f']);
    expect(reports).toMatchObject([
      { code: 'bridges.gap', extensions: { offset: 1, first: 2 } },
      { code: 'bridges.gap', extensions: { offset: 4, first: 5 } },
    ]);
    ending.abort();
    await batches.return?.();
  }, 60_000);

  it('lets no partition wait for the end of another', async () => {
    const topic = await topicOf(2);
    const large = 'x'.repeat(300_000);
    for (let n = 0; n < 20; n++) await put(topic, [{ partition: 0, ...text(large) }]);
    await put(topic, [{ partition: 1, ...text('other') }]);
    const following = follow(source(topic));
    await expect.poll(() => following.events, WAIT).toHaveLength(21);
    expect(following.events.findIndex(({ data }) => data === 'other')).toBeLessThan(10);
    await following.stop();
  }, 60_000);

  it('takes what a partition that lost its log has under the offsets of others for other messages', async () => {
    const topic = await topicOf();
    const reports: AiosError[] = [];
    const following = follow(source(topic, { reports }));
    await put(topic, [text('a'), text('b'), text('c')]);
    await expect.poll(() => following.events, WAIT).toHaveLength(3);
    await kafka.kill();
    const partition = join(kafka.data, `${topic}-0`);
    for (const file of await readdir(partition))
      if (file !== 'partition.metadata') await rm(join(partition, file)); // which has the id of the topic
    await kafka.start();
    await expect.poll(() => put(topic, [text('d')]).then(() => 'put', String), WAIT).toBe('put');
    await expect.poll(() => following.events.at(-1)?.data, WAIT).toBe('d');
    expect(reports).toMatchObject([{ code: 'bridges.gap', extensions: { offset: 3, first: 0 } }]);
    expect(following.rejected).toEqual([]);
    expect(new Set(ids(following)).size).toBe(following.events.length);
    await following.stop();
  }, 180_000);

  it('sends what is left to a topic that was deleted, and is made again', async () => {
    const topic = await topicOf();
    const sink = kafkaSink(bridgeContext('out', kafkaProtocol), settings(topic));
    await sink.deliver([logged(0), logged(1)]);
    await admin.deleteTopics({ topics: [topic] });
    expect(await told(sink, [logged(2)])).toBe('bridges.failed');
    expect(await admin.listTopics()).not.toContain(topic);
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    await expect.poll(() => told(sink, [logged(2), logged(3)]), WAIT).toEqual([]);
    await sink.close?.();
    const following = follow(kafkaSource(bridgeContext('in', kafkaProtocol), settings(topic)));
    await expect.poll(() => ids(following), WAIT).toEqual(['e2', 'e3']);
    await following.stop();
  }, 120_000);

  it('puts the event aside that a compacted topic refuses because it has no key', async () => {
    const topic = await topicOf(1, [{ name: 'cleanup.policy', value: 'compact' }]);
    const sink = kafkaSink(bridgeContext('compacted', kafkaProtocol), settings(topic));
    const keyed = (offset: number) => logged(offset, event(`e${offset}`, { subject: `k${offset}` }));
    expect(await told(sink, [keyed(0), logged(1), keyed(2), keyed(3), logged(4)])).toEqual([1, 4]);
    const behind = [logged(5), keyed(6)];
    expect(await sink.deliver(behind, 'strict')).toMatchObject({
      refused: [{ event: { offset: 5 } }],
      undone: [{ offset: 6 }],
    });
    await sink.close?.();
    const following = follow(kafkaSource(bridgeContext('in', kafkaProtocol), settings(topic)));
    await expect.poll(() => ids(following), WAIT).toEqual(['e0', 'e2', 'e3']);
    await following.stop();
  }, 60_000);

  it('sends no more at once than a topic takes, once that is known', async () => {
    const topic = await topicOf(1, [{ name: 'max.message.bytes', value: '20000' }]);
    const sink = kafkaSink(bridgeContext('small', kafkaProtocol), settings(topic));
    const batch = (from: number) =>
      Array.from({ length: 250 }, (_, n) =>
        logged(from + n, event(`e${from + n}`, { data: 'x'.repeat(300) })),
      );
    expect([await told(sink, batch(0)), await told(sink, batch(250))]).toEqual([[], []]);
    await sink.close?.();
    const [end] = await admin.listOffsets({
      topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -1n }] }],
    });
    // Each transaction leaves a mark.
    const marks = Number(end!.partitions[0]!.offset) - 500;
    expect(marks).toBeLessThan(12);
  }, 60_000);

  it('is held up by no message, whatever it is', async () => {
    const topic = await topicOf();
    const deep = '['.repeat(100_000);
    const attributes = Object.entries({ specversion: '1.0', id: '1', source: 's', type: 't' });
    const named = (...more: [string, string | Buffer][]) =>
      new Map(
        [...attributes.map(([name, one]) => [`ce_${name}`, one] as const), ...more].map(([name, one]) => [
          Buffer.from(name),
          Buffer.from(one),
        ]),
      );
    await put(topic, [
      { key: Buffer.from('gone') },
      { value: Buffer.alloc(0) },
      { value: Buffer.from([0xff, 0xfe]) },
      text(deep),
      text(deep + ']'.repeat(deep.length)),
      text('{"a":"\\u0000"}'),
      { key: Buffer.from([0, 0xff]), ...text('{}') },
      {
        ...text('{"n":1}'),
        headers: named(['ce_subject', 'one'], ['ce_subject', 'other'], ['h', Buffer.from([0, 0xff])]),
      },
      { ...text('{"n":'), headers: named(['content-type', 'application/json']) },
      text('last'),
    ]);
    const following = follow(source(topic));
    await expect.poll(() => following.events.at(-1)?.data, WAIT).toBe('last');
    expect(following.rejected).toEqual(['request.too_deep', 'request.malformed']);
    const data = following.events.map((one) => one.data);
    expect(data).toEqual([null, '', '//4=', deep, { a: '\0' }, {}, { n: 1 }, 'last']);
    expect(following.events[6]).toMatchObject({ subject: 'other' }); // the last of a name
    expect(following.faults).toEqual([]);
    await following.stop();
  }, 60_000);

  it('reads and sends what is left where its rights are taken, and given back', async () => {
    const topic = await topicOf();
    const denial = {
      ...{ resourceType: ResourceTypes.TOPIC, resourceName: topic, principal: 'User:aios', host: '*' },
      ...{ resourcePatternType: ResourcePatternTypes.LITERAL, operation: AclOperations.ALL },
      permissionType: AclPermissionTypes.DENY,
    };
    const told = (more: object) => ({
      ...{ topic, brokers: [kafka.loginAddress] },
      sasl: { mechanism: 'PLAIN', username: 'aios', password: 'pass-word' },
      ...more,
    });
    const following = follow(kafkaSource(bridgeContext('in', kafkaProtocol), told({})));
    const sink = kafkaSink(bridgeContext('rights', kafkaProtocol), told({}));
    const send = (offset: number) =>
      sink.deliver([logged(offset)]).then(
        () => 'sent',
        ({ code }: AiosError) => code,
      );
    expect(await send(0)).toBe('sent');
    await expect.poll(() => ids(following), WAIT).toEqual(['e0']);
    await admin.createAcls({ creations: [denial] });
    await expect.poll(() => following.faults, WAIT).toEqual(['bridges.refused']);
    expect([await send(1), await send(1)]).toEqual(['bridges.refused', 'bridges.refused']);
    await admin.deleteAcls({ filters: [denial] });
    await expect.poll(() => send(1), WAIT).toBe('sent');
    await expect.poll(() => ids(following), WAIT).toEqual(['e0', 'e1']);
    await sink.close?.();
    await following.stop();
  }, 90_000);
});
