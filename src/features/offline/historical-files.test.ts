import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { entityKind, featureServiceKind, featureViewKind } from '../definitions.ts';
import { FeatureStore } from '../feature-store.ts';
import { type FeatureProcess, FeaturesUnderTest, order, pushOf } from '../features-under-test.ts';
import { BatchSources } from './batch-sources.ts';
import { type DuckRow, literal } from './duckdb.ts';
import { FileSources } from './file-source.ts';
import { HistoricalFiles } from './historical-files.ts';
import { OfflineJobs } from './jobs.ts';

const VIEWS = [
  `name: prices
entity: product
ttl: 40s
source: { parquet: prices.parquet, timestamp: at, created: written }
features: { price: { type: float64 }, stock: { type: int64 }, listed: { type: timestamp }, label: { type: string } }`,
  'name: plans\nentity: customer\nsource: { csv: plans.csv, validFrom: since, validTo: until }\nfeatures: { plan: { type: string }, seats: { type: int64 } }',
  'name: orders\nentity: customer\nsource: { event: order, each: data.lines }\nkeys: { customer: data.customer }\nfeatures: { spent: { aggregate: sum, of: item.amount }, orders: { aggregate: count, window: 30s }, newest: { aggregate: last, of: item.product } }',
  'name: scores\nentity: customer\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'name: tiers\nentity: customer\nsource: { table: shop.tiers, timestamp: at }\nfeatures: { tier: { type: string } }',
  'name: risk\nsource: { views: [prices, scores], request: { quantity: float64 } }\nfeatures: { exposure: { type: float64, expression: "price == null || score == null ? 0.0 : price * quantity * score" } }',
];
const SERVICES = [
  'name: files\nviews: [prices, plans]\ndefaults: { label: none, stock: 0.5, seats: 1 }',
  'name: aged\nviews: [prices]',
  'name: all\nviews: [prices, plans, orders, scores, tiers, risk]\nderived: { rich: "spent > 100.0", text: "plan == null ? \'none\' : plan + \'!\'" }',
  `name: twice
views:
  - { view: prices, name: first, joinKeyMap: { product: bought } }
  - { view: prices, name: second, joinKeyMap: { product: returned }, features: [stock, price] }
  - plans
fullFeatureNames: true
defaults: { second__stock: 3 }`,
  `name: pair
views:
${['prices', 'plans', 'orders', 'scores', 'tiers', 'risk']
  .flatMap((view) => [
    `  - ${view}`,
    `  - { view: ${view}, name: other_${view}, joinKeyMap: { ${{ prices: 'product: bought', risk: 'product: bought, customer: friend' }[view] ?? 'customer: friend'} } }`,
  ])
  .join('\n')}
fullFeatureNames: true
derived: { richer: 'other_orders__spent > orders__spent' }`,
];
const time = (ms: number) => new Date(ms).toISOString();

