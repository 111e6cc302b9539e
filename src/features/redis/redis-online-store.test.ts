import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { redisProgram, startRedis } from '../../testing/redis.ts';
import { CachedOnlineStore } from '../cached-online-store.ts';
import { featureMigrations } from '../migrations.ts';
import { type NewRow, type OnlineStore, PostgresOnlineStore } from '../online-store.ts';
import { onlineStoreConformance } from '../online-store-conformance.ts';
import { RedisOnlineStore } from './redis-online-store.ts';

const program = await redisProgram();
const why = program ? '' : ' (skipped: no redis-server, and no Debian to take it from)';
const redis = program && (await startRedis(program));
const opened: RedisOnlineStore[] = [];
const WAIT = { timeout: 15_000 };

function storeOver({ db, limits }: TestDatabase, url = redis!.url): RedisOnlineStore {
  const store = new RedisOnlineStore({ inner: new PostgresOnlineStore(db), db, url, limits });
  opened.push(store);
  return store;
}

afterAll(async () => {
  for (const store of opened) await store.close();
  await redis?.server.close();
});

describe.skipIf(!program)(`over Redis${why}`, () => {
  onlineStoreConformance('Redis', (database) => storeOver(database));
  onlineStoreConformance(
    'Redis behind memory',
    (database) => new CachedOnlineStore(storeOver(database), database.db, database.limits),
  );
});

const row = (entity: string, score: number): NewRow => ({
  entity,
  timeMs: score,
  createdMs: 0,
  validToMs: null,
  values: { score },
});

describe.skipIf(!program)(`newest rows in Redis${why}`, () => {
  let database: TestDatabase;
  let store: RedisOnlineStore;
  let asked = 0;
  let view = '';
  let views = 0;
  beforeAll(async () => {
    database = await createTestDatabase(featureMigrations);
    const inner = new PostgresOnlineStore({
      query: (text, values) => {
        asked++;
        return database.db.query(text, values);
      },
    });
    store = new RedisOnlineStore({ inner, db: database.db, url: redis!.url, limits: database.limits });
    opened.push(store);
  });
  afterAll(() => database.close());
  beforeEach(() => {
    view = `of-redis-${views++}`;
  });

  const write = async (rows: readonly NewRow[], into = store) => {
    const told = await database.db.transaction((tx) => into.write(tx, view, rows));
    told();
  };
  const scores = async (...entities: string[]) =>
    (await store.read(view, entities)).map((each) => each?.values.score);
  /** Until these are answered without Postgres. */
  const kept = (...entities: string[]) =>
    vi.waitFor(async () => {
      const before = asked;
      await scores(...entities);
      expect(asked).toBe(before);
    }, WAIT);

  it('are answered without Postgres once they were read or written, what is not there, too', async () => {
    await write([row('a', 1)]);
    await kept('a', 'nobody');
    await write([row('b', 2)]);
    await kept('a', 'b', 'nobody');
    expect(await scores('nobody', 'b', 'a')).toEqual([undefined, 2, 1]);
  });

  it('do not go back when a write comes late or twice', async () => {
    await write([row('a', 5)]);
    await kept('a');
    await write([row('a', 3)]);
    await write([row('a', 5)]);
    expect(await scores('a')).toEqual([5]);
    await kept('a');
    expect(await scores('a')).toEqual([5]);
  });

  it('are not those of an earlier pass that were read before a later one and come after it', async () => {
    const taken = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const inner = new PostgresOnlineStore(database.db);
    const slow: OnlineStore = {
      async read(of, entities) {
        const rows = await inner.read(of, entities);
        taken.resolve();
        await released.promise;
        return rows;
      },
      write: (...all) => inner.write(...all),
      removeUnseen: (...all) => inner.removeUnseen(...all),
    };
    const { db, limits } = database;
    const reader = new RedisOnlineStore({ inner: slow, db, url: redis!.url, limits });
    opened.push(reader);
    await database.db.transaction((tx) => inner.write(tx, view, [{ ...row('a', 5), pass: 1 }])); // Redis knows nothing of it
    const early = reader.read(view, ['a']);
    await taken.promise;
    await write([{ ...row('a', 3), pass: 2 }]);
    await kept('a');
    released.resolve();
    expect((await early)[0]?.values.score).toBe(5);
    await reader.read(view, ['a']); // behind what it has brought to Redis
    await kept('a');
    expect(await scores('a')).toEqual([3]);
  });

  it('are asked of Postgres while they are written, and when the writer died between commit and Redis', async () => {
    await write([row('a', 1)]);
    await kept('a');
    await database.db.transaction((tx) => store.write(tx, view, [row('a', 2)])); // told nothing after its commit
    expect(await scores('a')).toEqual([2]);
    await write([row('a', 3)]);
    await kept('a');
    expect(await scores('a')).toEqual([3]);
  });

  it('are those of Postgres after a transaction was rolled back, and after the mark of a dead writer ends', async () => {
    const limits = { ...database.limits, featureRedisMarkMs: 100 };
    const brief = new RedisOnlineStore({
      inner: new PostgresOnlineStore(database.db),
      db: database.db,
      url: redis!.url,
      limits,
    });
    opened.push(brief);
    await write([row('a', 1)]);
    await kept('a');
    const failed = database.db.transaction(async (tx) => {
      await brief.write(tx, view, [row('a', 9)]);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    await kept('a');
    expect(await scores('a')).toEqual([1]);
  });

  it('are filled again after Redis was restarted, and no request fails while it is away', async () => {
    await write([row('a', 1)]);
    await kept('a');
    await redis!.server.kill();
    expect(await scores('a')).toEqual([1]);
    await write([row('a', 2)]);
    expect(await scores('a')).toEqual([2]);
    await redis!.server.start();
    await kept('a');
    expect(await scores('a')).toEqual([2]);
  });

  it('written by a process that cannot reach Redis are seen by one that can', async () => {
    await write([row('a', 1)]);
    await kept('a');
    const apart = storeOver(database, 'redis://127.0.0.1:1');
    const epochs = async () => {
      const [counted] = await database.db.query<{ begun: number; rows: number }>(
        'select sum(begun)::int as begun, count(*)::int as rows from feature_online_epochs',
      );
      return counted!;
    };
    const before = await epochs();
    for (let n = 0; n < 20; n++) await write([row('a', 2)], apart);
    const { begun, rows } = await epochs();
    expect(begun).toBeGreaterThanOrEqual(before.begun + 20);
    expect(rows).toBeLessThan(before.rows + 20); // a count for each connection, not a row for each write
    await vi.waitFor(async () => expect(await scores('a')).toEqual([2]), WAIT);
    await kept('a');
    expect(await scores('a')).toEqual([2]);
  });
});
