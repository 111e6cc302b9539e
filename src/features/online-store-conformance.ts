import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { featureMigrations } from './migrations.ts';
import { type NewRow, type OnlineStore, REMOVED_KEPT_MS, type UnseenPage } from './online-store.ts';

const at = (entity: string, timeMs: number, createdMs: number, score: number | null): NewRow => ({
  entity,
  timeMs,
  createdMs,
  validToMs: null,
  values: { score },
});

/** A store over a database of its own, and a view that no other test writes. */
class World {
  readonly open: (database: TestDatabase) => OnlineStore;
  database!: TestDatabase;
  store!: OnlineStore;
  view = '';
  #count = 0;

  constructor(open: (database: TestDatabase) => OnlineStore) {
    this.open = open;
  }

  nextView(): void {
    this.view = `v${this.#count++}`;
  }

  async write(rows: readonly NewRow[], into = this.store): Promise<void> {
    const told = await this.database.db.transaction((tx) => into.write(tx, this.view, rows));
    told();
  }

  async scores(...entities: string[]) {
    return (await this.store.read(this.view, entities)).map((row) => row?.values.score);
  }

  /** Until what was in memory may no longer be believed without a look. */
  wait(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, this.database.limits.featureOnlineStaleMs + 1));
  }
}

/** What every store of newest rows must do; `open` gives one over the database, as another process would have it. */
export function onlineStoreConformance(name: string, open: (database: TestDatabase) => OnlineStore): void {
  describe(`the store of newest rows: ${name}`, () => {
    const world = new World(open);
    beforeAll(async () => {
      world.database = await createTestDatabase(featureMigrations);
      world.store = open(world.database);
    });
    afterAll(() => world.database.close());
    beforeEach(() => world.nextView());
    rowsOfOneProcess(world);
    rowsOfOthers(world);
    rowsOfPasses(world);
    rowsTakenOffline(world);
  });
}

