import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest } from './features-under-test.ts';
import { Materializations } from './materializations.ts';
import { sampleView } from './view-sample.ts';

const BATCH = (name: string, more = '') => `
name: ${name}
entity: holding
source: { table: shop.${name}, timestamp: updated_at${more} }
features: { units: { type: int64 } }`;

describe('materializations', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  let passes: Materializations;
  let nowMs = 100_000;
  const sql = (text: string) => features.database.db.queryDynamic(text);
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await sql('create schema shop');
    for (const table of ['stock', 'dated', 'many', 'broken']) {
      await sql(
        `create table shop.${table} (customer int, product text, updated_at timestamptz, loaded_at timestamptz, units text)`,
      );
      await sql(`create index on shop.${table} (customer, product, updated_at)`);
    }
    await sql(
      'create table shop.plans (customer int, valid_from timestamptz, valid_to timestamptz, plan text)',
    );
    await sql('create index on shop.plans (customer, valid_from)');
    await features.put(entityKind, 'name: holding\njoinKeys: [customer, product]');
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    for (const view of [
      BATCH('stock'),
      BATCH('dated', ', created: loaded_at'),
      BATCH('many'),
      BATCH('broken'),
    ])
      await features.put(featureViewKind, view);
    await features.put(
      featureViewKind,
      'name: plans\nentity: customer\nsource: { table: shop.plans, validFrom: valid_from, validTo: valid_to }\nfeatures: { plan: { type: string } }',
    );
    for (const name of ['stock', 'dated', 'plans'])
      await features.put(featureServiceKind, `name: ${name}\nviews: [${name}]`);
    process = await features.start();
    const { db, commit, limits } = features.database;
    passes = new Materializations({
      db,
      commit,
      views: process.views,
      rows: process.rows,
      clock: { now: () => nowMs },
      freshness: process.freshness,
      limits: { ...limits, featureMaterializeRowsMax: 2, featureMaterializeOverlapMs: 10_000 },
    });
  });
  afterAll(() => features.close());

  const at = (seconds: number) => `'epoch'::timestamptz + interval '${seconds}s'`;
  const run = async (view: string, mode: 'full' | 'incremental') => {
    const id = await passes.start({ view, mode, by: 'ann' }, []);
    while (await passes.step());
    return passes.get(id);
  };
  const units = async (service: string, ...keys: [number, string][]) => {
    const entities = keys.map(([customer, product]) => ({ customer, product }));
    const { rows } = await process.store.online({ service, entities, asOf: { timeMs: nowMs } });
    return rows.map(([value]) => value);
  };

  it('bring the newest row of each entity online, page by page, and say how far they are', async () => {
    await sql(`insert into shop.stock values (1, 'a', ${at(1)}, null, '1'), (1, 'a', ${at(2)}, null, '2'), (1, 'b', ${at(1)}, null, '3'),
      (2, 'a', ${at(1)}, null, '4'), (10, 'a', ${at(1)}, null, '5'), (10, 'z', ${at(900)}, null, '6'), (null, 'z', ${at(1)}, null, '7')`);
    const id = await passes.start({ view: 'stock', mode: 'full', by: 'ann' }, []);
    await passes.step();
    expect(await passes.get(id)).toMatchObject({ status: 'running', entities: 2, total: 4 });
    await expect(passes.start({ view: 'stock', mode: 'full', by: 'ann' }, [])).rejects.toMatchObject({
      code: 'features.materializing',
    });
    while (await passes.step());
    expect(await passes.get(id)).toMatchObject({
      status: 'done',
      mode: 'full',
      entities: 4,
      total: 4,
      fromMs: null,
      toMs: 100_000,
      newestMs: 2_000,
    });
    expect(await units('stock', [1, 'a'], [1, 'b'], [2, 'a'], [10, 'a'], [10, 'z'])).toEqual([
      2,
      3,
      4,
      5,
      null,
    ]);
  });

  it('leave out a row with an empty key: whoever names no entity would find it', async () => {
    const products = ['stock', ''].map((product) => ({ customer: 77, product }));
    await sql(
      `insert into shop.stock values (77, '', ${at(1)}, null, '13'), (77, 'stock', ${at(1)}, null, '14')`,
    );
    await run('stock', 'full');
    const asked = [...products, { customer: 77, product: null }, { customer: null, product: 'stock' }];
    const { rows } = await process.store.online({
      service: 'stock',
      entities: asked,
      asOf: { timeMs: nowMs },
    });
    expect(rows).toEqual([[14], [null], [null], [null]]);
    const past = await process.store.historical(
      'stock',
      asked.map((keys) => ({ keys, asOf: { timeMs: nowMs } })),
    );
    expect(past.rows).toEqual(rows);
    await sql('delete from shop.stock where customer = 77');
  });

  it('that are incremental take what came in since, in time or, where the table says it, when it was written', async () => {
    await sql(
      `insert into shop.stock values (3, 'a', ${at(50)}, null, '8'), (3, 'b', ${at(101)}, null, '9'), (3, 'c', ${at(91)}, null, '10')`,
    );
    nowMs = 200_000;
    // One that was committed a little after its time, while the pass before it was under way, is not missed.
    expect(await run('stock', 'incremental')).toMatchObject({ fromMs: 90_000, entities: 2 });
    expect(await units('stock', [3, 'a'], [3, 'b'], [3, 'c'])).toEqual([null, 9, 10]);
    await sql(`insert into shop.dated values (1, 'a', ${at(1)}, ${at(2)}, '1')`);
    expect(await run('dated', 'incremental')).toMatchObject({ fromMs: null, entities: 1 });
    await sql(
      `insert into shop.dated values (1, 'a', ${at(1)}, ${at(201)}, '2'), (1, 'b', ${at(5)}, ${at(201)}, '3')`,
    );
    nowMs = 300_000;
    expect(await run('dated', 'incremental')).toMatchObject({ entities: 2 });
    expect(await units('dated', [1, 'a'], [1, 'b'])).toEqual([2, 3]);
  });

  it('of a slowly changing table follow what was closed since', async () => {
    const plan = async () =>
      (await process.store.online({ service: 'plans', entities: [{ customer: 1 }], asOf: { timeMs: nowMs } }))
        .rows[0];
    await sql(`insert into shop.plans values (1, ${at(10)}, null, 'basic')`);
    await run('plans', 'full');
    expect(await plan()).toEqual(['basic']);
    await sql(`update shop.plans set valid_to = ${at(350)}`);
    nowMs = 400_000;
    expect(await run('plans', 'incremental')).toMatchObject({ entities: 1 });
    expect(await plan()).toEqual([null]);
  });

  it('that are full take offline what the source has no more, and bring what was changed in place; the past is that of the source', async () => {
    await sql('delete from shop.dated');
    await sql(`insert into shop.dated select n, 'p', ${at(10)} + n * interval '1s', ${at(20)}, n::text from generate_series(1, 5) n;
      insert into shop.dated values (1, 'p', ${at(15)}, ${at(20)}, '100')`);
    const keys = [1, 2, 3, 4, 5].map((customer): [number, string] => [customer, 'p']);
    const first = await run('dated', 'full');
    expect(first).toMatchObject({ entities: 5, removed: 2 }); // what the test before has deleted
    await sql("delete from shop.dated where customer in (2, 4) or units = '100'");
    await sql("update shop.dated set units = '33' where customer = 3"); // and nothing that says when
    await sql(`update shop.dated set units = '55', loaded_at = ${at(450)} where customer = 5`);
    nowMs = 500_000;
    expect(await run('dated', 'incremental')).toMatchObject({ entities: 1, removed: 0 });
    expect(await units('dated', ...keys)).toEqual([100, 2, 3, 4, 55]);
    expect(await run('dated', 'full')).toMatchObject({ entities: 3, total: 3, removed: 2 });
    expect(await units('dated', ...keys)).toEqual([1, null, 33, null, 55]);
    const past = await process.store.historical(
      'dated',
      keys.map(([customer, product]) => ({ keys: { customer, product }, asOf: { timeMs: nowMs } })),
    );
    expect(past.rows.flat()).toEqual([1, null, 33, null, 55]);
    // A profile of the view does not count what is gone.
    const { views } = process;
    const { rows } = await sampleView(
      { db: features.database.db, views, clock: { now: () => nowMs } },
      'dated',
      10,
    );
    expect(rows.flat()).toEqual([1, 33, 55]);
    // One that comes back is there again with the next pass.
    await sql(`insert into shop.dated values (2, 'p', ${at(1)}, ${at(499)}, '22')`);
    expect(await run('dated', 'incremental')).toMatchObject({ removed: 0 });
    expect(await units('dated', ...keys)).toEqual([1, 22, 33, null, 55]);
  });

  it('do not end before one that is done did, whatever their clock says', async () => {
    nowMs = 400_000;
    expect(await run('dated', 'full')).toMatchObject({ toMs: 500_000, removed: 0 });
    nowMs = 600_000;
    expect(await run('dated', 'incremental')).toMatchObject({ fromMs: 490_000, toMs: 600_000 });
  });

  it('that fail say why, and the next one begins anew', async () => {
    await sql(`insert into shop.broken values (1, 'a', ${at(1)}, null, 'many')`);
    expect(await run('broken', 'full')).toMatchObject({
      status: 'failed',
      problem: { code: expect.any(String) },
    });
    await sql("update shop.broken set units = '7'");
    expect(await run('broken', 'incremental')).toMatchObject({ status: 'done', fromMs: null, entities: 1 });
  });

  it.each([
    ['no view', 'nothing', 'features.unknown_view'],
    ['a view that takes what is pushed', 'pushed', 'features.not_materialized'],
  ])('refuse %s', async (_, view, code) => {
    await features.put(
      featureViewKind,
      'name: pushed\nentity: customer\nsource: { push: p }\nfeatures: { x: { type: string } }',
    );
    await process.definitions.reload();
    await expect(passes.start({ view, mode: 'full', by: 'ann' }, [])).rejects.toMatchObject({ code });
    await expect(passes.get('mat_nothing')).rejects.toMatchObject({
      code: 'features.unknown_materialization',
    });
  });

  it('are worked on by a process that does not know the view yet', async () => {
    const late = await features.process();
    await features.put(featureViewKind, BATCH('stock').replace('name: stock', 'name: again'));
    await process.definitions.reload();
    const id = await passes.start({ view: 'again', mode: 'full', by: 'ann' }, []);
    const { db, commit, limits } = features.database;
    const others = new Materializations({ ...late, db, commit, clock: { now: () => nowMs }, limits });
    while (await others.step());
    expect(await passes.get(id)).toMatchObject({ status: 'done', entities: 7 });
  });

  it('go on where a process that was killed ended, and count nothing twice', {
    timeout: 120_000,
  }, async () => {
    await sql(
      `insert into shop.many select n / 10, 'p' || n % 10, ${at(1)} + (n % 7) * interval '1s', null, n::text from generate_series(0, 3999) n`,
    );
    const id = await passes.start({ view: 'many', mode: 'full', by: 'ann' }, []);
    const written = async () => {
      const [found] = await features.database.db.query<{ count: number }>(
        "select count(*) as count from feature_online where view like 'many@%'",
      );
      return found!.count;
    };
    let kills = 0;
    for (let round = 0; round < 5; round++) {
      // By what it has written, not by time: a quick process would be done, a slow one not begun.
      const killedAt = (await written()) + 1 + Math.floor(Math.random() * 500);
      const child = spawn(
        globalThis.process.execPath,
        [join(import.meta.dirname, 'materializing-under-test.ts'), features.database.url, '50'],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      const ended = once(child, 'exit');
      while (child.exitCode === null && (await written()) < killedAt);
      child.kill('SIGKILL');
      const [, signal] = await ended;
      if (signal === 'SIGKILL') kills++;
    }
    expect(kills).toBeGreaterThan(0);
    // The database may take a moment to notice that the last one is gone: until then the pass is its own.
    await vi.waitFor(
      async () => {
        while (await passes.step());
        expect(await passes.get(id)).toMatchObject({ status: 'done', entities: 4_000, total: 4_000 });
      },
      { timeout: 60_000, interval: 100 },
    );
    const [sum] = await features.database.db.query<{ rows: number; units: number }>(
      "select count(*) as rows, sum((feature_values->>'units')::bigint)::bigint as units from feature_online where view like 'many@%'",
    );
    expect(sum).toEqual({ rows: 4_000, units: (3_999 * 4_000) / 2 });
  });
});
