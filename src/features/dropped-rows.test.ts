import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../store/database.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { FeatureExpiry } from './expiry/expiry.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest } from './features-under-test.ts';
import type { Materializations } from './materializations.ts';
import { createPrices, passesOf } from './prices-under-test.ts';

describe('rows of versions of a batch view that nobody reads', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  let passes: Materializations;
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await createPrices(features.database.db);
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureServiceKind, 'name: all\nviews: [prices]');
    process = await features.process();
    passes = passesOf(features, process);
    await change('net');
  });
  afterEach(() => features.close());

  const change = async (column: string) => {
    await features.put(
      featureViewKind,
      `name: prices\nentity: customer\nsource: { table: shop.prices, timestamp: updated_at }\nfeatures: { price: { type: int64, column: ${column} } }`,
    );
    await process.views.sync();
  };
  const materialize = async () => {
    await passes.start({ view: 'prices', mode: 'incremental', by: 'ann' }, []);
    while (await passes.step());
  };
  const answered = async () => {
    const entities = [{ customer: 'c' }, { customer: 'd' }];
    const { rows, pins } = await process.store.online({ service: 'all', entities, asOf: { timeMs: DAY } });
    return [...rows.flat(), pins[1]!.version];
  };
  const expiryOver = (db: Database) =>
    new FeatureExpiry({
      ...{ db, limits: features.database.limits, views: process.views, horizons: process.store.horizons },
      clock: { now: () => DAY },
    });

  it('leave nothing of a pass that failed once another version takes its place', async () => {
    await materialize();
    await change('gross');
    const id = await passes.start({ view: 'prices', mode: 'incremental', by: 'ann' }, []);
    await passes.step();
    const { db } = features.database;
    await db.queryDynamic('alter table shop.prices drop column gross');
    while (await passes.step());
    expect(await passes.get(id)).toMatchObject({ status: 'failed', entities: 1 });
    const expiry = expiryOver(db);
    const expire = async () => {
      await db.query("update feature_materializations set retired_at = retired_at - interval '10 minutes'");
      while (await expiry.step());
      const [of] = await db.query<{ count: number }>('select count(*) as count from feature_online');
      return of!.count;
    };
    await process.views.sync();
    expect(await expire()).toBe(3); // the next pass of this version goes over them
    await change('net');
    expect(await expire()).toBe(2);
    expect(await answered()).toEqual([100, 200, '3']);
  });

  it('drop no row of a pass that begins while those of one before are dropped', async () => {
    await materialize();
    await change('gross');
    await materialize();
    const { db } = features.database;
    await db.query("update feature_materializations set retired_at = retired_at - interval '10 minutes'");
    await change('net');
    const begun = new Proxy(db, {
      get: (target, property) =>
        property !== 'query'
          ? Reflect.get(target, property).bind(target)
          : async (text: string, values: unknown[]) => {
              if (text.startsWith('delete from feature_online')) await materialize();
              return target.query(text, values);
            },
    });
    const expiry = expiryOver(begun);
    await expiry.step();
    expect(await answered()).toEqual([100, 200, '3']);
  });
});
