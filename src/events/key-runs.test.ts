import { hash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { KeyFilter } from './key-filter.ts';
import { type EventKey, KEY_BYTES, type Place, wordAt } from './key-index.ts';
import { bytesOf, mergeRuns, OldKeys, PLACE_BYTES, placesIn, putRun, writePlace } from './key-runs.ts';
import { eventMigrations } from './migrations.ts';

const keyOf = (n: number): EventKey => hash('sha256', String(n), 'binary').slice(0, KEY_BYTES);
const keysOf = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, nth) => keyOf(from + nth));
const placeOf = (n: number): Place => ({ partition: n % 8, offset: 2 ** 40 + n });

describe('a filter of keys', () => {
  it('has every key that was entered, and takes few others for it', () => {
    const filter = KeyFilter.for(10_000);
    for (const key of keysOf(0, 10_000)) filter.add(wordAt(key, 2), wordAt(key, 3));
    const has = (key: EventKey) => filter.has(wordAt(key, 2), wordAt(key, 3));
    expect(keysOf(0, 10_000).every(has)).toBe(true);
    expect(keysOf(10_000, 60_000).filter(has).length).toBeLessThan(100); // 29 of 50,000 are to be expected
    expect(KeyFilter.for(0).has(1, 2)).toBe(false);
  });
});

describe('runs of keys', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createTestDatabase(eventMigrations);
  });
  afterEach(() => database.close());

  async function put(from: number, until: number, generation = 1): Promise<void> {
    const places = Buffer.alloc((until - from) * PLACE_BYTES);
    for (let n = from; n < until; n++) writePlace(places, n - from, placeOf(n));
    const keys = Buffer.concat(keysOf(from, until).map(bytesOf));
    await database.db.transaction((tx) => putRun(tx, generation, { keys, places }));
  }
  const merge = () => database.db.transaction(mergeRuns);
  const runs = () =>
    database.db.query<{ level: number; count: number }>(
      'select level, count from event_key_runs order by run',
    );
  async function expectFound(until: number): Promise<void> {
    const found = await placesIn(database.db, keysOf(0, until + 500));
    expect(found).toEqual(new Map(Array.from({ length: until }, (_, n) => [keyOf(n), placeOf(n)])));
  }

  it('say where each event stands, and nothing of others, through two merges', async () => {
    for (let run = 0; run < 66; run++) {
      await put(run * 30, run * 30 + 30);
      while (await merge());
    }
    expect(await runs()).toEqual([
      { level: 2, count: 64 * 30 },
      { level: 0, count: 30 },
      { level: 0, count: 30 },
    ]);
    await expectFound(66 * 30);
    const [kept] = await database.db.query('select sum(length(keys))::int as bytes from event_keys');
    expect(kept).toEqual({ bytes: 66 * 30 * KEY_BYTES });
  });

  it('are merged part by part, of runs with more buckets and with fewer', async () => {
    await put(0, 270_000);
    for (let run = 0; run < 7; run++) await put(270_000 + run * 100, 270_000 + (run + 1) * 100);
    expect(await merge()).toBe(true);
    expect(await runs()).toEqual([{ level: 1, count: 270_700 }]);
    expect((await placesIn(database.db, keysOf(269_000, 271_000))).size).toBe(1700);
    expect(await merge()).toBe(false);
  });

  it('are merged within their generation', async () => {
    await database.db.query('create table event_keys_2 partition of event_keys for values in (2)');
    for (let run = 0; run < 12; run++) await put(run * 10, run * 10 + 10, run < 5 ? 1 : 2);
    expect(await merge()).toBe(false);
    await put(120, 130, 2);
    expect(await merge()).toBe(true);
    expect(await database.db.query('select distinct generation from event_keys order by 1')).toEqual([
      { generation: 1 },
      { generation: 2 },
    ]);
    await expectFound(130);
  });

  it('are found while they are merged', async () => {
    await put(0, 200);
    let isOver = false;
    const looking = (async () => {
      while (!isOver) expect((await placesIn(database.db, keysOf(0, 200))).size).toBe(200);
    })();
    for (let run = 0; run < 30; run++) {
      await put(1000 + run * 200, 1200 + run * 200);
      while (await merge());
    }
    isOver = true;
    await looking;
  });

  it('are known to a process by their filters, those of runs that were merged, too', async () => {
    for (let run = 0; run < 8; run++) await put(run * 100, run * 100 + 100);
    const early = new OldKeys();
    expect([early.isEmpty, early.among(keysOf(0, 10))]).toEqual([true, []]);
    await early.read(database.db);
    await merge();
    const late = new OldKeys();
    await late.read(database.db);
    for (const old of [early, late]) {
      expect(old.among(keysOf(0, 800))).toEqual(keysOf(0, 800));
      expect(old.among(keysOf(800, 2800)).length).toBeLessThan(40);
    }
    await put(800, 900);
    await early.read(database.db);
    expect(early.among(keysOf(0, 900))).toEqual(keysOf(0, 900));
  });

  it('are put away whole or not at all', async () => {
    await put(0, 50);
    const failing = database.db.transaction(async (tx) => {
      await mergeRuns(tx);
      await putRun(tx, 1, { keys: bytesOf(keyOf(99)), places: Buffer.alloc(PLACE_BYTES) });
      throw new Error('the process was killed');
    });
    await expect(failing).rejects.toThrow('was killed');
    await expectFound(50);
    await database.db.transaction((tx) => putRun(tx, 1, { keys: Buffer.alloc(0), places: Buffer.alloc(0) }));
    expect(await runs()).toEqual([{ level: 0, count: 50 }]);
  });
});
