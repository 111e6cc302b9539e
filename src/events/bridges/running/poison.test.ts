import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IncomingMessage } from '../port/protocol.ts';
import { BridgesUnderTest, message, topics, until } from './bridges-under-test.ts';

const LONG = 'a'.repeat(100_000);
/** Microseconds where milliseconds are asked for, and nanoseconds, which are no date at all. */
const [MICROSECONDS, NANOSECONDS] = [1.7e15, 1.7e18];

describe('messages that no database, no JSON and no calendar takes', () => {
  let test: BridgesUnderTest;
  beforeAll(async () => {
    test = await BridgesUnderTest.create();
  });
  afterAll(() => test.close());

  const event = (id: string, body: string, more: Record<string, string> = {}): IncomingMessage => ({
    ...message(id, body, {
      ...{ ce_specversion: '1.0', ce_source: 'urn:s', ce_type: 't', ce_id: id },
      ...more,
    }),
    contentType: 'application/json',
  });
  const deep = '['.repeat(50_000) + ']'.repeat(50_000);
  const refused: [IncomingMessage, string][] = [
    [{ ...message('key', 'none'), key: '\0' }, 'bridges.message_invalid'],
    [message('header', 'none', { h: '\0', ['__proto__']: 'x' }), 'bridges.message_invalid'],
    [message('surrogate', 'none', { h: '\ud800' }), 'bridges.message_invalid'],
    [{ ...message('bytes', ''), value: Buffer.from([0xff, 0, 1]) }, 'bridges.message_invalid'],
    [{ ...message('micros', 'none'), timeMs: MICROSECONDS }, 'bridges.message_invalid'],
    [{ ...message('nanos', 'none'), timeMs: NANOSECONDS }, 'bridges.message_invalid'],
    [message('large', 'x'.repeat(3_000_000)), 'bridges.message_invalid'],
    [event('large-event', JSON.stringify('x'.repeat(3_000_000))), 'events.payload_too_large'],
    [event('control', '{}', { ce_type: 'a\0b' }), 'events.invalid'],
    [event('deep', deep), 'request.too_deep'],
    [event('year', '{}', { ce_time: '-000001-01-01T00:00:00Z' }), 'events.invalid'],
  ];
  const taken = [
    event('nul', '{"a":"\\u0000"}'),
    event('half', '{"a":"\\ud800"}'),
    event('type', '{}', { ce_type: LONG }),
    event(LONG, '{}'),
    event('subject', '{}', { ce_subject: LONG }),
    event('partition', '{}', { ce_partitionkey: LONG }),
    event('last', '{}'),
  ];

  it('have the time of reading where theirs is none', async () => {
    topics.set('times', [
      { ...message('nanos', 'text'), timeMs: NANOSECONDS },
      { ...message('seconds', 'text'), timeMs: 1.7e9 },
    ]);
    const before = new Date().toISOString();
    await test.process();
    const events = { type: "'timed'", partitionkey: "'times'" };
    await test.define('times', { from: { memory: { topic: 'times' } }, events });
    await until(async () => expect(await test.logged('times')).toHaveLength(2));
    const [nanos, seconds] = await test.logged('times');
    expect(nanos!.time >= before).toBe(true);
    expect(seconds!.time).toBe('1970-01-20T16:13:20.000Z');
  });

  it('hold up nothing behind them: they are taken, or dead letters', async () => {
    const both = refused.flatMap(([one], at) => (taken[at] ? [one, taken[at]] : [one]));
    topics.set('poison', both);
    await test.define('poison', { from: { memory: { topic: 'poison' } } });
    const { bridges, consumers } = test.open[0]!;
    const all = { passed: taken.length, rejected: refused.length };
    await until(async () => expect(await bridges.get('poison')).toMatchObject(all));
    const { items } = await consumers.deadLetters.list({ group: 'bridge:poison', limit: 50 });
    expect(items.map(({ event: { id }, problem: { code } }) => `${id} ${code}`).sort()).toEqual(
      refused.map(([{ id }, code]) => `${id} ${code}`).sort(),
    );
    expect(test.faults).toEqual([]);
  });
});
