import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Database } from '../store/database.ts';
import { definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { event } from './event-under-test.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';
import { pushedDown } from './pushed-down.ts';
import { searchEvents } from './search.ts';
import { compileSelection } from './selection.ts';

describe('what of a filter is compared in SQL', () => {
  it.each([
    ["event.type == 'a.b'", { type: 'a.b' }],
    ['data.total > 10.0 && event.source == "urn:x" && subject == \'s\'', { source: 'urn:x', subject: 's' }],
    ["event.type == 'a' && (data.x || data.y)", { type: 'a' }],
    ["event.type == 'a' || event.type == 'b'", {}],
    ["data.x ? event.type == 'a' : true", {}],
    ["event.type == 'a' && event.type == 'b'", {}],
    ["!(event.type == 'a')", {}],
    ["event.type != 'a'", {}],
    ["data.text == 'x && event.type == \\'a\\''", {}],
    ["data.?x.orValue(0) > 1 && event.type == 'a'", { type: 'a' }],
    ["'type' == event.type", {}],
    ["data.items.exists(i, i == 'x') && event.type == 'a'", { type: 'a' }],
    ["r'a' == data.x && event.type == 'a'", {}],
  ])('%s', (filter, expected) => expect(pushedDown(filter)).toEqual(expected));
});

describe('a search with a filter', () => {
  let database: TestDatabase;
  let log: EventLog;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations], 'eventScanMax=1000');
    log = new EventLog({ ...database, clock: systemClock });
    await log.append(
      Array.from({ length: 3000 }, (_, n) =>
        event(`e${n}`, { type: n % 1000 === 0 ? 'rare' : 'common', subject: `s${n % 3}`, data: { n } }),
      ),
    );
  });
  afterAll(() => database.close());

  it('walks all that match once, over pages that its bound cuts short', async () => {
    const found: number[] = [];
    let before: string | null | undefined;
    let bounded = 0;
    while (before !== null) {
      const page = await log.search({ filter: 'data.n % 100.0 == 7.0', limit: 4, before });
      found.push(...page.items.map((logged) => (logged.event.data as { n: number }).n));
      if (page.isBounded) {
        bounded++;
        expect(page.scanned).toBeGreaterThanOrEqual(1000);
      }
      before = page.nextCursor;
    }
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i * 100 + 7));
    const none = await log.search({ filter: 'data.n < 0.0', limit: 4 });
    expect(none).toMatchObject({ items: [], isBounded: true, nextCursor: expect.any(String) });
    expect(bounded).toBe(0);
  });

  it('reads only what is compared in SQL', async () => {
    const page = await log.search({ filter: "event.type == 'rare' && data.n >= 0.0", limit: 10 });
    expect(page).toMatchObject({ scanned: 3, isBounded: false, nextCursor: null });
    expect(page.items).toHaveLength(3);
    const both = await log.search({ filter: "event.type == 'rare'", subject: 's0', limit: 10 });
    expect(both.items.map(({ event: { id } }) => id)).toEqual(['e0']);
  });

  it('leaves out segments that the time leaves out, and refuses a filter that is none', async () => {
    await database.db.query(
      "insert into event_segments (kind, number, opened_at, closed_at) values ('events', 1, now() - interval '1 day', now() - interval '1 hour')",
    );
    const since = Date.now() - 60_000;
    expect((await log.search({ since, limit: 5 })).items).toEqual([]); // as the segment is said to be closed before
    expect((await log.search({ until: Date.now() + 60_000, limit: 5 })).items).toHaveLength(5);
    for (const filter of ["type == 'a'", "data.x && 'a' == type"])
      await expect(log.search({ filter, limit: 1 })).rejects.toThrow(/event\.type/);
    expect(
      await log.search({ filter: "data.type == 'type' || type(data.n) == double", limit: 1 }),
    ).toMatchObject({
      items: [expect.anything()],
    });
    await expect(log.search({ filter: 'data.', limit: 1 })).rejects.toMatchObject({
      code: 'expression.syntax',
    });
  });

  it('says that a filter is neither true nor false, where an event would only be left out', async () => {
    for (const filter of ['data.n', 'data.?n', 'event.subject'])
      await expect(log.search({ filter, limit: 1 })).rejects.toMatchObject({
        code: 'expression.failed',
        message: expect.stringContaining('a filter says true or false'),
      });
    expect((await log.search({ filter: 'data.absent', limit: 1 })).items).toEqual([]);
    expect(compileSelection({ filter: 'data.n' })(event('e1', { data: { n: 1 } }))).toBe(false);
    for (const filter of ['size(event.type)', "'rare'", '[data.n]', 'null'])
      expect(() => compileSelection({ filter })).toThrow(
        expect.objectContaining({ code: 'expression.syntax' }),
      );
    for (const filter of ['data.?flag.orValue(false)', 'data.flag', 'data.items.exists(i, i.x > 1.0)'])
      compileSelection({ filter });
  });
});

describe('a page of a type', () => {
  const BATCHES = 40;
  const COUNT = 100;

  it('is read from the newest batches alone, before Postgres has counted the rows, too', async () => {
    const database = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
    const log = new EventLog({ ...database, clock: systemClock });
    for (let batch = 0; batch < BATCHES; batch++)
      await log.append(
        Array.from({ length: COUNT }, (_, n) => event(`e${batch}-${n}`, { partitionkey: `k${n}` })),
      );
    let asked: [string, readonly unknown[] | undefined] | undefined;
    const db: Database = {
      ...database.db,
      queryDynamic: (text, values) => {
        asked = [text, values];
        return database.db.queryDynamic(text, values);
      },
    };
    const page = await searchEvents(db, { type: 'thing.happened', limit: 10 }, database.limits);
    expect(page.items).toHaveLength(10);
    const [row] = await database.db.queryDynamic<{ 'QUERY PLAN': object }>(
      `explain (analyze, format json) ${asked![0]}`,
      asked![1],
    );
    const lines = JSON.stringify(row!['QUERY PLAN']).match(
      /"Function Name":"string_to_table".*?"Actual Loops":(\d+)/,
    )!;
    expect(Number(lines[1])).toBeLessThan(8 * 5); // of 8 partitions with 40 batches each
    await database.close();
  });
});
