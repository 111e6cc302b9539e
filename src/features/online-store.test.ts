import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Queryable } from '../store/database.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { CachedOnlineStore } from './cached-online-store.ts';
import { featureMigrations } from './migrations.ts';
import { type NewRow, PostgresOnlineStore, REMOVED_KEPT_MS } from './online-store.ts';
import { onlineStoreConformance } from './online-store-conformance.ts';

onlineStoreConformance('Postgres', ({ db }) => new PostgresOnlineStore(db));
onlineStoreConformance(
  'Postgres behind memory',
  ({ db, limits }) => new CachedOnlineStore(new PostgresOnlineStore(db), db, limits),
);

describe('rows in memory', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(featureMigrations);
  });
  afterAll(() => database.close());

  const row = (score: number): NewRow => ({
    entity: 'a',
    timeMs: score,
    createdMs: 0,
    validToMs: null,
    values: { score },
  });
  const write = async (store: PostgresOnlineStore | CachedOnlineStore, score: number) => {
    const after = await database.db.transaction((tx) => store.write(tx, 'v', [row(score)]));
    after();
  };

  it('answer without a question to the database, what is not there, too', async () => {
    let asked = 0;
    const counted: Queryable = {
      query: (text, values) => {
        asked++;
        return database.db.query(text, values);
      },
    };
    const store = new CachedOnlineStore(new PostgresOnlineStore(counted), database.db, database.limits);
    await write(store, 1);
    await store.read('v', ['a', 'nobody']);
    expect(asked).toBe(1);
    const again = store.read('v', ['a', 'nobody']);
    expect(again).not.toBeInstanceOf(Promise);
    expect(asked).toBe(1);
  });

  it('are forgotten by a process that has not been asked for so long that what is left of removed rows may be gone', async () => {
    const store = new CachedOnlineStore(new PostgresOnlineStore(database.db), database.db, database.limits);
    await database.db.query('delete from feature_online');
    await write(store, 1);
    await store.read('v', ['a']);
    await store.read('v', ['a']);
    await database.db.query('delete from feature_online');
    const laterMs = performance.now() + REMOVED_KEPT_MS / 2;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => laterMs);
    expect(await store.read('v', ['a'])).toEqual([undefined]);
    now.mockRestore();
  });

  it('are not kept when they were read before a write and came after it', async () => {
    let release: () => void = () => {};
    let held: Promise<void> | undefined;
    const taken = Promise.withResolvers<void>();
    const reads: Queryable = {
      async query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]> {
        const rows = await database.db.query<Row>(text, values);
        if (held) taken.resolve();
        await held;
        return rows;
      },
    };
    const store = new CachedOnlineStore(new PostgresOnlineStore(reads), database.db, database.limits);
    await write(store, 2);
    held = new Promise((resolve) => {
      release = resolve;
    });
    const early = Promise.resolve(store.read('v', ['a']));
    await taken.promise;
    await write(store, 3);
    release();
    held = undefined;
    expect((await early)[0]?.values.score).toBe(2);
    expect((await store.read('v', ['a']))[0]?.values.score).toBe(3);
  });
});
