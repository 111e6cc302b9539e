import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { featureMigrations } from '../migrations.ts';
import { FileJoins } from './file-joins.ts';
import type { FileJoin, HistoricalFiles } from './historical-files.ts';

type Run = HistoricalFiles['run'];
const JOIN: FileJoin = { service: 's', entities: 'a.csv', out: 'b.parquet' };

/** Resolves when the signal says so; never otherwise. */
const aborted = (signal: AbortSignal | undefined) =>
  new Promise<never>((_, reject) => signal!.addEventListener('abort', () => reject(new Error('aborted'))));

describe('historical joins of files, as passes', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(featureMigrations);
  });
  afterAll(() => database.close());
  beforeEach(() => database.db.query('delete from feature_joins'));

  const open = (run: Run, passLeaseMs = 60_000, check: HistoricalFiles['check'] = () => {}, more = {}) => {
    const { db, commit, limits } = database;
    return new FileJoins({
      db,
      commit,
      clock: { now: () => 5_000 },
      files: { check, run },
      limits: { ...limits, passLeaseMs, ...more },
    });
  };

  it('are done one by one, and say how far they were', async () => {
    const asked: FileJoin[] = [];
    const joins = open(async (join, watch) => {
      asked.push(join);
      watch?.progress?.(7, 7);
      return { rows: 7 };
    });
    const first = await joins.start({ ...JOIN, timestamp: 'at', recordedByMs: 9 }, 'ann', []);
    const second = await joins.start({ ...JOIN, out: 'c.parquet' }, 'bob', []);
    // Two never write one file.
    await expect(joins.start(JOIN, 'bob', [])).rejects.toMatchObject({ code: 'features.file_exists' });
    expect(await joins.get(first)).toMatchObject({
      status: 'running',
      rows: 0,
      total: null,
      requestedBy: 'ann',
    });
    expect([await joins.passes.step(), await joins.passes.step(), await joins.passes.step()]).toEqual([
      true,
      true,
      false,
    ]);
    expect(asked).toMatchObject([
      { ...JOIN, timestamp: 'at', recordedByMs: 9 },
      { ...JOIN, out: 'c.parquet', timestamp: undefined, recordedByMs: undefined },
    ]);
    expect(await joins.get(first)).toMatchObject({
      status: 'done',
      rows: 7,
      total: 7,
      problem: null,
      endedAt: 5_000,
    });
    expect((await joins.list()).map(({ id }) => id).toSorted()).toEqual([first, second].toSorted());
  });

  it('say how far they are while they are under way, more often than their lease is renewed', async () => {
    let end = () => {};
    const under = new Promise<void>((done) => {
      end = done;
    });
    const run: Run = async (_join, watch) => {
      watch?.progress?.(3, 9);
      await under;
      return { rows: 9 };
    };
    const joins = open(run, 600_000, () => {}, { passProgressMs: 20 });
    const id = await joins.start(JOIN, 'ann', []);
    const working = joins.passes.step();
    await vi.waitFor(
      async () => expect(await joins.get(id)).toMatchObject({ status: 'running', rows: 3, total: 9 }),
      {
        timeout: 15_000,
      },
    );
    end();
    await working;
    expect((await joins.get(id)).status).toBe('done');
  });

  it('that fail say why', async () => {
    const joins = open(() => Promise.reject(new Error('no such luck')));
    const id = await joins.start(JOIN, 'ann', []);
    await joins.passes.step();
    expect(await joins.get(id)).toMatchObject({ status: 'failed', problem: { code: expect.any(String) } });
  });

  it('are refused before they are asked for when they cannot be done', async () => {
    const joins = open(
      async () => ({ rows: 0 }),
      60_000,
      () => {
        throw new Error('not so');
      },
    );
    await expect(joins.start(JOIN, 'ann', [])).rejects.toThrow('not so');
    expect(await joins.list()).toEqual([]);
    await expect(joins.get('fjn_nothing')).rejects.toMatchObject({ code: 'features.unknown_join' });
    await expect(joins.passes.cancel('fjn_nothing', 'bob', [])).rejects.toMatchObject({
      code: 'features.unknown_join',
    });
  });

  it('that are canceled end, and only once', async () => {
    const begun = Promise.withResolvers<void>();
    const joins = open((_, watch) => {
      begun.resolve();
      return aborted(watch?.signal);
    }, 30);
    const id = await joins.start(JOIN, 'ann', []);
    const working = joins.passes.step();
    await begun.promise;
    await joins.passes.cancel(id, 'bob', []);
    expect(await working).toBe(true);
    expect(await joins.get(id)).toMatchObject({ status: 'canceled', canceledBy: 'bob', problem: null });
    await expect(joins.passes.cancel(id, 'bob', [])).rejects.toMatchObject({ code: 'features.join_ended' });
  });

  it('go to another process when theirs stops, and begin anew there', async () => {
    const stopping = open((_, watch) => aborted(watch?.signal));
    const id = await stopping.start(JOIN, 'ann', []);
    stopping.passes.begin();
    const isTaken = async () =>
      (await database.db.query('select from feature_joins where owner is not null')).length > 0;
    await expect.poll(isTaken, { timeout: 15_000 }).toBe(true);
    const other = open(async () => ({ rows: 1 }));
    expect(await other.passes.step()).toBe(false); // the lease holds
    await stopping.passes.stop();
    expect(await other.passes.step()).toBe(true);
    expect(await other.get(id)).toMatchObject({ status: 'done' });
  });

  it('go to another process when theirs has died', async () => {
    const joins = open(async () => ({ rows: 1 }));
    const id = await joins.start(JOIN, 'ann', []);
    await database.db.query(
      "update feature_joins set owner = 'wrk_dead', lease_until = clock_timestamp() - interval '1 second', done = 3",
    );
    expect(await joins.passes.step()).toBe(true);
    expect(await joins.get(id)).toMatchObject({ status: 'done', rows: 0 });
  });

  it('that end one process after another are given up', async () => {
    const joins = open(async () => ({ rows: 1 }));
    const id = await joins.start(JOIN, 'ann', []);
    await database.db.query('update feature_joins set attempts = $1', [database.limits.passAttemptsMax]);
    expect(await joins.passes.step()).toBe(true);
    expect(await joins.get(id)).toMatchObject({
      status: 'failed',
      problem: { code: 'features.pass_given_up' },
    });
  });

  it('wait for a database that was away, and are begun anew', async () => {
    let calls = 0;
    const joins = open(async () => {
      if (calls++ === 0) throw new AiosError('store.unavailable');
      return { rows: 1 };
    });
    const id = await joins.start(JOIN, 'ann', []);
    await joins.passes.step();
    expect(await joins.get(id)).toMatchObject({ status: 'running' });
    await database.db.query("update feature_joins set lease_until = clock_timestamp() - interval '1 second'");
    await joins.passes.step();
    expect(await joins.get(id)).toMatchObject({ status: 'done' });
  });
});
