import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { AiosClient } from '../client/client.ts';
import { Intake } from '../events/intake.ts';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const BYTES_MAX = 1_000_000;
const FIT = BYTES_MAX / 20_000 + 1; // events of 20 KB

describe('what producers may have under way', () => {
  it('are asked to come again by the pace of the work, and not by how long there was none', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const intake = new Intake({ eventIntakeBytesMax: 100, requestBytesMax: 500 });
      vi.advanceTimersByTime(3_600_000);
      const [first, second] = [intake.take(60), intake.take(40)];
      vi.advanceTimersByTime(2000);
      first();
      intake.take(60);
      expect(() => intake.take(60)).toThrow(
        expect.objectContaining({ extensions: expect.objectContaining({ retryAfterMs: 2000 }) }),
      );
      second();
    } finally {
      vi.useRealTimers();
    }
  });

  it('is bounded by bytes; a body alone is let in whatever its size, and what is given back counts once', () => {
    const intake = new Intake({ eventIntakeBytesMax: 100, requestBytesMax: 500 });
    const release = intake.take(400);
    expect(() => intake.take(1)).toThrow(expect.objectContaining({ code: 'request.overloaded' }));
    release();
    release();
    expect(intake.bytes).toBe(0);
    const first = intake.take(60);
    expect(() => intake.take(undefined)).toThrow(); // of unknown length: the largest
    const second = intake.take(40);
    expect(() => intake.take(1)).toThrow();
    first();
    second();
    expect(intake.bytes).toBe(0);
  });
});

describe('producers of events before a database that stands still', () => {
  const { api, database } = openedApi(`eventIntakeBytesMax=${BYTES_MAX}`);
  let url: string;
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });
  const post = (id: string) =>
    fetch(`${url}/api/v1/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${api.keys.operator}`,
        'content-type': 'application/cloudevents+json',
      },
      body: JSON.stringify({ ...returnRequested(id), data: { amount: 1, note: 'x'.repeat(20_000) } }),
    });

  it('are asked to come again past the bound; each 202 is in the log, and who comes again gets one', async () => {
    const blocker = new pg.Client(database.target);
    await blocker.connect();
    await blocker.query('begin');
    await blocker.query('select from event_head for update');
    const posted = Array.from({ length: 120 }, async (_, n) => {
      const response = await post(`b${n}`);
      return {
        id: `b${n}`,
        status: response.status,
        after: response.headers.get('retry-after'),
        text: await response.text(),
      };
    });
    const settled: unknown[] = [];
    for (const one of posted)
      one.then(
        (answer) => settled.push(answer),
        () => {},
      );
    while (settled.length < 120 - FIT) await sleep(10); // all have come: the others are refused, these wait
    await blocker.query('rollback');
    await blocker.end();
    const answers = await Promise.all(posted);
    const refused = answers.filter(({ status }) => status === 429);
    const accepted = answers.filter(({ status }) => status === 202);
    expect(refused.length + accepted.length).toBe(120);
    // No more than fit were under way, and the others were told when to come again.
    expect(accepted.length).toBeLessThanOrEqual(FIT);
    expect(accepted.length).toBeGreaterThan(FIT / 2);
    for (const { after, text } of refused) {
      expect(Number(after)).toBeGreaterThan(0);
      expect(JSON.parse(text)).toMatchObject({
        code: 'request.overloaded',
        limitName: 'eventIntakeBytesMax',
        hint: expect.any(String),
      });
    }
    const rows = await database.db.query<{ id: string }>("select event->>'id' as id from events");
    expect(rows.map(({ id }) => id).sort()).toEqual(accepted.map(({ id }) => id).sort());
    for (const { id } of refused) expect((await post(id)).status).toBe(202);
  });

  it('of the typed client wait as long as they are told', async () => {
    const blocker = new pg.Client(database.target);
    await blocker.connect();
    await blocker.query('begin');
    await blocker.query('select from event_head for update');
    const taken = vi.spyOn(Intake.prototype, 'take');
    const held = Array.from({ length: 49 }, (_, n) => post(`h${n}`));
    await expect.poll(() => taken.mock.results).toHaveLength(49);
    const client = new AiosClient({ baseUrl: url, key: api.keys.operator, retriesMax: 20 });
    const sent = client.request('POST', '/api/v1/events', {
      headers: { 'content-type': 'application/cloudevents+json' },
      body: { ...returnRequested('patient'), data: { amount: 1, note: 'x'.repeat(20_000) } },
    });
    await expect.poll(() => taken.mock.results.some(({ type }) => type === 'throw')).toBe(true); // it is told to wait
    taken.mockRestore();
    await blocker.query('rollback');
    await blocker.end();
    expect(await sent).toMatchObject({ accepted: 1 });
    for (const one of await Promise.all(held)) expect(one.status).toBe(202);
  });
});
