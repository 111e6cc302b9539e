import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import { DuckDb } from '../src/features/offline/duckdb.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import type { TestDatabase } from '../src/testing/database.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

const PROJECT = {
  'aios.yaml': 'name: features',
  'contracts/order.yaml': `name: order
version: 1.0.0
owner: shop
schema: { type: object, required: [customer, amount], properties: { customer: { type: string }, amount: { type: number } } }`,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml': `name: orders
entity: customer
owner: sales
source: { event: order }
keys: { customer: data.customer }
features:
  orders: { aggregate: count, description: of all time }
  spread: { aggregate: stddev, of: data.amount }`,
  'features/scores.yaml':
    'name: scores\nentity: customer\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'features/stock.yaml':
    'name: stock\nentity: customer\nsource: { table: shop.stock, timestamp: at }\nfeatures: { units: { type: int64 } }',
  'features/twice.yaml':
    'name: twice\nsource: { views: [scores] }\nfeatures: { twice: { type: float64, function: double } }',
  'services/all.yaml': 'name: all\nviews: [orders, scores, stock, twice]',
};

describe('aios features', () => {
  let database: TestDatabase;
  let folder: string;
  let app: App;
  let close: OpenedApp['close'];
  beforeAll(async () => {
    vi.stubEnv('AIOS_FEATURE_SCHEMAS', 'warehouse, shop');
    ({
      app,
      database,
      dataDir: folder,
      close,
    } = await openApp({
      project: PROJECT,
      before: ({ db }, dataDir) => {
        vi.stubEnv('AIOS_FEATURE_FOLDERS', dataDir);
        return db.queryDynamic(
          `create schema shop; create table shop.stock (customer text, at timestamptz, units int, primary key (customer, at));
       insert into shop.stock select 'c' || n, now() - interval '1 hour', n from generate_series(0, 2499) n`,
        );
      },
      featureFunctions: {
        double: ({ features: { score } }) => (score === null ? null : Number(score) * 2),
      },
    }));
    await app.publish(
      [1, 2, 3].map((amount) => ({
        specversion: '1.0',
        id: `o-${amount}`,
        source: 'urn:test',
        type: 'order',
        time: new Date().toISOString(),
        data: { customer: 'c7', amount },
      })),
    );
    await app.stations.consumers.idle();
  });
  afterAll(async () => {
    await close();
    vi.unstubAllEnvs();
  });

  const aios = (...args: string[]) =>
    runCommand(['--url', app.url, '--key', app.adminKey, 'features', ...args]);
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  it('materializes a table, pushes rows, and answers for one entity from all kinds of views', async () => {
    expect((await aios('show', 'stock')).said).toMatch(/stock 1 \(batch, not-materialized\)/);
    expect((await aios('materialize', 'stock')).said).toMatch(/incremental, done, 2500 entities/);
    expect((await aios('show', 'stock')).said).toMatch(/stock 1 \(batch, ready\)/);
    expect((await aios('materialize', 'scores')).said).toMatch(/features\.not_materialized/);
    const rows = await file('scores.csv', 'customer,score\nc7,0.5\nc8,1\n');
    expect((await aios('push', 'scores', rows)).said).toBe('2 rows for scores\n');
    const { said } = await aios('online', 'all', 'customer=c7');
    expect(said).toMatch(/orders +3\nspread +1\nscore +0\.5\nunits +7\ntwice +1\n/);
    expect((await aios('online', 'all', '[{"customer":"c8"},{"customer":"none"}]')).said).toMatch(
      /^ORDERS +SPREAD +SCORE +UNITS +TWICE\n +0 +null +1 +8 +2\n +0 +null +null +null +null\n/,
    );
    const audited = await database.db.query<{ entry: string }>(
      "select entry from audit_entries where object = 'feature-view:stock'",
    );
    expect(audited.map(({ entry }) => JSON.parse(entry).action)).toContain('materialized');
  });

  it('tells of services, and answers for a view that is listed twice, by names in full', async () => {
    const both = `name: both
views: [{ view: scores, name: payer, joinKeyMap: { customer: payer_id } }, scores]
fullFeatureNames: true`;
    await app.apply([{ path: 'services/both.yaml', bytes: new TextEncoder().encode(both) }]);
    expect((await aios('services')).said).toMatch(
      /\nboth +1 +payer_id, customer +payer__score, scores__score\n?/,
    );
    expect((await aios('online', 'both', 'customer=c8', 'payer_id=c7')).said).toMatch(
      /payer__score +0\.5\nscores__score +1\n/,
    );
    expect((await aios('online', 'both', 'customer=c8')).said).toMatch(/payer_id/);
    const full = await aios('online', 'all', 'customer=c7', '--full-feature-names');
    expect(full.said).toMatch(/orders__orders +3\norders__spread +1\nscores__score +0\.5\nstock__units/);
    const views = (count: number) =>
      Array.from({ length: count }, (_, n) => ({ view: 'scores', name: `v${n}` }));
    const ask = (body: object) =>
      fetch(`${app.url}/api/v1/features/online`, {
        method: 'POST',
        headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ entities: [{ customer: 'c7' }], ...body }),
      }).then(async (answer) => [answer.status, await answer.json()]);
    expect(await ask({ views: views(100), fullFeatureNames: true })).toMatchObject([
      200,
      { names: views(100).map(({ name }) => `${name}__score`) },
    ]);
    expect((await ask({ views: views(101), fullFeatureNames: true }))[0]).toBe(400);
    expect((await ask({ views: ['scores'], service: 'all' }))[0]).toBe(400);
    expect((await ask({}))[0]).toBe(400);
  });

  it('answers for the past, of what had been recorded by then', async () => {
    const now = new Date(Date.now() + 1_000).toISOString();
    const spine = await file('spine.jsonl', `{"customer":"c7","timestamp":"${now}"}\n`);
    const { said } = await aios('historical', 'all', spine, '--json');
    expect(JSON.parse(said)).toMatchObject({
      names: ['orders', 'spread', 'score', 'units', 'twice'],
      rows: [[3, 1, 0.5, 7, 1]],
    });
    const cut = await aios('historical', 'all', spine, '--created-before', '2020-01-01T00:00:00Z');
    expect(cut.said).toMatch(/features\.no_cutoff/); // the table does not say when its rows were written
  });

  it('computes by the TypeScript of a project online, in the past and in a joined file, and tells what fails', async () => {
    const project = {
      'features/thrice.yaml':
        'name: thrice\nsource: { views: [scores] }\nmodule: thrice.ts\nfeatures: { thrice: { type: float64 } }',
      'features/thrice.ts': `export function thrice({ features: { score } }: { features: { score: number | null } }): number | null {
        if (score === 1) throw new RangeError('one is too much');
        return score === null ? null : score * 3;
      }`,
      'services/thrice.yaml': 'name: thrice\nviews: [thrice]',
    };
    const encoder = new TextEncoder();
    await app.apply(Object.entries(project).map(([path, text]) => ({ path, bytes: encoder.encode(text) })));
    expect((await aios('online', 'thrice', 'customer=c7')).said).toMatch(/thrice +1\.5\n/);
    expect((await aios('online', 'thrice', '[{"customer":"c7"},{"customer":"c8"}]')).said).toContain(
      'Row 2: thrice.ts: thrice: one is too much.',
    );
    const now = new Date(Date.now() + 1_000).toISOString();
    const spine = await file('thrice.csv', `customer,timestamp\nc7,${now}\nnone,${now}\n`);
    expect(JSON.parse((await aios('historical', 'thrice', spine, '--json')).said)).toMatchObject({
      rows: [[1.5], [null]],
    });
    const join = ['--service', 'thrice', '--entities', 'thrice.csv', '--out', 'thrice.parquet'];
    expect((await aios('historical', ...join)).said).toMatch(/done, 2 rows/);
  });

  it('joins a file of entities with the features of a service into another', async () => {
    await file(
      'entities.csv',
      `customer,event_timestamp,label\nc7,${new Date(Date.now() + 1_000).toISOString()},1\nc8,2020-01-01T00:00:00Z,0\n`,
    );
    const said = await aios(
      'historical',
      '--service',
      'all',
      '--entities',
      'entities.csv',
      '--out',
      'vectors.parquet',
    );
    expect(said).toMatchObject({
      code: 0,
      said: expect.stringMatching(/fjn_\w+: done, 2 rows, vectors\.parquet/),
    });
    const duck = await DuckDb.open({ folders: [folder], limits: limitsFrom() });
    expect(
      await duck.all(
        `select customer, label, orders, score, units, twice from '${join(folder, 'vectors.parquet')}'`,
      ),
    ).toEqual([
      { customer: 'c7', label: 1, orders: 3, score: 0.5, units: 7, twice: 1 },
      { customer: 'c8', label: 0, orders: 0, score: null, units: null, twice: null },
    ]);
    await duck.close();
    const again = await aios(
      'historical',
      '--service',
      'all',
      '--entities',
      'entities.csv',
      '--out',
      'vectors.parquet',
    );
    expect(again).toMatchObject({ code: 1, said: expect.stringMatching(/features\.file_exists/) });
    expect((await aios('historical', 'all', '--out', 'x.parquet')).said).toMatch(/needs --entities/);
    await file('bad.csv', 'customer\nc7\n');
    const bad = await aios('historical', 'all', '--entities', 'bad.csv', '--out', 'bad.parquet');
    expect(bad).toMatchObject({
      code: 1,
      said: expect.stringMatching(/failed, 0 rows.*no column timestamp or event_timestamp/s),
    });
    const audited = await database.db.query<{ entry: string }>(
      "select entry from audit_entries where object = 'feature-service:all'",
    );
    expect(audited.map(({ entry }) => JSON.parse(entry).action)).toContain('joined');
  });

  it('lists joins of files, says why one failed, and ends one that runs', async () => {
    await file('held.csv', 'customer,timestamp\nc7,2026-01-01T00:00:00Z\n');
    const { said: listed } = await aios('joins');
    expect(listed).toMatch(/^JOIN +STATUS +ROWS +OF +SERVICE +ENTITIES +OUT +ASKED FOR\n/);
    expect(listed).toMatch(/fjn_\w+ +done +2 +2 +all +entities\.csv +vectors\.parquet +\d+ s ago/);
    const failed = /(fjn_\w+) +failed/.exec(listed)?.[1] ?? '';
    expect((await aios('joins', failed)).said).toMatch(/no column timestamp or event_timestamp/);
    const holder = new pg.Client({ connectionString: database.url });
    await holder.connect();
    try {
      await holder.query('begin; lock table feature_pushed in access exclusive mode'); // what it reads
      const asked = ['all', '--entities', 'held.csv', '--out', 'held.parquet', '--no-wait'];
      const { said } = await aios('historical', ...asked);
      const [id = ''] = /fjn_\w+/.exec(said) ?? [];
      expect(await aios('joins', id, '--cancel')).toMatchObject({
        code: 0,
        said: expect.stringMatching(/ canceled +\d+ .*held\.parquet/),
      });
      const again = await aios('joins', id, '--cancel');
      expect(again).toMatchObject({ code: 1, said: expect.stringMatching(/features\.join_ended/) });
    } finally {
      await holder.end();
    }
    expect((await aios('joins', '--cancel')).said).toMatch(/aios features joins <id> --cancel/);
    expect((await aios('joins', 'fjn_none')).said).toMatch(/features\.unknown_join/);
  });

  it('lists the views with how fresh they are, and shows one', async () => {
    const { said } = await aios('list');
    expect(said).toMatch(/orders +stream +customer +1 +ready +\d+ s ago +2\n/);
    expect(said).toMatch(/twice +on-demand +1 +ready +1\n|twice +on-demand +1 +ready/);
    expect((await aios('show', 'orders')).said).toMatch(/owner sales, newest \d+ s ago.*count +of all time/s);
    expect((await aios('show', 'nothing')).said).toMatch(/features\.unknown_view/);
  });

  it('saves a profile and says what has moved since', async () => {
    expect((await aios('profile', 'stock', '--view', 'stock')).said).toMatch(
      /stock 1 of stock, 2500 rows.*units +number +0 % +\d+ +1250/s,
    );
    expect(await aios('validate', 'stock')).toEqual({
      code: 0,
      said: '2500 rows lie as version 1 of stock says.\n',
    });
    await database.db.queryDynamic(
      "insert into shop.stock select 'c' || n, now(), n + 9000 from generate_series(0, 2499) n",
    );
    await aios('materialize', 'stock');
    const { code, said } = await aios('validate', 'stock');
    expect([code, said]).toEqual([1, expect.stringMatching(/mean: units: mean is 1\.\d+e\+4|psi: units/)]);
    expect(
      (await aios('validate', 'stock', '--thresholds', '{"psi":99,"mean":99,"quantile":99,"outside":1}'))
        .code,
    ).toBe(0);
    expect((await aios('profile', 'nothing')).said).toMatch(/features\.unknown_profile/);
    await database.db.queryDynamic("delete from shop.stock where customer = 'c0'");
    expect((await aios('materialize', 'stock', '--full')).said).toMatch(
      /full, done, 2499 entities, 1 that are gone from the source/,
    );
  });
});
