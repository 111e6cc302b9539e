import { readFile } from 'node:fs/promises';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { metricReader } from '../../../telemetry/meter-provider.ts'; // before the instruments, which record nothing otherwise
import { event } from '../../event-under-test.ts';
import { BridgesUnderTest, broker, message, topics, until } from './bridges-under-test.ts';

let test: BridgesUnderTest;
beforeAll(async () => {
  test = await BridgesUnderTest.create();
});
afterEach(() => {
  broker.isAway = false; // whatever became of the test: it would fail all that come after
});
afterAll(() => test.close());

/** The points of a metric of one bridge: the values by what tells them apart. */
async function pointsOf(name: string, bridge: string): Promise<Record<string, number>> {
  const { resourceMetrics } = await metricReader.collect();
  const found = resourceMetrics.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .find(({ descriptor }) => descriptor.name === name);
  const points = (found?.dataPoints ?? []).filter(({ attributes }) => attributes.bridge === bridge);
  return Object.fromEntries(
    points.map(({ attributes, value }) => [
      String(attributes['error.type'] ?? attributes['messaging.system'] ?? attributes.state ?? ''),
      value as number,
    ]),
  );
}

it('a source tells what it took and put aside, how far it is behind, and what went wrong', async () => {
  const one = (n: number) => message(`m${n}`, event(`m${n}`, { source: 'urn:m', partitionkey: 'm' }));
  topics.set('m', [one(0), message('bad', 'no event'), one(1)]);
  await test.define('measured', { from: { memory: { topic: 'm' } } });
  const before = Date.now() / 1000;
  const { bridges } = await test.process();
  // The process counts when it has heard of the commit, which others may see before.
  const consumed = () => pointsOf('messaging.client.consumed.messages', 'measured');
  await until(async () => expect(await consumed()).toEqual({ memory: 3 }));
  expect((await bridges.get('measured')).passed).toBe(2);
  expect(await pointsOf('aios.bridge.dead_letters', 'measured')).toEqual({ 'bridges.message_invalid': 1 });
  expect(await pointsOf('aios.bridge.dead_letters.open', 'measured')).toEqual({ '': 1 });
  const states = { running: 1, failing: 0, waiting: 0, paused: 0 };
  await until(async () => expect(await pointsOf('aios.bridge.state', 'measured')).toEqual(states));
  const { '': at } = await pointsOf('aios.bridge.last_event.timestamp_seconds', 'measured');
  expect(at).toBeGreaterThan(before - 60);
  await until(async () => expect(await pointsOf('aios.bridge.lag', 'measured')).toEqual({ '': 0 }));
  expect(await pointsOf('aios.bridge.retries', 'measured')).toEqual({});

  broker.isAway = true;
  const failing = { running: 0, failing: 1, waiting: 0, paused: 0 };
  await until(async () => expect(await pointsOf('aios.bridge.state', 'measured')).toEqual(failing));
  await until(async () => expect((await pointsOf('aios.bridge.retries', 'measured'))['']).toBeGreaterThan(0));
  // A retry counts when it begins, its error when it has failed.
  const errors = () => pointsOf('aios.bridge.errors', 'measured');
  await until(async () => expect((await errors())['connectors.unreachable']).toBeGreaterThan(1));
});

it('a source says in every process how far it is behind, as long as one reads it', async () => {
  const { bridges } = await test.process();
  await until(async () => expect(await bridges.get('measured')).toMatchObject({ state: 'running', lag: 0 }));
  await bridges.pause('measured', { kind: 'key', id: 'k' });
  await until(async () => expect((await bridges.get('measured')).lag).toBeUndefined());
});

it('a sink tells what it sent, and what nobody will take', async () => {
  const { bridges } = test.open[0]!;
  await test.define('sending', { to: { memory: { topic: 'sent' } }, types: ['measured'] });
  await until(async () => expect((await bridges.get('sending')).state).toBe('running'));
  const one = (id: string, subject: string) => event(id, { type: 'measured', subject });
  await test.log.append([one('s1', 'a'), one('s2', 'too large'), one('s3', 'b')]);
  await until(async () => expect((await bridges.get('sending')).passed).toBe(2));
  expect(await pointsOf('messaging.client.sent.messages', 'sending')).toEqual({ memory: 2 });
  expect(await pointsOf('aios.bridge.dead_letters', 'sending')).toEqual({ 'bridges.message_refused': 1 });
  await until(async () => expect(await pointsOf('aios.bridge.lag', 'sending')).toEqual({ '': 0 }));
  await bridges.pause('sending', { kind: 'key', id: 'k' });
  expect(await pointsOf('aios.bridge.state', 'sending')).toMatchObject({ paused: 1, running: 0 });
});

it('Prometheus has them under the names and with the labels that the page of bridges says', async () => {
  const page = await readFile(new URL('../../../../docs/bridges.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `((?:aios_bridge|messaging_client)_\w+)` \| (.*?) \|/gm)];
  expect(rows).toHaveLength(9);
  const text = new PrometheusSerializer().serialize((await metricReader.collect()).resourceMetrics);
  for (const [, name, labels] of rows) {
    const line = text.split('\n').find((one) => one.startsWith(`${name}{`)) ?? '';
    for (const [, label] of labels!.matchAll(/`(\w+)`/g)) expect(line, name).toContain(`${label}="`);
  }
});