function rowsOfOneProcess(world: World): void {
  it('answers in the order asked for, and with nothing for what is not there', async () => {
    await world.write([at('a', 1, 1, 10), at('b', 1, 1, 20)]);
    expect(await world.scores('b', 'nobody', 'a', 'b')).toEqual([20, undefined, 10, 20]);
    expect(await world.store.read(`${world.view}-other`, ['a'])).toEqual([undefined]);
    expect(await world.store.read(world.view, [])).toEqual([]);
  });

  it('keeps the newest by time, then by when it was written, then by its values, in whatever order they come', async () => {
    const rows = [at('a', 5, 1, 1), at('a', 5, 2, 2), at('a', 4, 9, 3), at('a', 5, 2, 1), at('a', 3, 3, 4)];
    for (const order of [rows, rows.toReversed()]) {
      for (const row of order) {
        await world.scores('a');
        await world.write([row]);
      }
      expect(await world.scores('a')).toEqual([2]);
      world.nextView();
      await world.write(order);
      expect(await world.scores('a')).toEqual([2]);
      world.nextView();
    }
  });

  it('knows what a commit wrote as soon as it is told of it, and nothing of one that was rolled back', async () => {
    await world.write([at('a', 1, 1, 1)]);
    expect(await world.scores('a', 'b')).toEqual([1, undefined]);
    const failed = world.database.db.transaction(async (tx) => {
      await world.store.write(tx, world.view, [at('a', 2, 2, 2), at('b', 2, 2, 2)]);
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    expect(await world.scores('a', 'b')).toEqual([1, undefined]);
    await world.write([at('a', 2, 2, 3), at('b', 2, 2, 3)]);
    expect(await world.scores('a', 'b')).toEqual([3, 3]);
  });

  it('replaces a row that was closed since', async () => {
    await world.write([at('a', 1, 1, 1)]);
    await world.store.read(world.view, ['a']);
    await world.write([{ ...at('a', 1, 1, 1), validToMs: 9 }]);
    expect((await world.store.read(world.view, ['a']))[0]).toMatchObject({ validToMs: 9 });
  });
}

function rowsOfOthers(world: World): void {
  it('sees what another process writes within the bound', async () => {
    const other = world.open(world.database);
    await world.write([at('a', 1, 1, 1)]);
    expect(await world.scores('a', 'b')).toEqual([1, undefined]);
    await world.write([at('a', 2, 2, 2), at('b', 2, 2, 2)], other);
    await world.wait();
    expect(await world.scores('a', 'b')).toEqual([2, 2]);
  });

  it('sees a transaction that began before others were looked at, and committed after', async () => {
    const other = world.open(world.database);
    await world.write([at('a', 1, 1, 1)]);
    await world.scores('a');
    const told = await world.database.db.transaction(async (tx) => {
      const written = await other.write(tx, world.view, [at('a', 2, 2, 2)]);
      await world.wait();
      await world.write([at('b', 1, 1, 1)], other); // begins later, commits before
      expect(await world.scores('a', 'b')).toEqual([1, 1]);
      return written;
    });
    told();
    await world.wait();
    expect(await world.scores('a')).toEqual([2]);
  });
}

const ofPass = (pass: number, ...rows: readonly NewRow[]) => rows.map((row) => ({ ...row, pass }));

/** All pages. @returns who went offline */
async function remove(world: World, pass: number, countMax = 10, from = world.store): Promise<string[]> {
  const gone: string[] = [];
  let after: string | undefined = '';
  while (after !== undefined) {
    const page: UnseenPage = { pass, after, countMax };
    const removed = await world.database.db.transaction((tx) => from.removeUnseen(tx, world.view, page));
    removed.told();
    gone.push(...removed.entities);
    after = removed.last;
  }
  return gone.sort();
}

function rowsOfPasses(world: World): void {
  it('takes what a later pass says, whatever the times of its row, and never goes back to an earlier one', async () => {
    for (const isRead of [true, false]) {
      world.nextView();
      await world.write(ofPass(3, at('a', 5, 5, 9)));
      if (isRead) expect(await world.scores('a')).toEqual([9]);
      await world.write(ofPass(4, at('a', 5, 5, 1)));
      if (isRead) expect(await world.scores('a')).toEqual([1]);
      await world.write(ofPass(5, at('a', 2, 2, 2)));
      await world.write(ofPass(4, at('a', 9, 9, 3)));
      expect(await world.scores('a')).toEqual([2]);
    }
  });

  it('takes offline what a pass has not come by, page by page, and nothing else', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `e${index}`);
    await world.write(ofPass(1, ...names.map((name) => at(name, 5, 5, 1))));
    expect(await world.scores(...names)).toEqual(names.map(() => 1));
    await world.write(ofPass(2, ...names.slice(2, 5).map((name) => at(name, 5, 5, 2))));
    expect(await remove(world, 2, 2)).toEqual(['e0', 'e1', 'e5', 'e6']);
    const rows = await world.store.read(world.view, names);
    const counts = rows.map((row) => row !== undefined && (row.validToMs ?? 9) > row.timeMs);
    expect(counts).toEqual([false, false, true, true, true, false, false]);
    expect(rows.map((row) => row?.values.score)).toEqual([
      undefined,
      undefined,
      2,
      2,
      2,
      undefined,
      undefined,
    ]);
    expect(await remove(world, 2, 2)).toEqual([]);
    await world.write(ofPass(3, at('e0', 4, 4, 3)));
    expect(await world.scores('e0', 'e1')).toEqual([3, undefined]);
  });
}

function rowsTakenOffline(world: World): void {
  it('sees what another process took offline within the bound, and nothing of what was rolled back', async () => {
    const other = world.open(world.database);
    await world.write(ofPass(1, at('a', 5, 5, 1), at('b', 5, 5, 1)));
    expect(await world.scores('a', 'b')).toEqual([1, 1]);
    const failed = world.database.db.transaction(async (tx) => {
      await other.removeUnseen(tx, world.view, { pass: 2, after: '', countMax: 10 });
      throw new Error('rolled back');
    });
    await expect(failed).rejects.toThrow('rolled back');
    await world.wait();
    expect(await world.scores('a', 'b')).toEqual([1, 1]);
    await world.write(ofPass(2, at('b', 5, 5, 2)), other);
    expect(await remove(world, 2, 10, other)).toEqual(['a']);
    await world.wait();
    expect(await world.scores('a', 'b')).toEqual([undefined, 2]);
  });

  it('keeps nothing of a removed row once that is long ago', async () => {
    const left = async () => {
      const query = 'select entity from feature_online where view = $1 order by entity';
      return (await world.database.db.query<{ entity: string }>(query, [world.view])).map(
        ({ entity }) => entity,
      );
    };
    await world.write(ofPass(1, at('a', 5, 5, 1), at('b', 5, 5, 1)));
    expect(await remove(world, 2)).toEqual(['a', 'b']);
    expect([await remove(world, 3), await left()]).toEqual([[], ['a', 'b']]);
    await world.database.db.query('update feature_online set created_ms = created_ms - $2 where view = $1', [
      world.view,
      REMOVED_KEPT_MS,
    ]);
    await world.write(ofPass(4, at('b', 6, 6, 4)));
    expect([await remove(world, 4), await left()]).toEqual([[], ['b']]);
    expect(await world.scores('b')).toEqual([4]);
  });
}
