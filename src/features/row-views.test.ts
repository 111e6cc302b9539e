import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, pushOf } from './features-under-test.ts';
import type { FeatureValue } from './windows/state.ts';

const SCORES = `
name: scores
entity: holding
ttl: 1h
source: { push: scores }
features:
  score: { type: float64 }
  tier: { type: string, column: level }`;
const PRICES = `
name: prices
entity: product
source: { table: shop.prices, timestamp: updated_at, created: loaded_at }
keys: { product: sku }
online: false
features:
  price: { type: float64 }
  stock: { type: int64, column: on_hand }
  listed: { type: timestamp, column: listed_at }
  active: { type: boolean }`;
const PLANS = `
name: plans
entity: customer
source: { table: shop.plans, validFrom: valid_from, validTo: valid_to }
online: false
features: { plan: { type: string } }`;

describe('views over rows', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    for (const statement of [
      'create schema shop',
      `create table shop.prices (sku text, updated_at timestamptz, loaded_at timestamptz, price numeric, on_hand int, listed_at timestamptz, active boolean)`,
      'create index on shop.prices (sku, updated_at)',
      'create table shop.plans (customer bigint, valid_from timestamp, valid_to timestamp, plan text)',
      'create index on shop.plans (customer, valid_from)',
    ])
      await features.database.db.queryDynamic(statement);
    await features.put(
      entityKind,
      'name: holding\njoinKeys: [customer, product]\ntypes: { customer: int64 }',
    );
    await features.put(entityKind, 'name: product\njoinKeys: [product]');
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]\ntypes: { customer: int64 }');
    for (const view of [SCORES, PRICES, PLANS]) await features.put(featureViewKind, view);
    for (const name of ['scores', 'prices', 'plans'])
      await features.put(featureServiceKind, `name: ${name}\nviews: [${name}]`);
    await features.put(
      featureServiceKind,
      'name: pair\nviews: [scores, { view: scores, name: other, joinKeyMap: { product: other } }]\nfullFeatureNames: true',
    );
    process = await features.start();
  });
  afterAll(() => features.close());

  const online = async (service: string, entities: readonly JsonObject[], timeMs: number, request = {}) =>
    (await process.store.online({ service, entities, asOf: { timeMs }, request })).rows;
  const past = async (service: string, keys: JsonObject, timeMs: number, recordedByMs?: number) =>
    (await process.store.historical(service, [{ keys, asOf: { timeMs, recordedByMs } }])).rows[0]!;
  const time = (ms: number) => new Date(ms).toISOString();

  it('that are pushed count online and in the past by time, within their time to live', async () => {
    const { push } = pushOf(features, process, () => 5_000_000);
    const told = await push.push('scores', [
      { customer: 1, product: 'p', score: 0.5, level: 'gold', timestamp: time(4_000_000) },
      { customer: '2', product: 'p', score: 0.7 },
    ]);
    expect(told).toEqual({ views: ['scores'], rows: 2 });
    await push.push('scores', [
      { customer: 1, product: 'p', score: 0.1, level: 'old', timestamp: time(1_000_000) },
    ]);
    const keys = [
      { customer: '1', product: 'p' },
      { customer: 2, product: 'p' },
      { customer: 3, product: 'p' },
    ];
    expect(await online('scores', keys, 5_000_000)).toEqual([
      [0.5, 'gold'],
      [0.7, null],
      [null, null],
    ]);
    // A row that is exactly as old as `ttl` counts, an older one does not; before the newest one the older one does, online too.
    expect(await online('scores', [keys[0]!], 7_600_000)).toEqual([[0.5, 'gold']]);
    expect(await online('scores', [keys[0]!], 7_600_001)).toEqual([[null, null]]);
    expect(await online('scores', keys, 3_999_999)).toEqual([
      [0.1, 'old'],
      [null, null],
      [null, null],
    ]);
    expect(await past('scores', keys[0]!, 3_999_999)).toEqual([0.1, 'old']);
    expect(await past('scores', keys[0]!, 7_600_000)).toEqual([0.5, 'gold']);
    expect(await past('scores', keys[0]!, 7_600_001)).toEqual([null, null]);
  });

  it('give in the past what they gave online, whatever was pushed when', { timeout: 120_000 }, async () => {
    const pushes = fc.array(
      fc.record({
        timeMs: fc.integer({ min: 0, max: 60 }).map((minute) => minute * 60_000),
        delayMs: fc.integer({ min: 0, max: 20 }).map((minute) => minute * 60_000),
        score: fc.integer({ min: 0, max: 3 }),
        of: fc.constantFrom('product' as const, 'other' as const),
      }),
      { minLength: 1, maxLength: 12 },
    );
    let product = 0;
    await fc.assert(
      fc.asyncProperty(pushes, async (drawn) => {
        const keys = { customer: 9, product: `x${product++}`, other: `y${product}` };
        const seen: { timeMs: number; vector: FeatureValue[] }[] = [];
        let nowMs = 0;
        const { push } = pushOf(features, process, () => nowMs);
        for (const { timeMs, delayMs, score, of } of drawn.toSorted(
          (a, b) => a.timeMs + a.delayMs - (b.timeMs + b.delayMs),
        )) {
          nowMs = timeMs + delayMs;
          await push.push('scores', [{ customer: 9, product: keys[of], score, timestamp: time(timeMs) }]);
          const [vector] = await online('pair', [keys], nowMs);
          const apart = await online('scores', [keys, { ...keys, product: keys.other }], nowMs);
          expect(vector).toEqual(apart.flat());
          const at = { timeMs: nowMs, vector: vector! };
          if (seen.at(-1)?.timeMs === nowMs) seen.pop();
          seen.push(at);
        }
        const { rows } = await process.store.historical(
          'pair',
          seen.map(({ timeMs }) => ({ keys, asOf: { timeMs, recordedByMs: timeMs } })),
        );
        expect(rows).toEqual(seen.map(({ vector }) => vector));
      }),
      { numRuns: 25 },
    );
  });

  it('that are numbers by declaration are one entity however they are written', async () => {
    const { push } = pushOf(features, process, () => 6_000_000);
    await push.push('scores', [{ customer: '0042', product: 'n', score: 4 }]);
    const written = [42, '42', '042', '-042', '-0'].map((customer) => ({ customer, product: 'n' }));
    const values = [
      [4, null],
      [4, null],
      [4, null],
      [null, null],
      [null, null],
    ];
    expect(await online('scores', written, 6_000_000)).toEqual(values);
    const { rows } = await process.store.historical(
      'scores',
      written.map((keys) => ({ keys, asOf: { timeMs: 6_000_000 } })),
    );
    expect(rows).toEqual(values);
  });

  it.each([
    ['a name that no view takes', 'nothing', { customer: 1, product: 'p' }, 'features.unknown_push'],
    ['a key that is missing', 'scores', { customer: 1 }, 'features.missing_key'],
    [
      'a key whose last digits JSON has lost',
      'scores',
      { customer: 2 ** 53 + 2, product: 'p' },
      'features.invalid_key',
    ],
    ['a key past int64', 'scores', { customer: '9223372036854775808', product: 'p' }, 'features.invalid_key'],
    ['a key of another type', 'scores', { customer: 'one', product: 'p' }, 'features.invalid_key'],
    [
      'a value of another type',
      'scores',
      { customer: 1, product: 'p', score: 'high' },
      'features.invalid_value',
    ],
    [
      'a column that no view knows',
      'scores',
      { customer: 1, product: 'p', scor: 1 },
      'features.invalid_value',
    ],
  ])('refuse to be pushed with %s, and keep nothing of it', async (_, source, row, code) => {
    const { push } = pushOf(features, process, () => 9_000_000);
    const good = { customer: 7, product: 'q', score: 1 };
    await expect(push.push(source, [good, row])).rejects.toMatchObject({ code });
    expect(await online('scores', [good], 9_000_000)).toEqual([[null, null]]);
  });

  it('may be called as what every object has: what is not there is nothing', async () => {
    for (const [kind, source] of [
      [entityKind, 'name: odd\njoinKeys: [toString]'],
      [
        featureViewKind,
        'name: odd\nentity: odd\nsource: { push: odd }\nfeatures: { constructor: { type: int64 }, x: { type: int64 } }',
      ],
      [featureServiceKind, 'name: odd\nviews: [odd]\ndefaults: { x: 0 }'],
    ] as const)
      await features.put(kind, source);
    const process = await features.start();
    const { push } = pushOf(features, process, () => 1_000);
    await push.push('odd', [{ toString: 'a', x: 1 } as never]);
    const ask = (...entities: object[]) =>
      process.store.online({ service: 'odd', entities: entities as never, asOf: { timeMs: 2_000 } });
    expect((await ask({ toString: 'a' }, { toString: 'b' })).rows).toEqual([
      [null, 1],
      [null, 0],
    ]);
    await expect(ask({})).rejects.toMatchObject({ code: 'features.missing_key' });
    const second = push.push('odd', [{ toString: 'a', x: 1 } as never, { x: 2 }]);
    await expect(second).rejects.toMatchObject({
      ...{ code: 'features.missing_key', extensions: { row: 2 } },
      message: 'Row 2: The view “odd” needs the join key toString.',
    });
  });

  it('are pushed with times of ISO 8601 alone, of UTC where they say no zone', async () => {
    const { push } = pushOf(features, process, () => 1_800_000_000_000);
    const row = (timestamp: string) => ({ customer: 77, product: 'p', score: 1, timestamp });
    await push.push('scores', [row('2026-03-29 02:30:00')]);
    const at = Date.UTC(2026, 2, 29, 2, 30);
    expect(await online('scores', [row('')], at)).toEqual([[1, null]]);
    expect(await past('scores', row(''), at - 1)).toEqual([null, null]);
    for (const wrong of ['row 5', '2026-02-30T00:00:00Z', '3'])
      await expect(push.push('scores', [row(wrong)])).rejects.toMatchObject({
        code: 'features.invalid_value',
      });
  });

  it('of a table are joined by time, then by when they were written, with a cut-off, null for what JSON cannot hold', async () => {
    await features.database.db.queryDynamic(`insert into shop.prices values
      ('p', 'epoch'::timestamptz + '10s', 'epoch'::timestamptz + '11s', 1.5, 3, 'epoch'::timestamptz + '1.0005s', true),
      ('p', 'epoch'::timestamptz + '10s', 'epoch'::timestamptz + '30s', 2.5, 4, null, false),
      ('p', 'epoch'::timestamptz + '20.0005s', 'epoch'::timestamptz + '21s', 'NaN', null, null, null)`);
    const product = { product: 'p' };
    expect(await past('prices', product, 9_999)).toEqual([null, null, null, null]);
    expect(await past('prices', product, 10_000)).toEqual([2.5, 4, null, false]);
    expect(await past('prices', product, 10_000, 29_999)).toEqual([1.5, 3, 1_001, true]);
    expect(await past('prices', product, 20_000)).toEqual([2.5, 4, null, false]);
    expect(await past('prices', product, 20_001)).toEqual([null, null, null, null]);
    expect(await past('prices', { product: null }, 20_001)).toEqual([null, null, null, null]);
  });

  it('of a slowly changing table hold between their two times', async () => {
    await features.database.db.queryDynamic(`insert into shop.plans values
      (5, 'epoch', 'epoch'::timestamp + '10s', 'basic'), (5, 'epoch'::timestamp + '10s', 'epoch'::timestamp + '20s', 'plus'),
      (5, 'epoch'::timestamp + '30s', null, 'gone and back')`);
    const at = async (ms: number) => (await past('plans', { customer: 5 }, ms))[0];
    expect([await at(0), await at(9_999), await at(10_000), await at(20_000), await at(30_000)]).toEqual([
      'basic',
      'basic',
      'plus',
      null,
      'gone and back',
    ]);
    await expect(past('plans', { customer: 5 }, 1, 1)).rejects.toMatchObject({ code: 'features.no_cutoff' });
    await expect(past('plans', { customer: '5x' }, 1)).rejects.toMatchObject({
      code: 'features.invalid_key',
    });
  });

  it.each([
    [
      'in a schema that is not allowed',
      'public.definitions',
      'name',
      'created_at',
      'features.source_not_allowed',
    ],
    ['that is not there', 'shop.nothing', 'sku', 'updated_at', 'features.source_unfit'],
    ['without an index on its keys', 'shop.bare', 'sku', 'updated_at', 'features.source_unfit'],
    ['whose key is no plain value', 'shop.odd', 'sku', 'updated_at', 'features.source_unfit'],
  ])('refuse a table %s', async (_, table, key, timestamp, code) => {
    await features.database.db.queryDynamic(
      'create table if not exists shop.bare (sku text, updated_at timestamptz); create table if not exists shop.odd (sku json, updated_at timestamptz)',
    );
    await features.put(
      featureViewKind,
      `name: refused\nentity: product\nsource: { table: ${table}, timestamp: ${timestamp} }\nkeys: { product: ${key} }\nonline: false\nfeatures: { name: { type: string, column: ${key} } }`,
    );
    await features.put(featureServiceKind, 'name: refused\nviews: [refused]');
    await process.definitions.reload();
    await expect(past('refused', { product: 'p' }, 1)).rejects.toMatchObject({ code });
  });

  it('that are for history only say so online', async () => {
    await expect(online('prices', [{ product: 'p' }], 1)).rejects.toMatchObject({
      code: 'features.offline_only',
    });
  });

  it('feed features that are computed when they are read, alike online and in the past', async () => {
    await features.put(
      featureViewKind,
      `name: risk
source: { views: [scores], request: { amount: float64 } }
features:
  weighted: { type: float64, expression: 'score * amount' }
  rounded: { type: int64, function: round }`,
    );
    await features.put(featureServiceKind, 'name: risk\nviews: [risk]\nfeatures: [rounded, weighted]');
    await process.definitions.reload();
    const keys = { customer: 4, product: 'p' };
    const { push } = pushOf(features, process, () => 1_000);
    await push.push('scores', [{ ...keys, score: 0.25 }]);
    expect(await online('risk', [keys], 1_000, { amount: 10 })).toEqual([[3, 2.5]]);
    const historical = await process.store.historical('risk', [
      { keys, asOf: { timeMs: 1_000 }, request: { ...keys, amount: 10 } },
    ]);
    expect(historical.rows).toEqual([[3, 2.5]]);
    expect(historical.pins.map(({ name }) => name)).toEqual(['risk', 'scores', 'risk']);
    // An entity may bring values of its own, as a row of a spine does.
    const own = [{ ...keys, amount: 10 }, { ...keys, amount: 20 }, keys];
    expect(await online('risk', own, 1_000, { amount: 30 })).toEqual([
      [3, 2.5],
      [5, 5],
      [8, 7.5],
    ]);
    await expect(online('risk', [keys], 1_000)).rejects.toMatchObject({ code: 'features.missing_request' });
    await expect(online('risk', [keys], 1_000, { amount: 'much' })).rejects.toMatchObject({
      code: 'features.invalid_value',
    });
    await features.put(
      featureViewKind,
      'name: odd\nsource: { views: [] }\nfeatures: { odd: { type: string, function: nothing } }',
    );
    await features.put(featureServiceKind, 'name: odd\nviews: [odd]');
    await process.definitions.reload();
    await expect(online('odd', [{}], 1)).rejects.toMatchObject({ code: 'features.unknown_function' });
  });
});
