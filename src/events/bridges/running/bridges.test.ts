import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../../kernel/cloudevent.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { Definitions, definitionMigrations } from '../../../store/definitions.ts';
import { type Write, write } from '../../../store/group-commit.ts';
import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { EventConsumers } from '../../consumers.ts';
import { event } from '../../event-under-test.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import type { RejectedMessage } from '../port/event-source.ts';
import type { BridgeProtocol, IncomingMessage } from '../port/protocol.ts';
import { Bridges } from './bridges.ts';

/** A broker in memory: topics are lists. */
const topics = new Map<string, IncomingMessage[]>();
const sent: { topic: string; id: string }[] = [];
/** How many read a topic now, and did at once. One number for all topics would count another bridge that is just then opened anew. */
const readers = new Map<string, { now: number; most: number }>();
let opened = 0;
let isAway = false;
const topicOf = (settings: JsonObject) => String(settings.topic);
const settings = { type: 'object', required: ['topic'], properties: { topic: { type: 'string' } } };
const memory: BridgeProtocol = {
  name: 'memory',
  attributePrefixes: ['ce_'],
  source: {
    settings,
    position: { type: 'object', required: ['next'] },
    open: ({ name, decode, answered }, told) => ({
      name,
      async *read(from, signal) {
        const reading = readers.get(topicOf(told)) ?? { now: 0, most: 0 };
        readers.set(topicOf(told), reading);
        reading.now++;
        opened++;
        reading.most = Math.max(reading.most, reading.now);
        try {
          let next = Number(from?.next ?? 0);
          while (!signal.aborted) {
            if (isAway) throw new AiosError('connectors.unreachable', { detail: `no ${told.secret}` });
            answered();
            const messages = (topics.get(topicOf(told)) ?? []).slice(next, next + 10);
            const decoded = messages.map(decode);
            next += messages.length;
            if (messages.length > 0)
              yield {
                events: decoded.filter((one): one is CloudEvent => !('letter' in one)),
                rejected: decoded.filter((one): one is RejectedMessage => 'letter' in one),
                position: { next },
              };
            else await new Promise((done) => setTimeout(done, 5));
          }
        } finally {
          reading.now--;
        }
      },
    }),
  },
  sink: {
    settings,
    open: ({ group }, told) => ({
      group,
      async deliver(events: readonly LoggedEvent[]) {
        if (isAway) throw new AiosError('connectors.unreachable');
        const isRefused = (one: LoggedEvent) => one.event.subject === 'too large';
        for (const one of events) if (!isRefused(one)) sent.push({ topic: topicOf(told), id: one.event.id });
        const error = new AiosError('bridges.message_refused');
        return { undone: [], refused: events.filter(isRefused).map((one) => ({ event: one, error })) };
      },
    }),
  },
};

