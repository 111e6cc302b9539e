import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import type { EventConsumers } from '../consumers.ts';
import { buryEvent } from '../dead-letters.ts';
import { event } from '../event-under-test.ts';
import { EventLog } from '../log.ts';
import { eventMigrations } from '../migrations.ts';
import { type Message, receiver, verify } from './message-under-test.ts';
import { insertFailed } from './webhook-store.ts';
import type { Webhooks } from './webhooks.ts';
import type { WebhookChange } from './webhooks-dependencies.ts';
import { processOfWebhooks, replaysAmong, unaudited } from './webhooks-under-test.ts';

/** No answer at all. */
const SILENT = 0;

describe('webhooks', () => {
  let database: TestDatabase;
  let log: EventLog;
  let consumers: EventConsumers;
  let webhooks: Webhooks;
  let server: Server;
  let url: string;
  let received: Message[] = [];
  let answer: (message: Message) => number = () => 204;
  let skewMs = 0;
  const thrown = (error: unknown) => {
    throw error;
  };
  let onError: (error: unknown) => void = thrown;
  const clock = { now: () => Date.now() + skewMs, monotonicMs: () => performance.now() };
  const recorded: WebhookChange[] = [];
  const by = { kind: 'key', id: 'key_1' };

  beforeAll(async () => {
    server = receiver((message) => {
      const status = answer(message);
      if (status !== SILENT && status < 300) received.push(message);
      return status === SILENT ? undefined : status;
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  });
  beforeEach(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'webhookPollMs=30,consumerPollMs=20,webhookDisableMs=200000000,consumerPauseMs=5',
    );
    log = new EventLog({ ...database, clock });
    received = [];
    recorded.length = 0;
    answer = () => 204;
    skewMs = 0;
    onError = thrown;
    ({ consumers, webhooks } = open());
    await consumers.start();
    await webhooks.start();
  });
  afterEach(async () => {
    await webhooks.stop();
    await consumers.stop();
    await database.close();
  });
  afterAll(() => void server.close());

  const key = randomBytes(32);
  const ground = (limits = database.limits) => ({
    ...{ db: database.db, log, clock, key, limits, recorded },
    onError: (error: unknown) => onError(error),
  });
  const open = (limits = database.limits, takesPart = true) =>
    processOfWebhooks({ ...ground(limits), takesPart });
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(10);
  };
  const openReplays = () => replaysAmong(consumers, ground());
  const delivered = (id: string, count: number) =>
    until(
      async () => (await webhooks.deliveries(id, { status: 'delivered', limit: 10 })).items.length === count,
    );
  const ids = () => received.map((message) => message.event.id);

  it('send exactly the events that were selected, signed, each partition in its order', async () => {
    const { webhook, secret } = await webhooks.create(
      { url, types: ['order.placed'], filter: 'data.total > 10.0' },
      by,
    );
    const order = (id: string, total: number) =>
      event(id, { type: 'order.placed', partitionkey: 'c-1', data: { total } });
    await log.append([
      ...Array.from({ length: 30 }, (_, n) => order(`o${n}`, 20 + n)),
      order('small', 5),
      event('other', { type: 'order.paid', partitionkey: 'c-1' }),
      event('odd', { type: 'order.placed', data: 'no total' }),
      order('last', 99),
    ]);
    await until(() => ids().includes('last'));
    expect(ids()).toEqual([...Array.from({ length: 30 }, (_, n) => `o${n}`), 'last']);
    for (const message of received) {
      expect(verify(secret!, message)).toBe(true);
      expect(verify(secret!, { ...message, body: `${message.body} ` })).toBe(false);
    }
    expect(received[0]!.event).toEqual(order('o0', 20));
    expect(received[0]!.headers['content-type']).toMatch(/^application\/cloudevents\+json/);
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(31);
    expect(webhook).toMatchObject({ status: 'active' });
    expect(JSON.stringify(await database.db.query('select secrets from webhooks'))).not.toContain(secret!);
    expect(recorded.map(({ action }) => action)).toEqual(['created']);
  });

  it('are sent what comes after they are made or enabled, also where no process that sends has seen them yet', async () => {
    await webhooks.stop();
    const { webhooks: others } = open(database.limits, false);
    const { webhook } = await others.create({ url }, by);
    await log.append([event('made')]);
    const { webhook: paused } = await others.create({ url, types: ['late'] }, by);
    await others.update(paused.id, { enabled: false }, by);
    await log.append([event('missed', { type: 'late' })]);
    await others.update(paused.id, { enabled: true }, by);
    await log.append([event('enabled', { type: 'late' })]);
    await others.update(webhook.id, { description: 'still there' }, by);
    ({ webhooks } = processOfWebhooks({ ...ground(), consumers }));
    await webhooks.start();
    await until(() => received.length >= 4);
    expect(ids().toSorted()).toEqual(['enabled', 'enabled', 'made', 'missed']);
  });

  it('are made once for a key, and begin after they were made', async () => {
    await log.append([event('before')]);
    const first = await webhooks.create({ url }, by, { idempotencyKey: 'k' });
    const again = await webhooks.create({ url }, by, { idempotencyKey: 'k' });
    expect(again.webhook.id).toBe(first.webhook.id);
    expect([typeof first.secret, again.secret]).toEqual(['string', undefined]);
    await log.append([event('after')]);
    await until(() => ids().includes('after'));
    expect(ids()).toEqual(['after']);
  });

  it('sign with the old secret, too, for a day after a rotation', async () => {
    const { webhook, secret } = await webhooks.create({ url }, by);
    const rotated = await webhooks.rotate(webhook.id, by);
    await log.append([event('during')]);
    await until(() => received.length === 1);
    expect([verify(secret!, received[0]!), verify(rotated.secret, received[0]!)]).toEqual([true, true]);
    skewMs = 2 * 86_400_000;
    await log.append([event('later')]);
    await until(() => received.length === 2);
    const laterS = clock.now() / 1000;
    expect([verify(secret!, received[1]!, laterS), verify(rotated.secret, received[1]!, laterS)]).toEqual([
      false,
      true,
    ]);
  });

  it('try a delivery that failed again on the schedule, under the same id, while others go on', async () => {
    const { webhook } = await webhooks.create({ url }, by);
    answer = ({ event: { id } }) => (id === 'bad' ? 500 : 204);
    const same = { partitionkey: 'p' };
    await log.append([event('bad', same), event('next', same)]);
    await until(() => ids().includes('next'));
    const retrying = () =>
      webhooks.deliveries(webhook.id, { status: 'retrying', limit: 10 }).then(({ items }) => items);
    await until(async () => (await retrying()).length > 0);
    const [delivery] = await retrying();
    expect(delivery).toMatchObject({ attempts: 1, response: 500, event: { id: 'bad' } });
    expect(delivery!.nextAt! - delivery!.lastAt).toBe(5000);
    answer = () => 204;
    skewMs += 5_001;
    await until(() => ids().includes('bad'));
    expect(received.at(-1)!.headers['webhook-id']).toBe(delivery!.id);
    await delivered(webhook.id, 1);
    await webhooks.retry(webhook.id, delivery!.id, by);
    await until(() => ids().filter((id) => id === 'bad').length === 2);
    await expect(webhooks.retry(webhook.id, 'none', by)).rejects.toMatchObject({ code: 'webhooks.unknown' });
    expect(recorded.map(({ action }) => action)).toEqual(['created', 'retried']);
  });

  it('try again what failed while another receiver does not answer, however much of its waits', async () => {
    const [silent, other] = [
      await webhooks.create({ url, types: ['silent'] }, by),
      await webhooks.create({ url, types: ['other'] }, by),
    ];
    answer = ({ event: { type } }) => (type === 'silent' ? SILENT : 204);
    const failed = (type: string, count: number, dueMs: number) =>
      insertFailed(
        database.db,
        (type === 'silent' ? silent : other).webhook.id,
        Array.from({ length: count }, (_, n) => ({
          ...{ id: `${type}-${n}`, response: 500, detail: '' },
          logged: {
            partition: 0,
            offset: n,
            event: event(`${type}-${n}`, { type }),
            timeMs: 0,
            recordedAtMs: 0,
          },
        })),
        clock.now(),
        clock.now() + dueMs,
      );
    await failed('silent', 100, 0);
    await failed('other', 25, 100);
    await until(() => received.length === 25);
    const waiting = await webhooks.deliveries(silent.webhook.id, { status: 'retrying', limit: 200 });
    expect(waiting.items).toHaveLength(100);
  });

  it('try an event of a replay again that was delivered before and fails now', async () => {
    const { webhook } = await webhooks.create({ url }, by);
    const states = async () =>
      (await webhooks.deliveries(webhook.id, { limit: 10 })).items.map(({ status }) => status);
    answer = () => 500;
    await log.append([event('again')]);
    await until(async () => (await states())[0] === 'retrying');
    answer = () => 204;
    skewMs += 5_001;
    await until(async () => (await states())[0] === 'delivered');
    answer = () => 500;
    const replays = openReplays();
    await replays.create({ target: { consumer: `webhook:${webhook.id}` }, by: 'me' }, unaudited);
    await until(async () => (await states())[0] === 'retrying');
    answer = () => 204;
    skewMs += 5_001;
    await until(() => received.length === 2);
    expect(ids()).toEqual(['again', 'again']);
    await replays.stop();
  });

  it('leave events in the log while the receiver is away, and bring all of them when it is back', async () => {
    const { webhook } = await webhooks.create({ url }, by);
    answer = () => 503;
    await log.append(Array.from({ length: 200 }, (_, n) => event(`e${n}`, { partitionkey: 'one' })));
    await sleep(300);
    const { items: failed } = await webhooks.deliveries(webhook.id, { limit: 500 });
    expect(failed.length).toBeLessThan(10);
    answer = () => 204;
    await until(() => received.length >= 200 - failed.length);
    skewMs += 10_000;
    await until(() => new Set(ids()).size === 200);
  });

  it('are disabled by 410, and after days without success, on record and told as an event', async () => {
    const { webhook } = await webhooks.create({ url, types: ['thing.happened'] }, by);
    answer = () => 410;
    await log.append([event('gone')]);
    await until(async () => (await webhooks.get(webhook.id)).status === 'disabled');
    expect((await log.search({ type: 'aios.webhook.disabled', limit: 5 })).items).toHaveLength(1);
    expect(recorded.map(({ action }) => action)).toEqual(['created', 'disabled']);
    await until(async () => (await consumers.groups()).length === 0); // it holds nothing of the log back
    answer = () => 204;
    await webhooks.update(webhook.id, { enabled: true }, by);
    await log.append([event('back')]);
    await until(() => ids().includes('back'));
    answer = () => 500;
    await log.append([event('failing')]);
    await until(async () => (await webhooks.get(webhook.id)).failingSince !== null);
    // More than once: the end of what went well before may come after the first failure, which then counts from the next one.
    await until(async () => {
      skewMs += 200_000_001;
      return (await webhooks.get(webhook.id)).status === 'disabled';
    });
    expect((await webhooks.get(webhook.id)).disabledReason).toMatch(/No delivery has succeeded since/);
  });

  it('are shared by processes, and can be given events again by a replay', async () => {
    const other = open();
    await other.consumers.start();
    await other.webhooks.start();
    const { webhook } = await webhooks.create({ url }, by);
    const group = `webhook:${webhook.id}`;
    await until(
      () => consumers.partitions(group).length === 4 && other.consumers.partitions(group).length === 4,
    );
    await log.append(Array.from({ length: 100 }, (_, n) => event(`s${n}`)));
    await until(() => received.length >= 100);
    expect(new Set(ids()).size).toBe(100);
    await until(async () => (await consumers.groups()).every(({ lag }) => lag === 0));
    await other.webhooks.stop();
    await other.consumers.stop();
    const replays = openReplays();
    received = [];
    const { id } = await replays.create({ target: { consumer: group }, by: 'me' }, unaudited);
    await until(() => received.length === 100);
    await replays.start();
    await until(async () => (await replays.get(id!)).handled === 100);
    await replays.stop();
  });

  it('begin at a later look where the database would not let them at first', async () => {
    const faults: unknown[] = [];
    onError = (error) => void faults.push(error);
    await database.db.query('alter table event_group_members rename to away');
    await webhooks.create({ url }, by);
    await log.append([event('meanwhile')]);
    expect(faults).not.toEqual([]);
    await database.db.query('alter table away rename to event_group_members');
    await until(() => ids().includes('meanwhile'));
    expect(ids()).toEqual(['meanwhile']);
  });

  it('send a dead letter that is replayed', async () => {
    const { webhook } = await webhooks.create({ url }, by);
    const group = `webhook:${webhook.id}`;
    const logged = { partition: 0, offset: 0, event: event('buried'), timeMs: 0, recordedAtMs: 0 };
    await buryEvent(database.db, group, logged, new AiosError('request.invalid'), 1);
    const { items } = await consumers.deadLetters.list({ group, limit: 1 });
    await consumers.deadLetters.replay(items[0]!.id);
    await until(() => ids().includes('buried'));
    await delivered(webhook.id, 1);
  });

  it.each(['disabled', 'deleted'])(
    'end their replays when they are %s, which would hold the log for ever',
    async (how) => {
      const { webhook } = await webhooks.create({ url }, by);
      answer = () => 503; // it is left alone soon, with most of the replay undone
      await log.append(Array.from({ length: 100 }, (_, n) => event(`r${n}`, { partitionkey: 'one' })));
      const replays = openReplays();
      const { id } = await replays.create(
        { target: { consumer: `webhook:${webhook.id}` }, by: 'me' },
        unaudited,
      );
      expect(await replays.get(id!)).toMatchObject({ status: 'running' });
      if (how === 'disabled') await webhooks.update(webhook.id, { enabled: false }, by);
      else await webhooks.delete(webhook.id, by);
      expect(await replays.get(id!)).toMatchObject({ status: 'canceled' });
      expect(await consumers.groups()).toEqual([]);
      await replays.stop();
    },
  );

  it('are refused with addresses and secrets that are none, and forgotten when they are deleted', async () => {
    await expect(webhooks.create({ url: 'ftp://x' }, by)).rejects.toMatchObject({ code: 'webhooks.invalid' });
    await expect(webhooks.create({ url }, by, { secret: 'whsec_c2hvcnQ=' })).rejects.toMatchObject({
      code: 'webhooks.invalid',
    });
    await expect(webhooks.create({ url, filter: '1 +' }, by)).rejects.toMatchObject({
      code: 'expression.syntax',
    });
    const { webhook } = await webhooks.create({ url }, by);
    await webhooks.delete(webhook.id, by);
    await expect(webhooks.get(webhook.id)).rejects.toMatchObject({ code: 'webhooks.unknown' });
    expect(await webhooks.list()).toEqual([]);
  });

  it('lose no secret and no change to another process that changes them at the same time', async () => {
    const { webhooks: other } = open(); // it takes its own connections, and reads before the first one writes
    for (let round = 0; round < 8; round++) {
      const { webhook, secret } = await webhooks.create({ url }, by);
      const [rotated, , again] = await Promise.all([
        webhooks.rotate(webhook.id, by),
        other.update(webhook.id, { description: 'changed' }, by),
        other.rotate(webhook.id, by),
      ]);
      expect(await webhooks.get(webhook.id)).toMatchObject({ description: 'changed', status: 'active' });
      await webhooks.update(webhook.id, {}, by); // who delivers has looked
      await log.append([event(`e${round}`, { type: 't' })]);
      await until(() => ids().includes(`e${round}`));
      const message = received.find((each) => each.event.id === `e${round}`)!;
      expect([secret!, rotated.secret, again.secret].map((each) => verify(each, message))).toEqual([
        true,
        true,
        true,
      ]);
      await webhooks.delete(webhook.id, by);
    }
  });

  it('stay disabled when what is said of them is changed meanwhile', async () => {
    for (let round = 0; round < 8; round++) {
      const { webhook } = await webhooks.create({ url }, by);
      await Promise.all([
        webhooks.update(webhook.id, { enabled: false }, by),
        webhooks.update(webhook.id, { description: 'changed' }, by),
      ]);
      expect(await webhooks.get(webhook.id)).toMatchObject({ status: 'disabled', description: 'changed' });
    }
    await expect(webhooks.rotate('whk_none', by)).rejects.toMatchObject({ code: 'webhooks.unknown' });
  });
});
