import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, order, pushOf } from './features-under-test.ts';
import { Materializations } from './materializations.ts';

const VIEWS = [
  'name: bought\nentity: customer\nsource: { event: order }\nkeys: { customer: data.customer }\nfeatures: { orders: { aggregate: count } }',
  'name: scores\nentity: customer\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'name: tiers\nentity: customer\nsource: { table: shop.tiers, timestamp: at }\nfeatures: { tier: { type: string } }',
  // Of no entity: all events under one key.
  `name: totals\nentity: everything\nsource: { event: order }\nkeys: { all: "'all'" }\nfeatures: { all_orders: { aggregate: count } }`,
  'name: weighted\nsource: { views: [scores], request: { weight: float64 } }\nfeatures: { weighed: { type: float64, expression: "score == null ? -1.0 : score * weight" } }',
];

describe('the entities of one request', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    const { db, commit, limits } = features.database;
    for (const statement of [
      'create schema shop',
      'create table shop.tiers (customer text, at timestamptz, tier text)',
      'create index on shop.tiers (customer, at)',
      "insert into shop.tiers values ('1', 'epoch', 'gold'), ('2', 'epoch', null), ('', 'epoch', 'nobody’s'), (null, 'epoch', 'nobody’s')",
    ])
      await db.queryDynamic(statement);
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(entityKind, 'name: everything\njoinKeys: [all]');
    for (const view of VIEWS) await features.put(featureViewKind, view);
    await features.put(featureServiceKind, 'name: s\nviews: [bought, scores, tiers, totals, weighted]');
    process = await features.start();
    const events = ['1', '1', '3', '', null].map((customer, offset) =>
      order(customer, 1_000, { partition: 0, offset }, []),
    );
    await features.feed(process, events);
    const { push } = pushOf(features, process, () => 1_000);
    await push.push('scores', [
      { customer: 1, score: 0.5 },
      { customer: '2', score: 2 },
    ]);
    const { views, rows, freshness } = process;
    const passes = new Materializations({
      ...{ db, commit, views, rows, freshness, limits, clock: { now: () => DAY } },
    });
    await passes.start({ view: 'tiers', mode: 'full', by: 'ann' }, []);
    while (await passes.step());
  });
  afterAll(() => features.close());

  const asOf = { timeMs: DAY };
  const online = async (entities: readonly JsonObject[]) =>
    (await process.store.online({ service: 's', entities, asOf })).rows;

  it('have their values whoever else is asked for, twice or as nobody, as in the past', async () => {
    const customer = fc.constantFrom('1', 1, '2', 2, '3', 'absent', '01', '', null);
    const rows = fc.array(fc.record({ customer, weight: fc.integer({ min: 0, max: 3 }) }), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(rows, async (drawn) => {
        const entities = drawn.map((row): JsonObject => ({ ...row, all: 'all' }));
        const together = await online(entities);
        const alone = await Promise.all(entities.map(async (entity) => (await online([entity]))[0]));
        expect(together).toEqual(alone);
        const spine = entities.map((keys) => ({ keys, request: keys, asOf }));
        expect((await process.store.historical('s', spine)).rows).toEqual(together);
        for (const [at, { customer: who }] of drawn.entries())
          if (who === null || who === '') expect(together[at]).toEqual([0, null, null, 5, -1]);
      }),
      { numRuns: 60 },
    );
  });

  it('have the values that they are known by', async () => {
    const of = (who: string | number) => ({ customer: who, all: 'all', weight: 3 });
    expect(await online([of(1), of('2'), of('3')])).toEqual([
      [2, 0.5, 'gold', 5, 1.5],
      [0, 2, null, 5, 6],
      [1, null, null, 5, -1],
    ]);
  });
});
