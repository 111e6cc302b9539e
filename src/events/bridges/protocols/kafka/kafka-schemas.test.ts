import { Admin, Producer } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAvro } from '../../../../kernel/avro/avro-schema.ts';
import { avroBytes } from '../../../../kernel/avro/avro-writing.ts';
import type { LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { Json, JsonObject } from '../../../../kernel/json.ts';
import { type KafkaUnderTest, kafkaJars, PATIENT, startKafka } from '../../../../testing/kafka.ts';
import { event } from '../../../event-under-test.ts';
import type { SourceBatch } from '../../port/event-source.ts';
import type { RegisteredSchema } from '../../port/schema-registry.ts';
import { bridgeContext } from '../context-under-test.ts';
import { kafkaProtocol } from './kafka-protocol.ts';
import { kafkaSink } from './kafka-sink.ts';
import { kafkaSource } from './kafka-source.ts';

const jars = await kafkaJars();
const reason = jars ? '' : ' (skipped: no java and mvn here, or no Maven Central)';

const order: Json = { type: 'record', name: 'Order', fields: [{ name: 'total', type: 'double' }] };
const schemas = new Map<string, RegisteredSchema>([
  ['old', { id: 1, type: 'AVRO', schema: { ...order, name: 'Order', doc: 'old' } }],
  ['json', { id: 2, type: 'JSON', schema: {} }],
]);
const wire = (id: number, body: Uint8Array) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body]);
const avro = (id: number, value: Json) => wire(id, avroBytes(parseAvro(order), value));

describe('the settings of Kafka for a schema registry', () => {
  const place = { brokers: ['b:9092'], topic: 't' };
  it.each<[string, JsonObject, string[]]>([
    ['a registry', { registry: { url: 'http://r' } }, []],
    ['the own one', {}, []],
    [
      'two ways to log in',
      { registry: { url: 'http://r', username: 'u', token: '${secrets.T}' } },
      ['/schemas/registry/token'],
    ],
    [
      'a password for nobody',
      { registry: { url: 'http://r', password: '${secrets.P}' } },
      ['/schemas/registry/password'],
    ],
  ])('say what is wrong: %s', (_, schemas, paths) => {
    const told = kafkaProtocol.source!.check!({ ...place, schemas });
    expect(told.map(({ path }) => path)).toEqual(paths);
  });

  it('say where the schemas of keys come from', () => {
    const told = (more: JsonObject) =>
      kafkaProtocol.source!.check!({ ...place, keys: 'schema', ...more }).map(({ path }) => path);
    expect([told({}), told({ schemas: {} })]).toEqual([['/keys'], []]);
  });

  it.each<[string, JsonObject, string[]]>([
    ['contracts', { registry: { url: 'http://r' }, register: true, subjectStrategy: 'topic-record' }, []],
    ['a subject', { registry: { url: 'http://r' }, register: true, subject: 's' }, []],
    ['two kinds of subject', { subject: 's', subjectStrategy: 'record' }, ['/schemas/subject']],
    ['nowhere', { register: true }, ['/schemas/register']],
  ])('say what a sink may register: %s', (_, schemas, paths) => {
    const told = kafkaProtocol.sink!.check!({ ...place, schemas }, 'raw');
    expect(told.map(({ path }) => path)).toEqual(paths);
  });

  it('write the data alone', () => {
    const told = (format: 'structured' | 'binary' | 'raw') =>
      kafkaProtocol.sink!.check!({ ...place, schemas: {} }, format).map(({ path }) => path);
    expect([told('structured'), told('binary'), told('raw')]).toEqual([['/schemas'], [], []]);
    expect(kafkaProtocol.sink!.check!(place, 'structured')).toEqual([]);
  });
});