const message = (id: string, body: unknown, headers: Record<string, string> = {}): IncomingMessage => ({
  ...{ id, headers, topic: 't', position: { at: id } },
  value: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

describe('bridges', () => {
  let database: TestDatabase;
  let log: EventLog;
  let definitions: Definitions;
  const records: object[] = [];
  const apart: string[] = [];
  const kept = { name: 'kept', order: 98, write: async () => undefined };
  const open: { bridges: Bridges; consumers: EventConsumers }[] = [];

  beforeAll(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'bridgePollMs=20,consumerLeaseMs=1500,consumerPollMs=20,consumerPauseMs=1',
    );
    log = new EventLog({ ...database, clock: systemClock });
    definitions = new Definitions(database.db);
  });
  afterAll(async () => {
    for (const one of open) await one.bridges.stop();
    for (const one of open) await one.consumers.stop();
    await database.close();
  });

  const process = async () => {
    const consumers = new EventConsumers({ ...database, log });
    await consumers.start();
    const bridges = new Bridges({
      ...database,
      ...{ log, consumers, definitions, clock: systemClock, protocols: [memory], takesPart: true },
      addresses: async () => [],
      folders: [],
      fill: (text) => ({ text: text.replace('${secrets.S}', 'hush'), secrets: ['hush'], check: () => {} }),
      redact: (text, secrets) => [...secrets].reduce((clean, one) => clean.replaceAll(one, '***'), text),
      check: ({ type }) => {
        if (type === 'unfit') throw new AiosError('contracts.data_invalid');
        if (type === 'apart')
          throw new AiosError('contracts.data_invalid', { extensions: { onFail: 'quarantine' } });
      },
      quarantine: ({ id }, fault): Write | undefined =>
        fault.extensions.onFail === 'quarantine' && apart.push(id) ? write(kept, id) : undefined,
      record: (change) => {
        records.push(change);
        return write(kept, change);
      },
      onError: () => {},
    });
    await bridges.start();
    open.push({ bridges, consumers });
    return { bridges, consumers };
  };
  const define = async (name: string, body: JsonObject) => {
    await database.commit.commit([
      definitions.put({ kind: 'bridge', name, body: { name, ...body }, source: '', createdBy: 'test' }),
    ]);
    await definitions.reload();
  };
  const logged = async (partitionkey: string) =>
    (
      await database.db.query<{ event: CloudEvent }>(
        "select event from events where event->>'partitionkey' = $1 order by log_offset",
        [partitionkey],
      )
    ).map(({ event: one }) => one);
  const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 10 });
  const by = { kind: 'key', id: 'key_1' };

  it('bring messages as events, by expressions where they are none, and put aside what cannot be one', async () => {
    await define('in', {
      from: { memory: { topic: 'a' } },
      events: { type: 'value.kind', partitionkey: "'a'", subject: 'headers.who', data: 'value.body' },
    });
    topics.set('a', [
      message('m1', { kind: 'order.placed', body: { n: 1 } }, { who: 'x' }),
      message('m2', 'no json', { who: 'x' }),
      message('m3', { kind: 'unfit', body: {} }, { who: 'x' }),
      message('m4', { kind: 'apart', body: {} }, { who: 'x' }),
      message('m5', 'text', {
        ce_specversion: '1.0',
        ce_id: 'own',
        ce_source: 'urn:s',
        ce_type: 't',
        ce_partitionkey: 'a',
      }),
    ]);
    const { bridges, consumers } = await process();
    await until(async () => expect((await bridges.get('in')).position).toEqual({ next: 5 }));
    expect(await logged('a')).toMatchObject([
      { id: 'm1', source: 'urn:aios:bridge:in', type: 'order.placed', subject: 'x', data: { n: 1 } },
    ]);
    expect(await bridges.get('in')).toMatchObject({
      passed: 1,
      rejected: 4,
      state: 'running',
      direction: 'source',
    });
    expect(apart).toEqual(['m4']);
    const { items } = await consumers.deadLetters.list({ group: 'bridge:in', limit: 10 });
    expect(items.map(({ event: { id }, problem: { code } }) => `${id} ${code}`).sort()).toEqual([
      'm2 expression.failed',
      'm3 contracts.data_invalid',
      'm5 request.malformed',
    ]);
    // The letter of what was no event is the message, which the definition as it is then may read.
    await define('in', {
      from: { memory: { topic: 'a' } },
      events: { type: "'late'", partitionkey: "'a2'" },
    });
    await consumers.deadLetters.replay(items.find(({ event: { id } }) => id === 'm2')!.id);
    expect(await logged('a2')).toMatchObject([{ id: 'm2', type: 'late', data: 'no json' }]);
  });

  it('run each source in one process, and another goes on when it ends', async () => {
    const bodies = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) =>
        message(`b${from + n}`, event(`b${from + n}`, { source: 'urn:b', partitionkey: 'b' })),
      );
    topics.set('b', bodies(0, 50));
    await define('shared', { from: { memory: { topic: 'b' } } });
    await process();
    await until(async () => expect(await logged('b')).toHaveLength(50));
    topics.get('b')!.push(...bodies(50, 60));
    for (const one of open.splice(0, 1)) {
      await one.bridges.stop();
      await one.consumers.stop();
    }
    topics.get('b')!.push(...bodies(60, 100));
    await until(async () => expect(await logged('b')).toHaveLength(100));
    expect((await logged('b')).map(({ id }) => id)).toEqual(bodies(0, 100).map(({ id }) => id));
    expect(readers.get('b')).toEqual({ now: 1, most: 1 });
  });

  it('are opened anew and go on from another place, on record; what the log has is not taken twice', async () => {
    const { bridges } = open[0]!;
    const one = (n: number) => message(`r${n}`, event(`r${n}`, { source: 'urn:r', partitionkey: 'r' }));
    topics.set('r', [one(0), one(1)]);
    await define('moving', { from: { memory: { topic: 'r' } } });
    await until(async () => expect((await bridges.get('moving')).position).toEqual({ next: 2 }));
    const before = opened;
    await bridges.restart('moving', by);
    await until(async () => expect(opened).toBeGreaterThan(before));
    await bridges.move('moving', { next: 1 }, by);
    await until(async () => expect((await bridges.get('moving')).passed).toBe(3));
    await bridges.move('moving', null, by);
    await until(async () => expect((await bridges.get('moving')).passed).toBe(5));
    expect((await bridges.get('moving')).position).toEqual({ next: 2 });
    expect(await logged('r')).toHaveLength(2);
    expect(records.splice(0)).toEqual([
      { action: 'restarted', name: 'moving', by },
      { action: 'moved', name: 'moving', by, from: { next: 2 }, to: { next: 1 } },
      { action: 'moved', name: 'moving', by, from: { next: 2 }, to: null },
    ]);
    await expect(bridges.move('moving', { last: 1 }, by)).rejects.toMatchObject({ code: 'request.invalid' });
    await define('unmoving', { to: { memory: { topic: 'r' } } });
    await expect(bridges.move('unmoving', null, by)).rejects.toMatchObject({
      code: 'bridges.place_not_here',
    });
  });

  it('pause and go on where they were, on record, and follow a new version', async () => {
    const { bridges } = open[0]!;
    const one = (n: number) => message(`c${n}`, event(`c${n}`, { source: 'urn:c', partitionkey: 'c' }));
    topics.set('c', [one(0)]);
    await define('pausing', { from: { memory: { topic: 'c' } } });
    await until(async () => expect(await logged('c')).toHaveLength(1));
    expect((await bridges.pause('pausing', by)).state).toBe('paused');
    await bridges.pause('pausing', by);
    topics.get('c')!.push(one(1));
    expect(await logged('c')).toHaveLength(1);
    expect((await bridges.resume('pausing', by)).state).not.toBe('paused');
    await until(async () => expect(await logged('c')).toHaveLength(2));
    expect(records).toEqual([
      { action: 'paused', name: 'pausing', by },
      { action: 'resumed', name: 'pausing', by },
    ]);
    await define('pausing', { from: { memory: { topic: 'c' } }, paused: true });
    expect((await bridges.get('pausing')).state).toBe('paused');
    await expect(bridges.resume('pausing', by)).rejects.toMatchObject({
      code: 'bridges.paused_by_definition',
    });
    await expect(bridges.pause('nothing', by)).rejects.toMatchObject({ code: 'bridges.unknown' });
    await define('pausing', { from: { memory: { topic: 'c2' } }, paused: false });
    topics.set('c2', [
      message('x', {}),
      message('y', {}),
      message('z', event('z', { source: 'urn:c', partitionkey: 'c' })),
    ]);
    await until(async () => expect(await logged('c')).toHaveLength(3));
    expect([readers.get('c')!.now, readers.get('c2')!.now]).toEqual([0, 1]);
  });

  it('say what is wrong, without the secrets, until it is well again', async () => {
    const { bridges } = open[0]!;
    await define('failing', { from: { memory: { topic: 'd', secret: '${secrets.S}' } } });
    await until(async () => expect((await bridges.get('failing')).state).toBe('running'));
    isAway = true;
    await until(async () =>
      expect((await bridges.get('failing')).problem).toMatchObject({ detail: 'no ***' }),
    );
    expect((await bridges.get('failing')).state).toBe('failing');
    isAway = false;
    await until(async () => expect((await bridges.get('failing')).state).toBe('running'));
  });

  it('send what they are to send, later where the other side is away, and put aside only what it refuses', async () => {
    const { bridges, consumers } = open[0]!;
    await define('out', {
      to: { memory: { topic: 'e' } },
      types: ['wanted'],
      filter: 'data.n > 0.0',
      start: 'latest',
    });
    await until(async () => expect((await bridges.get('out')).state).toBe('running'));
    const wanted = (id: string, more: Partial<CloudEvent> = {}) =>
      event(id, { type: 'wanted', partitionkey: 'e', ...more });
    isAway = true;
    await log.append([
      wanted('e1'),
      wanted('e2', { data: { n: 0 } }),
      event('e3'),
      wanted('e4', { subject: 'too large' }),
      wanted('e5'),
    ]);
    await until(async () => expect((await bridges.get('out')).state).toBe('failing'));
    expect((await consumers.deadLetters.list({ group: 'bridge:out', limit: 10 })).items).toEqual([]);
    isAway = false;
    const arrived = () => new Set(sent.filter(({ topic }) => topic === 'e').map(({ id }) => id));
    await until(() => expect(arrived()).toEqual(new Set(['e1', 'e5'])));
    await until(async () =>
      expect(await bridges.get('out')).toMatchObject({
        direction: 'sink',
        lag: 0,
        passed: 2,
        state: 'running',
      }),
    );
    const { items } = await consumers.deadLetters.list({ group: 'bridge:out', limit: 10 });
    expect(items.map(({ event: { id }, problem: { code } }) => [id, code])).toEqual([
      ['e4', 'bridges.message_refused'],
    ]);
  });
});
