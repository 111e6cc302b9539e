import type { Database } from '../store/database.ts';
import { DAY, type FeatureProcess, type FeaturesUnderTest } from './features-under-test.ts';
import { Materializations } from './materializations.ts';

/** The table of a batch view, of two customers. */
export async function createPrices(db: Database): Promise<void> {
  for (const statement of [
    'create schema shop',
    'create table shop.prices (customer text, updated_at timestamptz, net int, gross int)',
    'create index on shop.prices (customer, updated_at)',
    "insert into shop.prices values ('c', 'epoch', 100, 119), ('d', 'epoch', 200, 238)",
  ])
    await db.queryDynamic(statement);
}

/** The passes of a process, a row at a time. */
export function passesOf(
  { database: { db, commit, limits } }: FeaturesUnderTest,
  { views, rows, freshness }: FeatureProcess,
): Materializations {
  return new Materializations({
    ...{ db, commit, views, rows, freshness, clock: { now: () => DAY } },
    limits: { ...limits, featureMaterializeRowsMax: 1 },
  });
}