describe.skipIf(!jars)(`Kafka with values in the wire format${reason}`, () => {
  let kafka: KafkaUnderTest;
  let admin: Admin;
  let producer: Producer;
  beforeAll(async () => {
    kafka = await startKafka(jars!);
    const bootstrapBrokers = [kafka.address];
    admin = new Admin({ clientId: 'test', bootstrapBrokers });
    producer = new Producer({ clientId: 'test', bootstrapBrokers, idempotent: true, ...PATIENT });
  }, 120_000);
  afterAll(async () => {
    await Promise.allSettled([admin?.close(), producer?.close(true)]);
    await kafka?.close();
  });

  let made = 0;
  const topicOf = async () => {
    const topic = `wire-${++made}`;
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    return topic;
  };
  const put = (topic: string, values: (Buffer | undefined)[]) =>
    producer.send({
      acks: -1,
      messages: values.map((value) => ({ topic, key: Buffer.from('k'), ...(value ? { value } : {}) })),
    });
  const settings = (topic: string, more: JsonObject = {}) => ({
    ...{ brokers: [kafka.address], topic, schemas: more },
  });
  type More = Parameters<typeof bridgeContext>[2];
  const read = (topic: string, end: number, more: More = {}, told: JsonObject = {}) =>
    readWith(topic, end, more, { schemas: told });
  const readWith = async (topic: string, end: number, more: More, told: JsonObject) => {
    const context = bridgeContext('in', kafkaProtocol, { events: { type: "'order'" }, schemas, ...more });
    const ending = new AbortController();
    const batches: SourceBatch[] = [];
    const reading = kafkaSource(context, { ...settings(topic), ...told });
    for await (const batch of reading.read(undefined, ending.signal)) {
      batches.push(batch);
      if (batches.flatMap(({ events, rejected = [] }) => [...events, ...rejected]).length >= end) break;
    }
    ending.abort();
    return {
      events: batches.flatMap(({ events }) => events),
      rejected: batches.flatMap(({ rejected = [] }) => rejected),
    };
  };

  it('reads keys as text, as JSON or by their schemas, and orders by what they say', async () => {
    const topic = await topicOf();
    const keys = [
      Buffer.from('one'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('{"b":1,"a":2}'),
      avro(1, { total: 3 }),
      avro(9, { total: 3 }),
    ];
    const value = avro(1, { total: 1 });
    await producer.send({ acks: -1, messages: keys.map((key) => ({ topic, key, value })) });
    const events = { type: "'keyed'", data: 'key' };
    const of = async (told: 'text' | 'json' | 'schema') => {
      const { events: read, rejected } = await readWith(topic, keys.length, { events }, { keys: told });
      return {
        keys: read.map(({ data, partitionkey }) => [data, partitionkey]),
        faults: rejected.map(({ error }) => error.message.slice(error.message.indexOf('the key'))),
        letters: rejected.map(({ letter }) => (letter.data as JsonObject).keyBase64),
      };
    };
    const base64 = keys.map((key) => key.toString('base64'));
    expect((await of('text')).keys).toEqual([
      ['one', 'one'],
      [base64[1], base64[1]],
      ['{"b":1,"a":2}', '{"b":1,"a":2}'],
      [base64[3], base64[3]],
      [base64[4], base64[4]],
    ]);
    const json = await of('json');
    expect(json.keys).toEqual([[{ b: 1, a: 2 }, '{"a":2,"b":1}']]);
    expect(json.letters).toEqual([undefined, base64[1], base64[3], base64[4]]);
    const bySchema = await of('schema');
    expect(bySchema.keys).toEqual([[{ total: 3 }, '{"total":3}']]);
    expect(bySchema.faults.at(-1)).toBe('the key: no schema of the registry has the id 9.');
  });

  it('reads Avro and JSON, and puts aside what it cannot read', async () => {
    const topic = await topicOf();
    const json = wire(2, Buffer.from('{"total":2}'));
    await put(topic, [
      avro(1, { total: 1.5 }),
      json,
      undefined,
      avro(9, { total: 1 }),
      Buffer.from('{"a":1}'),
    ]);
    const { events, rejected } = await read(topic, 5);
    expect(events.map(({ data }) => data)).toEqual([{ total: 1.5 }, { total: 2 }, null]);
    expect(rejected.map(({ error: { code, message } }) => [code, message])).toEqual([
      ['bridges.value_invalid', expect.stringContaining('has the id 9')],
      ['bridges.value_invalid', expect.stringContaining('byte 0')],
    ]);
  });

  it('reads values as the newest version of the subject has them', async () => {
    const topic = await topicOf();
    const fields = [
      { name: 'sum', type: 'double', aliases: ['total'] },
      { name: 'note', type: ['null', 'string'], default: null },
    ];
    const newest = { id: 3, type: 'AVRO', schema: { type: 'record', name: 'Order', fields } as Json };
    const known = new Map([...schemas, [`${topic}-value`, newest] as const]);
    await put(topic, [avro(1, { total: 1.5 })]);
    const { events } = await read(topic, 1, { schemas: known }, { readAs: 'latest' });
    expect(events.map(({ data }) => data)).toEqual([{ sum: 1.5, note: null }]);
  });

  it('loses nothing while the registry is away', async () => {
    const topic = await topicOf();
    await put(topic, [avro(1, { total: 1.5 })]);
    let fault: AiosError | undefined = new AiosError('bridges.registry_unreachable');
    const registryFault = () => fault;
    await expect(read(topic, 1, { registryFault })).rejects.toMatchObject({
      code: 'bridges.registry_unreachable',
    });
    fault = undefined;
    expect((await read(topic, 1, { registryFault })).events).toHaveLength(1);
  });

  const logged = (offset: number, data: Json, partition = 0): LoggedEvent => ({
    ...{ partition, offset, timeMs: 0, recordedAtMs: 0 },
    event: event(`e${partition}-${offset}`, { data }),
  });

  it('writes values by the newest schema, in both formats, and refuses those that are none', async () => {
    const topic = await topicOf();
    const known = new Map([[`${topic}-value`, { id: 1, type: 'AVRO', schema: order }]]);
    for (const format of ['binary', 'raw'] as const) {
      const context = bridgeContext(`out-${format}`, kafkaProtocol, { format, schemas: known });
      const sink = kafkaSink(context, settings(topic));
      const batch = [logged(0, { total: 1.5 }), logged(1, { total: 'x' }), logged(2, { total: 2 })];
      const { refused, undone } = await sink.deliver(batch);
      expect(undone).toEqual([]);
      expect(refused).toMatchObject([{ event: { offset: 1 }, error: { code: 'bridges.value_unfit' } }]);
      await sink.close!();
    }
    const { events } = await read(topic, 4, { schemas: known });
    expect(events).toMatchObject([
      { id: 'e0-0', type: 'thing.happened', datacontenttype: 'application/json', data: { total: 1.5 } },
      { id: 'e0-2', data: { total: 2 } },
      { type: 'order', data: { total: 1.5 } },
      { type: 'order', data: { total: 2 } },
    ]);
  });

  it('sends nothing of a partition past what is refused, where it is told to', async () => {
    const topic = await topicOf();
    const known = new Map([['any', { id: 1, type: 'AVRO', schema: order }]]);
    const context = bridgeContext('strict', kafkaProtocol, { format: 'raw', schemas: known });
    const sink = kafkaSink(context, settings(topic, { subject: 'any' }));
    const batch = [
      logged(0, { total: 1 }),
      logged(1, {}),
      logged(2, { total: 2 }),
      logged(0, { total: 3 }, 1),
    ];
    expect(await sink.deliver(batch, 'strict')).toMatchObject({
      refused: [{ event: { partition: 0, offset: 1 } }],
      undone: [{ partition: 0, offset: 2 }],
    });
    await sink.close!();
    const { events } = await read(topic, 2, { schemas: known });
    expect(events.map(({ data }) => data)).toEqual(expect.arrayContaining([{ total: 1 }, { total: 3 }]));
  });

  it('registers the contracts of what it writes, each under its own subject', async () => {
    const topic = await topicOf();
    const known = new Map<string, RegisteredSchema>();
    const contracts = new Map([
      ['thing.happened', { type: 'AVRO', schema: order }],
      ['other.thing', { type: 'JSON', schema: { title: 'Other' } }],
    ]);
    const context = bridgeContext('reg', kafkaProtocol, { format: 'binary', schemas: known, contracts });
    const sink = kafkaSink(context, settings(topic, { register: true, subjectStrategy: 'topic-record' }));
    const other = { ...logged(1, { b: 1 }), event: event('o', { type: 'other.thing', data: { b: 1 } }) };
    expect(await sink.deliver([logged(0, { total: 1.5 }), other])).toEqual({ undone: [], refused: [] });
    await sink.close!();
    expect([...known.keys()]).toEqual([`${topic}-Order`, `${topic}-Other`]);
    const { events } = await read(topic, 2, { schemas: known });
    expect(events.map(({ data }) => data)).toEqual([{ total: 1.5 }, { b: 1 }]);
  });

  it('writes nothing while there is no schema, and says so', async () => {
    const topic = await topicOf();
    const sink = kafkaSink(bridgeContext('none', kafkaProtocol, { format: 'raw' }), settings(topic));
    await expect(sink.deliver([logged(0, { total: 1 })])).rejects.toMatchObject({
      code: 'bridges.schema_missing',
    });
    await sink.close!();
  });
});