describe('historical joins of files', () => {
  let features: FeaturesUnderTest;
  let folder: string;
  let store: FeatureStore;
  let jobs: OfflineJobs;
  let files: HistoricalFiles;
  let process: FeatureProcess;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    folder = await mkdtemp(join(tmpdir(), 'aios-joins-'));
    const { db, limits } = features.database;
    await db.queryDynamic('create schema shop');
    await db.queryDynamic(
      'create table shop.tiers (customer bigint, at timestamptz, tier text, primary key (customer, at))',
    );
    await db.queryDynamic(
      "insert into shop.tiers select n % 7, 'epoch'::timestamptz + n * interval '3s', 'tier' || n from generate_series(0, 30) n",
    );
    await features.put(entityKind, 'name: product\njoinKeys: [product]');
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]\ntypes: { customer: int64 }');
    for (const view of VIEWS) await features.put(featureViewKind, view);
    for (const service of SERVICES) await features.put(featureServiceKind, service);
    process = await features.start();
    jobs = new OfflineJobs([folder], limits);
    const tables = new BatchSources({ tables: process.rows.tables, files: new FileSources(jobs) });
    store = new FeatureStore({
      db,
      views: process.views,
      clock: systemClock,
      limits,
      progress: { passed: async () => {}, continuity: () => 0, offset: () => 0 },
      rows: { ...process.rows, tables },
      freshness: process.freshness,
    });
    files = new HistoricalFiles(jobs, store);
    const events = Array.from({ length: 40 }, (_, n) =>
      order(String(n % 7), n * 2_000, { partition: n % 2, offset: n }, [{ product: `p${n}`, amount: n }]),
    );
    const done = await db.transaction((tx) => process.store.handle(events, tx));
    done();
    const { push } = pushOf(features, process, () => 1_000);
    await push.push(
      'scores',
      Array.from({ length: 20 }, (_, n) => ({ customer: n % 6, score: n / 4, timestamp: time(n * 4_000) })),
    );
    await jobs.run(async (duck) => {
      await duck.run(
        `copy (select case when range % 29 = 0 then '' else 'p' || (range % 9) end as product, make_timestamptz((range * 37 % 80) * 1000000) as at, make_timestamptz((range * 53 % 120) * 1000000) as written,
           case when range % 5 > 0 then range / 3.0::double end as price, range::bigint as stock, make_timestamptz(range * 1000500) as listed, case when range % 3 > 0 then 'l' || range end as label
         from range(300)) to ${literal(join(folder, 'prices.parquet'))} (format parquet)`,
      );
    });
    await writeFile(
      join(folder, 'plans.csv'),
      `customer,since,until,plan,seats\n${Array.from({ length: 30 }, (_, n) => `${n % 6},${time(n * 3_000)},${n % 4 ? time(n * 3_000 + 9_000) : ''},plan ${n},${n % 3 ? n : ''}`).join('\n')}\n`,
    );
  }, 60_000);
  afterAll(async () => {
    await features.close();
    await rm(folder, { recursive: true, force: true });
  });

  const spine = Array.from({ length: 1_200 }, (_, n) => ({
    product: n % 11 === 0 ? null : n % 17 === 0 ? '' : `p${n % 10}`,
    customer: n % 8,
    event_timestamp: time((n * 7_919) % 90_000),
    quantity: (n % 5) + 0.5,
    bought: `p${n % 7}`,
    returned: n % 13 === 0 ? null : `p${(n + 4) % 9}`,
    friend: (n + 3) % 8,
  }));
  const given = async (name: string) => {
    const path = join(folder, name);
    await writeFile(join(folder, 'given.json'), JSON.stringify(spine));
    await jobs.run((duck) =>
      duck.run(
        `copy (select product, customer, event_timestamp${name.endsWith('.csv') ? '' : '::timestamptz as event_timestamp'}, quantity, bought, returned, friend from read_json(${literal(join(folder, 'given.json'))}, columns = {product: 'varchar', customer: 'bigint', event_timestamp: 'varchar', quantity: 'double', bought: 'varchar', returned: 'varchar', friend: 'bigint'})) to ${literal(path)} (${name.endsWith('.csv') ? 'header' : 'format parquet'})`,
      ),
    );
    return name;
  };
  const written = (name: string) =>
    jobs.run((duck) => duck.all(`select * from read_parquet(${literal(join(folder, name))})`));
  const plain = (row: DuckRow, names: readonly string[]) =>
    names.map((name) => {
      const value = row[name];
      return value instanceof Date ? value.getTime() : value;
    });

  it.each([
    ['of views over files alone', 'files', 'a.parquet', undefined],
    ['of views over files alone, from CSV', 'files', 'a.csv', undefined],
    ['of every kind of view, computed ones too', 'all', 'b.parquet', undefined],
    ['of every kind of view, from CSV', 'all', 'b.csv', undefined],
    ['of one view twice, by other keys', 'twice', 'c.parquet', undefined],
    ['of one view twice, from CSV', 'twice', 'c.csv', undefined],
    ['of every kind of view twice, computed ones too', 'pair', 'd.parquet', undefined],
    ['of every kind of view twice, from CSV', 'pair', 'd.csv', undefined],
  ])('say what `historical` says, %s', async (_, service, entities, recordedByMs) => {
    const out = `out-${service}-${entities.replace('.', '-')}.parquet`;
    const told: [number, number][] = [];
    const asked = { service, entities: await given(entities), out, recordedByMs };
    files.check(asked);
    expect(await files.run(asked, { progress: (rows, total) => told.push([rows, total]) })).toEqual({
      rows: 1_200,
    });
    expect([told[0], told.at(-1)]).toEqual([
      [0, 1_200],
      [1_200, 1_200],
    ]);
    const { names, rows } = await store.historical(
      service,
      spine.map(({ event_timestamp, ...values }) => ({
        keys: values as JsonObject,
        request: values as JsonObject,
        asOf: { timeMs: Date.parse(event_timestamp) },
      })),
    );
    const found = await written(out);
    // The entities come back in their order, with their own columns.
    expect(found.map(({ customer, quantity }) => [customer, quantity])).toEqual(
      spine.map(({ customer, quantity }) => [customer, quantity]),
    );
    expect(found.map((row) => plain(row, names))).toEqual(rows);
    expect(new Set(rows.map(String)).size).toBeGreaterThan(100);
    expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('leave out what was written after the cut-off', async () => {
    await features.put(featureServiceKind, 'name: dated\nviews: [prices]');
    await process.definitions.reload();
    const asked = {
      service: 'dated',
      entities: await given('c.parquet'),
      out: 'dated.parquet',
      recordedByMs: 60_000,
    };
    files.check(asked);
    await files.run(asked);
    const { names, rows } = await store.historical(
      'dated',
      spine.map(({ product, event_timestamp }) => ({
        keys: { product },
        asOf: { timeMs: Date.parse(event_timestamp), recordedByMs: 60_000 },
      })),
    );
    expect((await written('dated.parquet')).map((row) => plain(row, names))).toEqual(rows);
  });

  it.each([
    ['', undefined],
    [', written by the cut-off', 200_000],
  ])('count a row that is exactly as old as its `ttl`, and no older one%s', async (_, recordedByMs) => {
    const [newest] = await jobs.run((duck) =>
      duck.all<{ ms: number }>(
        `select epoch_ms(max("at")) as ms from read_parquet(${literal(join(folder, 'prices.parquet'))}) where product = 'p1'`,
      ),
    );
    const oldest = Number(newest!.ms) + 40_000;
    const stocks: (number | null)[] = [];
    for (const ms of [oldest, oldest + 1]) {
      const out = `aged-${ms}-${recordedByMs}.parquet`;
      await writeFile(join(folder, 'aged.csv'), `product,customer,timestamp\np1,1,${time(ms)}\n`);
      await files.run({ service: 'aged', entities: 'aged.csv', out, recordedByMs });
      const { rows } = await store.historical('aged', [
        { keys: { product: 'p1' }, asOf: { timeMs: ms, recordedByMs } },
      ]);
      const [joined] = await written(out);
      expect(joined!.stock).toBe(rows[0]![1]);
      stocks.push(rows[0]![1] as number | null);
    }
    expect(stocks).toEqual([expect.any(Number), null]);
  });

  it.each(['files', 'all'])(
    'reach past the year 2255, where microseconds are no safe numbers, with the service %s',
    async (service) => {
      const times = ['2300-01-01T00:00:00.001Z', '9999-12-31T23:59:59.999Z'];
      const lines = times.map((timestamp) => `p1,1,${timestamp},1.5`);
      await writeFile(
        join(folder, 'far.csv'),
        ['product,customer,timestamp,quantity', ...lines, ''].join('\n'),
      );
      const out = `far-${service}.parquet`;
      expect(await files.run({ service, entities: 'far.csv', out })).toEqual({ rows: 2 });
      const { names, rows } = await store.historical(
        service,
        times.map((timestamp) => ({
          keys: { product: 'p1', customer: 1 },
          request: { quantity: 1.5 },
          asOf: { timeMs: Date.parse(timestamp) },
        })),
      );
      expect((await written(out)).map((row) => plain(row, names))).toEqual(rows);
    },
  );

  it('that compute with them refuse whole numbers past 2^53, as `historical` does', async () => {
    await jobs.run((duck) =>
      duck.run(
        `copy (select 'c' as product, make_timestamptz(0) as "at", 9007199254740993::bigint as stock) to ${literal(join(folder, 'large.parquet'))} (format parquet)`,
      ),
    );
    await features.put(
      featureViewKind,
      'name: large\nentity: product\nsource: { parquet: large.parquet, timestamp: at }\nfeatures: { stock: { type: int64 } }',
    );
    await features.put(featureServiceKind, 'name: computed\nviews: [large]\nderived: { more: "stock + 1" }');
    await process.definitions.reload();
    await writeFile(join(folder, 'c.csv'), 'product,timestamp\nc,1000\n');
    const refused = { code: 'features.invalid_value', message: expect.stringContaining('stock') };
    const asked = { service: 'computed', entities: 'c.csv', out: 'computed.parquet' };
    await expect(files.run(asked)).rejects.toMatchObject(refused);
    const spine = [{ keys: { product: 'c' }, asOf: { timeMs: 1_000 } }];
    await expect(store.historical('computed', spine)).rejects.toMatchObject(refused);
  });

  it('give columns their declared types, wide enough for their defaults', async () => {
    const types = await jobs.run((duck) =>
      duck.all<{ column_name: string; column_type: string }>(
        `describe select * from read_parquet(${literal(join(folder, 'out-files-a-parquet.parquet'))})`,
      ),
    );
    expect(Object.fromEntries(types.map((row) => [row.column_name, row.column_type]))).toMatchObject({
      customer: 'BIGINT',
      event_timestamp: 'TIMESTAMP WITH TIME ZONE',
      price: 'DOUBLE',
      stock: 'DOUBLE',
      listed: 'TIMESTAMP WITH TIME ZONE',
      label: 'VARCHAR',
      seats: 'BIGINT',
    });
  });

  it.each([
    ['a service that is not there', { service: 'nothing' }, 'features.unknown_service'],
    ['a file of elsewhere', { entities: '/etc/passwd.csv' }, 'features.file_not_allowed'],
    ['a way out', { out: '../out.parquet' }, 'features.file_not_allowed'],
    ['a file that is neither', { entities: 'a.txt' }, 'request.invalid'],
    ['an output of another kind', { out: 'a.json' }, 'request.invalid'],
    ['an output that is there', { out: 'prices.parquet' }, 'features.file_exists'],
    ['a cut-off that a source does not know', { recordedByMs: 5 }, 'features.no_cutoff'],
  ])('refuse %s at once', (_, changed, code) => {
    const asked = { service: 'files', entities: 'a.csv', out: 'new.parquet', ...changed };
    expect(() => files.check(asked)).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    ['a file that is not there', 'absent.csv', undefined, 'features.entities_unfit'],
    ['entities without a time', 'timeless.csv', 'product,customer\np1,1\n', 'features.entities_unfit'],
    ['a row without a time', 'gap.csv', 'product,customer,timestamp\np1,1,\n', 'features.entities_unfit'],
    [
      'a time without end',
      'endless.csv',
      'product,customer,timestamp\np1,1,infinity\n',
      'features.entities_unfit',
    ],
    ['a time that is none', 'odd.csv', 'product,customer,timestamp\np1,1,noon\n', 'features.entities_unfit'],
    ['entities without a key', 'keyless.csv', 'product,timestamp\np1,1000\n', 'features.missing_key'],
    [
      'a key of another type',
      'text.csv',
      'product,customer,timestamp\np1,one,1000\n',
      'features.entities_unfit',
      'Could not convert string "one"',
    ],
    [
      'a column of a feature’s name in other letters',
      'cased.csv',
      'product,customer,timestamp,Price\np1,1,1000,2\n',
      'features.entities_unfit',
    ],
    [
      'a column of a feature’s name',
      'clash.csv',
      'product,customer,timestamp,price\np1,1,1000,2\n',
      'features.entities_unfit',
    ],
  ])('fail with %s, and leave no file', async (_, entities, text, code, words = '') => {
    if (text) await writeFile(join(folder, entities), text);
    await expect(files.run({ service: 'files', entities, out: 'failed.parquet' })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(words),
    });
    expect(existsSync(join(folder, 'failed.parquet'))).toBe(false);
  });

  it('find a number by the text that it is, as online: 007 is not 7 where no type says so', async () => {
    await features.put(entityKind, 'name: part\njoinKeys: [part]');
    await features.put(
      featureViewKind,
      'name: parts\nentity: part\nsource: { parquet: parts.parquet, timestamp: at }\nfeatures: { weight: { type: int64 } }',
    );
    await features.put(featureServiceKind, 'name: parts\nviews: [parts]');
    await process.definitions.reload();
    await jobs.run((duck) =>
      duck.run(
        `copy (select 7::bigint as part, make_timestamptz(0) as at, 5 as weight) to ${literal(join(folder, 'parts.parquet'))} (format parquet)`,
      ),
    );
    await writeFile(join(folder, 'parts.csv'), `part,timestamp\n7,${time(1_000)}\n007,${time(1_000)}\n`);
    await files.run({ service: 'parts', entities: 'parts.csv', out: 'weights.parquet' });
    const weights = (await written('weights.parquet')).map((row) => plain(row, ['weight']));
    const asked = ['7', '007'].map((part) => ({ keys: { part }, asOf: { timeMs: 1_000 } }));
    const { rows } = await store.historical('parts', asked);
    expect([weights, rows]).toEqual([
      [[5], [null]],
      [[5], [null]],
    ]);
    // A file without entities is joined to one without rows, which has its columns.
    await writeFile(join(folder, 'nobody.csv'), 'part,timestamp\n');
    expect(await files.run({ service: 'parts', entities: 'nobody.csv', out: 'nobody.parquet' })).toEqual({
      rows: 0,
    });
    expect(await written('nobody.parquet')).toEqual([]);
  });

  it('say of a file that is not there just that', async () => {
    await expect(
      files.run({ service: 'files', entities: 'absent.csv', out: 'failed.parquet' }),
    ).rejects.toThrow(`There is no file ${join(folder, 'absent.csv')}.`);
  });

  it('end when they are canceled', async () => {
    const ended = new AbortController();
    const joining = files.run(
      { service: 'all', entities: await given('d.parquet'), out: 'canceled.parquet' },
      { signal: ended.signal, progress: () => ended.abort() },
    );
    await expect(joining).rejects.toMatchObject({ code: 'features.offline_canceled' });
    expect(existsSync(join(folder, 'canceled.parquet'))).toBe(false);
  });
});
