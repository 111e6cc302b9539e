import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import type { CompiledView } from './compiled.ts';
import { featureMigrations } from './migrations.ts';
import { type EntityTiles, readTiles, writeTiles } from './tile-storage.ts';
import { plus, toNumber } from './windows/decimal.ts';
import { AGGREGATES } from './windows/state.ts';
import { addContribution, insertTile, type Tile, tilePlan } from './windows/tile.ts';

/** Three features of each aggregate: 21 numbers, more than there are columns. */
const features = [0, 1, 2].flatMap((copy) =>
  AGGREGATES.map((aggregate) => ({
    name: `${aggregate}${copy}`,
    aggregate,
    windowMs: 1_000,
    tumbling: false,
    hasValue: true,
  })),
);
const plan = tilePlan(10, 0, features);

describe('tiles in Postgres', () => {
  let database: TestDatabase;
  let views = 0;
  beforeAll(async () => {
    database = await createTestDatabase(featureMigrations);
  });
  afterAll(() => database.close());

  const tilesOf = (values: readonly (readonly [number, number | null])[], offset = 0) => {
    const tiles: Tile[] = [];
    for (const [at, [timeMs, value]] of values.entries()) {
      const place = { timeMs, partition: 0, offset: offset + at, item: 0 };
      addContribution(
        plan,
        tiles,
        place,
        features.map(() => value),
      );
    }
    return tiles;
  };
  const write = (view: number, tiles: Tile[]) => {
    const entity: EntityTiles = { view, entity: 'a', plan, tiles };
    return database.db.transaction((tx) => writeTiles(tx, new Map([['a', entity]])));
  };
  const read = async (id: number) => {
    const tiles: Tile[] = [];
    const view = { id, plan } as unknown as CompiledView;
    await readTiles(database.db, [{ index: 0, view, entity: 'a' }], (_, tile) => tiles.push(tile));
    return tiles;
  };
  /** Sums as the exact text of what they are: decimals of one value may differ in their scale. */
  const exact = (tiles: readonly Tile[]) =>
    tiles.map((tile) => ({
      ...tile,
      sums: tile.sums.map((sum) => [toNumber(sum), toNumber(plus(sum, -Math.round(toNumber(sum))))]),
      squares: tile.squares.map(toNumber),
    }));

  it('add to the same as in memory, to the last digit, however they are spread over batches', async () => {
    const value = fc.oneof(
      fc.integer({ min: -99_999, max: 99_999 }).map((cents) => cents / 100),
      fc.constantFrom(null, 0, 1e-9, 123_456_789.123_456_7, 9_007_199_254, -9_007_199_255, 2 ** 53 - 1),
      fc.double({ noNaN: true, min: -1e15, max: 1e15 }).map((number) => number + 0), // views read -0 as 0
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.nat(30), value), { maxLength: 5 }), { maxLength: 6 }),
        async (batches) => {
          const view = ++views;
          const whole: Tile[] = [];
          let offset = 0;
          for (const batch of batches) {
            for (const tile of tilesOf(batch, offset)) insertTile(plan, whole, tile);
            await write(view, tilesOf(batch, offset));
            offset += batch.length;
          }
          expect(exact(await read(view))).toEqual(exact(whole));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('carry a sum that whole units cannot hold any more, and lose nothing of it', async () => {
    const view = ++views;
    for (let batch = 0; batch < 5; batch++) await write(view, tilesOf([[1, 9_007_199_254]], batch));
    await write(view, tilesOf([[1, 0.000_001]], 5));
    const sum = (await read(view))[0]!.sums[0]!;
    expect(toNumber(plus(sum, -5 * 9_007_199_254))).toBe(0.000_001);
    const [row] = await database.db.query<{ decimals: string[] }>(
      'select decimals::text[] from feature_tiles where view = $1',
      [view],
    );
    expect(row!.decimals).not.toBeNull();
  });

  it('of amounts are whole numbers in columns', async () => {
    const view = ++views;
    await write(view, tilesOf([[1, 12.34]]));
    await write(view, tilesOf([[2, -2.3]], 1));
    const rows = await database.db.query('select n0, decimals from feature_tiles where view = $1', [view]);
    expect(rows).toEqual([{ n0: 2, decimals: null }]);
  });
});
