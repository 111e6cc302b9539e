import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { planProject } from '../store/project.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { FeatureExpiry } from './expiry/expiry.ts';
import { featureServiceLineage } from './feature-lineage.ts';
import {
  DAY,
  type FeatureProcess,
  FeaturesUnderTest,
  featuresOf,
  order,
  pushOf,
} from './features-under-test.ts';
import { heldNotices, tooManyHeld } from './held-views.ts';
import type { Materializations } from './materializations.ts';
import { FeatureOverview } from './overview.ts';
import { createPrices, passesOf } from './prices-under-test.ts';

const KINDS = [entityKind, featureViewKind, featureServiceKind];
const PURCHASES = (of: string) => `
name: purchases
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
features: { spend: { aggregate: sum, of: ${of} } }`;
const PRICES = (column: string) => `
name: prices
entity: customer
source: { table: shop.prices, timestamp: updated_at }
features: { price: { type: int64, column: ${column} } }`;
const held = (service: string, view: string, version?: number) =>
  `name: ${service}\nviews: [{ view: ${view}${version === undefined ? '' : `, version: ${version}`} }]`;

describe('versions of a view that somebody is held to', () => {
  let features: FeaturesUnderTest;
  let log: LoggedEvent[];
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    log = [];
  });
  afterEach(() => features.close());

  const live = async (process: FeatureProcess, amount: number) => {
    const event = order('c', DAY, { partition: 0, offset: log.length }, [{ product: 'p', amount }]);
    log.push(event);
    await features.feed(process, [event]);
  };
  const spend = async (process: FeatureProcess, service: string) =>
    (await featuresOf(process, service, 'c', 3 * DAY)).spend;
  const servedOf = async ({ definitions, freshness, views }: FeatureProcess, view: string) =>
    (
      await new FeatureOverview({
        ...{ db: features.database.db, definitions, freshness, rows: views.rows },
      }).view(view)
    ).served;

  it('of a stream view are fed and served beside the newest, until nobody names them', async () => {
    await features.put(featureViewKind, PURCHASES('item.amount'));
    await features.put(featureServiceKind, held('old', 'purchases', 1));
    await features.put(featureServiceKind, held('new', 'purchases'));
    const process = await features.start(log);
    await live(process, 1);
    await features.put(featureViewKind, PURCHASES('item.amount * 10'));
    await process.views.sync();
    await live(process, 2);
    expect([await spend(process, 'old'), await spend(process, 'new')]).toEqual([3, 30]);
    // Another process that comes later knows both, too.
    const other = await features.start(log);
    expect([await spend(other, 'old'), await spend(other, 'new')]).toEqual([3, 30]);
    expect(await servedOf(other, 'purchases')).toEqual([
      { version: 1, status: 'ready', inForce: false, heldBy: ['feature-service old'] },
      { version: 2, status: 'ready', inForce: true, heldBy: [] },
    ]);
    const { rows } = await other.store.historical('old', [
      { keys: { customer: 'c' }, asOf: { timeMs: 3 * DAY } },
    ]);
    expect(rows).toEqual([[3]]);

    await features.put(featureServiceKind, held('old', 'purchases', 2));
    await process.views.sync();
    expect(await spend(process, 'old')).toBe(30);
    expect(await servedOf(process, 'purchases')).toHaveLength(1);
    const kept = await features.database.db.query<{ version: number }>(
      "select version from feature_views where status <> 'retired'",
    );
    expect(kept).toEqual([{ version: 2 }]);
    await live(process, 4);
    // What was let go was not fed since: whoever is held to it again has it built anew.
    await features.put(featureServiceKind, held('old', 'purchases', 1));
    await process.definitions.reload();
    await expect(spend(process, 'old')).rejects.toMatchObject({ code: 'features.building', retryable: true });
    await process.views.sync();
    await live(process, 8);
    expect([await spend(process, 'old'), await spend(process, 'new')]).toEqual([15, 150]);
  });

  it('may stand beside each other in one vector, each under a name of its own', async () => {
    await features.put(featureViewKind, PURCHASES('item.amount'));
    await features.put(
      featureServiceKind,
      'name: both\nviews: [{ view: purchases, version: 1, name: before }, purchases]\nfullFeatureNames: true',
    );
    const process = await features.start(log);
    await live(process, 1);
    await features.put(featureViewKind, PURCHASES('item.amount * 10'));
    await process.views.sync();
    expect(await featuresOf(process, 'both', 'c', 3 * DAY)).toEqual({
      before__spend: 1,
      purchases__spend: 10,
    });
    const { pins } = await process.store.online({ service: 'both', entities: [{ customer: 'c' }] });
    expect(pins.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'both 1',
      'purchases 1',
      'purchases 2',
    ]);
  });

  describe('of a batch view', () => {
    let process: FeatureProcess;
    let passes: Materializations;
    beforeEach(async () => {
      await createPrices(features.database.db);
      await features.put(featureViewKind, PRICES('net'));
      await features.put(featureServiceKind, held('new', 'prices'));
      process = await features.start();
      passes = passesOf(features, process);
    });
    const materialize = async () => {
      const id = await passes.start({ view: 'prices', mode: 'incremental', by: 'ann' }, []);
      while (await passes.step());
      return id;
    };
    const prices = async ({ store }: FeatureProcess, service: string) => {
      const entities = [{ customer: 'c' }, { customer: 'd' }];
      const { rows, pins } = await store.online({ service, entities, asOf: { timeMs: DAY } });
      return [
        ...rows.flat(),
        ...pins.flatMap(({ kind, version }) => (kind === 'feature-view' ? [version] : [])),
      ];
    };

    it('keep their rows apart: the first pass of a version puts it in force, in one step and everywhere', async () => {
      const other = await features.start();
      await materialize();
      await other.views.refresh();
      expect(await prices(other, 'new')).toEqual([100, 200, '1']);
      await features.put(featureViewKind, PRICES('gross'));
      for (const each of [process, other]) await each.views.refresh();
      for (const each of [process, other]) await each.definitions.reload();
      expect(await servedOf(process, 'prices')).toEqual([
        { version: 1, status: 'ready', inForce: true, heldBy: [] },
        { version: 2, status: 'not-materialized', inForce: false, heldBy: [] },
      ]);
      const id = await passes.start({ view: 'prices', mode: 'incremental', by: 'ann' }, []);
      expect(await passes.get(id)).toMatchObject({ version: 2, fromMs: null });
      await passes.step(); // the first of two entities
      expect(await passes.get(id)).toMatchObject({ entities: 1, status: 'running' });
      for (const each of [process, other]) expect(await prices(each, 'new')).toEqual([100, 200, '1']);
      while (await passes.step());
      expect(await prices(process, 'new')).toEqual([119, 238, '2']);
      await other.views.refresh();
      expect(await prices(other, 'new')).toEqual([119, 238, '2']);
      const { rows } = await process.store.historical('new', [
        { keys: { customer: 'c' }, asOf: { timeMs: DAY } },
      ]);
      expect(rows).toEqual([[119]]);
    });

    it('share their rows where only words about them have changed: no pass has to come first, and one brings both', async () => {
      const other = await features.start();
      await materialize();
      await features.put(featureServiceKind, held('old', 'prices', 1));
      await features.put(
        featureViewKind,
        `${PRICES('net')}\ndescription: As of the last evening\nowner: sales`,
      );
      for (const each of [process, other]) await each.views.sync();
      expect(await servedOf(process, 'prices')).toEqual([
        { version: 1, status: 'ready', inForce: false, heldBy: ['feature-service old'] },
        { version: 2, status: 'ready', inForce: true, heldBy: [] },
      ]);
      for (const each of [process, other]) expect(await prices(each, 'new')).toEqual([100, 200, '2']);
      await features.database.db.queryDynamic('update shop.prices set net = net + 1');
      const before = (await passes.list('prices')).length;
      const full = await passes.start({ view: 'prices', mode: 'full', by: 'ann' }, []);
      while (await passes.step());
      expect(await passes.get(full)).toMatchObject({ version: 2, status: 'done', entities: 2 });
      expect(await passes.list('prices')).toHaveLength(before + 1);
      expect(await prices(process, 'new')).toEqual([101, 201, '2']);
      expect(await prices(process, 'old')).toEqual([101, 201, '1']);
      // The next incremental pass goes on from where the one of the version before ended.
      await features.put(featureViewKind, `${PRICES('net')}\nowner: finance`);
      await process.views.sync();
      expect(await passes.get(await materialize())).toMatchObject({ version: 3, fromMs: expect.any(Number) });
      // A version with other rows waits for its pass; until then the newest that there are rows of is in force.
      await features.put(featureViewKind, PRICES('gross'));
      await process.views.sync();
      expect(await prices(process, 'new')).toEqual([101, 201, '3']);
    });

    it('are brought online together, and go some time after nobody names them', async () => {
      await materialize();
      await features.put(featureServiceKind, held('old', 'prices', 1));
      await features.put(featureViewKind, PRICES('gross'));
      await features.put(featureServiceKind, held('next', 'prices', 2));
      await process.views.sync();
      expect(await prices(process, 'old')).toEqual([100, 200, '1']);
      // Of the past it answers, so that a model can be trained on it; online it has nothing yet.
      const past = await process.store.historical('next', [
        { keys: { customer: 'c' }, asOf: { timeMs: DAY } },
      ]);
      expect(past.rows).toEqual([[119]]);
      await expect(prices(process, 'next')).rejects.toMatchObject({
        code: 'features.first_pass',
        message: expect.stringContaining('aios features materialize prices'),
      });
      await features.database.db.queryDynamic(
        "insert into shop.prices values ('c', timestamptz 'epoch' + interval '1439 minutes', 300, 357)",
      );
      await materialize();
      expect(await prices(process, 'old')).toEqual([300, 200, '1']);
      expect(await prices(process, 'next')).toEqual([357, 238, '2']);
      const { db, limits } = features.database;
      const expiry = new FeatureExpiry({
        ...{ db, limits, views: process.views, horizons: process.store.horizons },
        clock: { now: () => DAY },
      });
      const kept = async () =>
        (
          await db.query<{ version: number }>(
            'select distinct version from feature_materializations m join feature_online o on o.view = m.kept order by version',
          )
        ).map(({ version }) => version);
      await features.put(featureServiceKind, held('old', 'prices', 2));
      await process.views.sync();
      while (await expiry.step());
      expect(await kept()).toEqual([1, 2]);
      await db.query("update feature_materializations set retired_at = retired_at - interval '10 minutes'");
      while (await expiry.step());
      expect(await kept()).toEqual([2]);
      expect(await prices(process, 'old')).toEqual([357, 238, '2']);
      // Held again it has to be brought online again, from the begin.
      await features.put(featureServiceKind, held('old', 'prices', 1));
      await process.views.sync();
      await expect(prices(process, 'old')).rejects.toMatchObject({ code: 'features.first_pass' });
      await materialize();
      expect(await prices(process, 'old')).toEqual([300, 200, '1']);
    });
  });

  it('of a push view read the same rows, which keep the features of all of them', async () => {
    const scores = (list: string) =>
      `name: scores\nentity: customer\nsource: { push: scores }\nfeatures: { ${list} }`;
    await features.put(featureViewKind, scores('score: { type: float64 }, tier: { type: string }'));
    await features.put(featureServiceKind, held('old', 'scores', 1));
    await features.put(featureViewKind, scores('score: { type: float64 }, rank: { type: int64 }'));
    await features.put(featureServiceKind, held('new', 'scores'));
    const process = await features.start();
    const { push } = pushOf(features, process, () => DAY);
    await push.push('scores', [{ customer: 'c', score: 0.5, tier: 'gold', rank: 3 }]);
    expect(await featuresOf(process, 'old', 'c', 2 * DAY)).toEqual({ score: 0.5, tier: 'gold' });
    expect(await featuresOf(process, 'new', 'c', 2 * DAY)).toEqual({ score: 0.5, rank: 3 });
    await features.put(featureServiceKind, held('old', 'scores', 2));
    await process.definitions.reload();
    await expect(push.push('scores', [{ customer: 'c', tier: 'gold' }])).rejects.toMatchObject({
      code: 'features.invalid_value',
    });
  });

  describe('in a plan', () => {
    const file = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });
    const plan = async (...files: { path: string; bytes: Uint8Array }[]) => {
      const { definitions } = await features.process();
      const planned = await planProject(files, KINDS, definitions);
      return { planned, around: { kinds: KINDS, definitions } };
    };

    it('are told without a second state where they share it', async () => {
      await features.put(featureViewKind, PRICES('net'));
      await features.put(featureServiceKind, held('old', 'prices', 1));
      const noticesOf = async (text: string) => {
        const { planned, around } = await plan(file('features/v.yaml', text));
        return heldNotices(planned, around).map(({ message }) => message);
      };
      const stays = 'version 1 of the feature view “prices” stays beside version 2 (feature-service old)';
      expect(await noticesOf(`${PRICES('net')}\nowner: sales`)).toEqual([`${stays}: they share their state`]);
      for (const more of ['ttl: 1d', 'retention: 30d'])
        expect(await noticesOf(`${PRICES('net')}\n${more}`)).toEqual([
          `${stays}: its state is kept a second time, and fed, until nobody names it`,
        ]);
    });

    it('are told: what stays, what goes, and that there is no such version', async () => {
      await features.put(featureViewKind, PURCHASES('item.amount'));
      await features.put(featureServiceKind, held('old', 'purchases', 1));
      const changed = file('features/v.yaml', PURCHASES('item.amount * 10'));
      const stays = await plan(changed);
      expect(heldNotices(stays.planned, stays.around)).toEqual([
        {
          path: '',
          file: 'features/v.yaml',
          message:
            'version 1 of the feature view “purchases” stays beside version 2 (feature-service old): its state is kept a second time, and fed, until nobody names it',
        },
      ]);
      await features.put(featureViewKind, PURCHASES('item.amount * 10'));
      const goes = await plan(file('services/s.yaml', held('old', 'purchases', 2)));
      expect(heldNotices(goes.planned, goes.around)).toMatchObject([
        { file: 'services/s.yaml', message: expect.stringContaining('nobody names version 1') },
      ]);
      await expect(plan(file('services/s.yaml', held('old', 'purchases', 7)))).rejects.toMatchObject({
        code: 'definition.invalid',
        issues: [
          { path: '/views/0/version', message: 'there is no version 7 of purchases; the newest is 2' },
        ],
      });
    });

    it('are looked at as they were: a feature that only the newest has is none of theirs', async () => {
      await features.put(featureViewKind, PURCHASES('item.amount'));
      await features.put(featureViewKind, PURCHASES('item.amount').replace('spend:', 'total:'));
      const service = (feature: string) =>
        file('services/s.yaml', `${held('old', 'purchases', 1)}\nfeatures: [${feature}]`);
      expect((await plan(service('spend'))).planned).toHaveLength(1);
      await expect(plan(service('total'))).rejects.toMatchObject({ code: 'definition.invalid' });
      const { planned } = await plan(service('spend'));
      const [{ body, held: versions }] = planned as [(typeof planned)[0]];
      const of = (kind: string, name: string, version?: number) =>
        version === 1 ? versions.get(`${kind}/${name}/1`)?.body : undefined;
      expect(featureServiceLineage(body, of).edges.map(({ from, to }) => `${from} > ${to}`)).toEqual(
        expect.arrayContaining([
          'feature-view:purchases@1 > feature-service:old',
          'feature:purchases@1.spend > service-feature:old.spend',
          'event-type:order > feature-view:purchases@1',
        ]),
      );
    });

    it('are no more than the limit', async () => {
      for (const factor of [1, 2, 3])
        await features.put(featureViewKind, PURCHASES(`item.amount * ${factor}`));
      for (const version of [1, 2])
        await features.put(featureServiceKind, held(`s${version}`, 'purchases', version));
      const { planned, around } = await plan(
        file('features/v.yaml', PURCHASES('item.amount * 4')),
        file('services/s.yaml', held('s3', 'purchases', 3)),
      );
      expect(tooManyHeld(planned, around, 4)).toEqual([]);
      expect(tooManyHeld(planned, around, 3)).toMatchObject([
        {
          file: 'features/v.yaml',
          message: expect.stringContaining(
            '1 (feature-service s1), 2 (feature-service s2), 3 (feature-service s3)',
          ),
          found: '4 versions',
          expected: 'at most 3',
        },
      ]);
    });
  });
});
