import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { buryEvent } from '../dead-letters.ts';
import { event } from '../event-under-test.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { receiver } from './message-under-test.ts';
import { processOfWebhooks, replaysAmong, unaudited } from './webhooks-under-test.ts';

describe('webhooks over several processes', () => {
  let database: TestDatabase;
  let server: Server;
  let url: string;
  const received: string[] = [];
  let answer: (id: string) => number;
  /** It hardly moves, so that nothing is tried again by itself. */
  let nowMs = Date.now();
  const clock = { now: () => nowMs++, monotonicMs: () => performance.now() };
  const key = randomBytes(32);
  const by = { kind: 'key', id: 'key_1' };
  const ground = () => ({
    ...{ db: database.db, limits: database.limits, clock, key },
    log: new EventLog({ ...database, clock }),
    onError: (error: unknown) => {
      throw error;
    },
  });
  let worker: ReturnType<typeof processOfWebhooks>;
  let api: ReturnType<typeof processOfWebhooks>;
  beforeAll(async () => {
    server = receiver(({ event: { id } }) => {
      received.push(id);
      return answer(id);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  });
  beforeEach(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'webhookPollMs=30,consumerPollMs=20,replayPollMs=30,consumerPauseMs=5',
    );
    [worker, api] = [processOfWebhooks(ground()), processOfWebhooks({ ...ground(), takesPart: false })];
    for (const { consumers, webhooks } of [worker, api]) {
      await consumers.start();
      await webhooks.start();
    }
    received.length = 0;
    answer = () => 204;
  });
  afterEach(async () => {
    for (const { consumers, webhooks } of [worker, api]) {
      await webhooks.stop();
      await consumers.stop();
    }
    await database.close();
  });
  afterAll(() => void server.close());
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(10);
  };

  it('are given events again by one that leaves them to others, and named by it', async () => {
    const [there, here] = [
      replaysAmong(worker.consumers, ground()),
      replaysAmong(api.consumers, { ...ground(), takesPart: false }),
    ];
    await there.start();
    const { webhook } = await api.webhooks.create({ url }, by);
    const consumer = `webhook:${webhook.id}`;
    await ground().log.append([event('once')]);
    await until(() => received.length === 1);
    await expect(here.create({ target: { consumer: 'none' }, by: 'me' }, unaudited)).rejects.toMatchObject({
      message: `“none” is not given events again: those that may are ${consumer}.`,
    });
    const { id } = await here.create({ target: { consumer }, by: 'me' }, unaudited);
    await until(async () => (await here.get(id!)).status === 'completed');
    expect(received).toEqual(['once', 'once']);
    await api.webhooks.update(webhook.id, { enabled: false }, by);
    await expect(here.create({ target: { consumer }, by: 'me' }, unaudited)).rejects.toMatchObject({
      code: 'events.unknown_consumer',
    });
    await there.stop();
  });

  it('are given their dead letters by it, too', async () => {
    const { webhook } = await api.webhooks.create({ url }, by);
    const logged = { partition: 0, offset: 0, event: event('buried'), timeMs: 0, recordedAtMs: 0 };
    await buryEvent(database.db, `webhook:${webhook.id}`, logged, new AiosError('request.invalid'), 1);
    const { items } = await api.consumers.deadLetters.list({ limit: 1 });
    await api.consumers.deadLetters.replay(items[0]!.id);
    await until(() => received.includes('buried'));
  });

  it('say why nothing is sent by one whose master key is another, and are sent again with a new secret', async () => {
    const other = processOfWebhooks({ ...ground(), key: randomBytes(32), takesPart: false });
    const { webhook } = await other.webhooks.create({ url, types: ['unsigned', 'signed'] }, by);
    await worker.webhooks.create({ url, types: ['beside'] }, by);
    const { log } = ground();
    await log.append([event('unsigned', { type: 'unsigned' }), event('beside', { type: 'beside' })]);
    await until(() => received.includes('beside'));
    const deliveries = async () => (await api.webhooks.deliveries(webhook.id, { limit: 5 })).items;
    await until(async () => (await deliveries()).length > 0);
    expect(await deliveries()).toMatchObject([
      { status: 'retrying', response: null, detail: expect.stringContaining('another master key') },
    ]);
    expect((await worker.consumers.deadLetters.list({ limit: 5 })).items).toEqual([]);
    await worker.webhooks.rotate(webhook.id, by); // the one before would sign, too, could it be opened
    await log.append([event('signed', { type: 'signed' })]);
    await worker.webhooks.retry(webhook.id, (await deliveries())[0]!.id, by);
    await until(() => received.includes('signed') && received.includes('unsigned'));
  });

  it('are sent to another address at once, however long the one before is left alone', async () => {
    const { webhook } = await api.webhooks.create({ url: `${url}/wrong` }, by);
    answer = () => 500;
    const events = (from: number) =>
      Array.from({ length: 20 }, (_, n) => event(`e${from + n}`, { partitionkey: 'one' }));
    await ground().log.append(events(0));
    const failed = async () => (await api.webhooks.deliveries(webhook.id, { limit: 50 })).items;
    await until(async () => (await failed()).length >= 3);
    const { id } = (await failed())[0]!;
    const attempts = async () => (await failed()).find((delivery) => delivery.id === id)!.attempts;
    for (let nth = 2; nth <= 12; nth++) {
      await worker.webhooks.retry(webhook.id, id, by);
      await until(async () => (await attempts()) === nth);
    }
    // By now it is left alone for five minutes.
    answer = () => 204;
    await api.webhooks.update(webhook.id, { url }, by);
    await until(() => received.includes('e19'));
  });

  it('are sent what a change selects, also by a process that has not seen the change', async () => {
    const { webhook } = await api.webhooks.create({ url, types: ['early'] }, by);
    await worker.webhooks.stop();
    await worker.consumers.stop();
    worker = processOfWebhooks({ ...ground(), limits: { ...database.limits, webhookPollMs: 600_000 } });
    await worker.consumers.start();
    await worker.webhooks.start();
    const { log } = ground();
    const one = (id: string, type: string) => event(id, { type, partitionkey: 'one' });
    await log.append([one('1', 'early')]);
    await until(() => received.length === 1);
    await api.webhooks.update(webhook.id, { types: ['early', 'late'] }, by);
    await log.append([one('2', 'late'), one('3', 'other'), one('4', 'early')]);
    await until(() => received.includes('4'));
    expect(received).toEqual(['1', '2', '4']);
  });
});
