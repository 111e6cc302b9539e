import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { type KafkaUnderTest, kafkaJars, startKafka } from '../src/testing/kafka.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';

const [python, jars] = [
  await pythonEnvironment(['confluent-kafka[schemaregistry,json,avro]==2.15.1']),
  await kafkaJars(),
];
const why =
  python && jars
    ? ''
    : ` (skipped: no ${python ? 'java and mvn, or no Maven Central' : 'python3, or no PyPI'})`;

const order = (number: number, note: string | number | null) => ({
  id: `00000000-0000-0000-0000-00000000000${number}`,
  ...{ amount: '-12.50', day: `2026-01-0${number}`, note, serial: '9007199254740993', tags: { a: [1, 2] } },
  ...{ at: '2026-01-02T03:04:05.678Z', exact: '2026-01-02T03:04:05.678901Z' },
});
const ORDERS = [order(1, 'x'), order(2, 7), order(3, null)];
const PYTHON_ORDERS = ORDERS.map((one) => ({
  ...{ ...one, at: one.at.replace('.678Z', '.678000+00:00'), exact: one.exact.replace('Z', '+00:00') },
}));

describe.skipIf(!python || !jars)(`Kafka’s bridge beside Confluent’s stock serializers${why}`, () => {
  let app: App;
  let database: TestDatabase;
  let dataDir: string;
  let kafka: KafkaUnderTest;
  const api = async (path: string, init?: RequestInit) => {
    const headers = { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' };
    const response = await fetch(`${app.url}/api/v1${path}`, { ...init, headers });
    return { status: response.status, body: (await response.json()) as never };
  };
  const client = (what: string, topic: string, count: number) =>
    runPython(
      python!,
      join(import.meta.dirname, 'clients', 'avro_values.py'),
      ...[what, app.url, app.adminKey, kafka.address, topic, String(count)],
    );
  const dataOf = async (type: string) => {
    const { body } = await api(`/events?type=${type}&limit=20`);
    const { items } = body as { items: { data: { id?: string } }[] };
    return items.map(({ data }) => data).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  };
  const bridge = async (name: string, body: object) => {
    const text = JSON.stringify({ name, ...body });
    const files = [{ path: `bridges/${name}.json`, text }];
    const { status, body: told } = await api('/apply', { method: 'POST', body: JSON.stringify({ files }) });
    expect([status, told]).toEqual([200, expect.anything()]);
  };
  const soon = { timeout: 30_000, interval: 100 };
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'aios-avro-'));
    [database, kafka] = await Promise.all([createTestDatabase([]), startKafka(jars!)]);
    app = await createApp({
      ...{ dataDir, databaseUrl: database.url, host: '127.0.0.1', port: 0 },
      limits: limitsFrom(),
    });
    app.ready();
    process.env.AIOS_SECRET_REGISTRY = app.adminKey;
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.address] });
    await admin.createTopics({ topics: ['orders', 'paid', 'copies', 'kept'], partitions: 1, replicas: 1 });
    await admin.close();
  }, 150_000);
  afterAll(async () => {
    delete process.env.AIOS_SECRET_REGISTRY;
    await app?.stop();
    await kafka?.close();
    await database?.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const place = (topic: string, schemas: object) => ({
    kafka: { brokers: [kafka.address], topic, schemas },
  });
  const allowPrivate = ['127.0.0.1'];
  const readByPython = async (topic: string) => {
    const found = (await client('read', topic, 3)) as { id: string }[];
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  };

  it('brings what a producer writes, which registers its schema, as events of that contract', async () => {
    expect(await client('avro', 'orders', 3)).toBe(3);
    await bridge('orders-in', { from: place('orders', {}), events: { type: "'orders'" }, allowPrivate });
    await expect.poll(() => dataOf('orders'), soon).toEqual(ORDERS);
    const { body } = await api('/contracts/orders');
    expect(body).toMatchObject({ body: { version: '1.0.0', avro: { namespace: 'com.acme' } } });
  });

  it('asks a registry at an address as well, with its token, and reads JSON by its schema', async () => {
    expect(await client('json', 'paid', 2)).toBe(2);
    const registry = { url: `${app.url}/schema-registry`, token: '${secrets.REGISTRY}' };
    await bridge('paid-in', { from: place('paid', { registry }), events: { type: "'paid'" }, allowPrivate });
    await expect.poll(() => dataOf('paid'), soon).toEqual([{ total: 0.5 }, { total: 1.5 }]);
  });

  it('puts a value aside whose schema nobody has, and goes on', async () => {
    expect(await client('unknown', 'orders', 1)).toBe(1);
    const state = async () => (await api('/bridges/orders-in')).body as object;
    await expect.poll(state, soon).toMatchObject({ passed: 3, rejected: 1, state: 'running' });
    const { body } = await api('/dead-letters?group=bridge:orders-in');
    expect(body).toMatchObject({ items: [{ problem: { code: 'bridges.value_invalid' } }] });
  });

  it('writes what a consumer reads by the schema of its subject', async () => {
    const to = place('copies', { subject: 'orders-value' });
    await bridge('orders-out', { to, types: ['orders'], format: 'raw', start: 'earliest', allowPrivate });
    expect(await readByPython('copies')).toEqual(PYTHON_ORDERS);
  });

  it('registers the schema of a contract at a registry, by which a consumer reads', async () => {
    const registry = { url: `${app.url}/schema-registry`, token: '${secrets.REGISTRY}' };
    const to = place('kept', { registry, register: true, subjectStrategy: 'topic-record' });
    await bridge('orders-kept', { to, types: ['orders'], format: 'raw', start: 'earliest', allowPrivate });
    expect(await readByPython('kept')).toEqual(PYTHON_ORDERS);
    const { body } = await api('/contracts/kept-com.acme.Order');
    expect(body).toMatchObject({
      body: { version: '1.0.0', avro: { namespace: 'com.acme', name: 'Order' } },
    });
  });
});
