import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, FeaturesUnderTest, order, pushOf } from './features-under-test.ts';
import { FeatureFreshness } from './freshness.ts';
import { FeatureOverview } from './overview.ts';

describe('views as people look them up', () => {
  let features: FeaturesUnderTest;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(
      featureViewKind,
      `name: orders
entity: customer
owner: sales
tags: { team: blue }
source: { event: order, each: data.lines }
keys: { customer: data.customer }
lateness: 1d
late: dead-letter
features: { lines: { aggregate: count, description: of all orders } }`,
    );
    await features.put(
      featureViewKind,
      'name: scores\nentity: customer\nsource: { push: s }\nfeatures: { score: { type: float64 } }',
    );
    await features.put(
      featureViewKind,
      "name: twice\nsource: { views: [scores] }\nfeatures: { twice: { type: float64, expression: 'score * 2' } }",
    );
    await features.put(featureServiceKind, 'name: all\nviews: [orders, twice]');
    await features.put(
      featureViewKind,
      "name: chance\nsource: { views: [scores], request: { amount: float64 } }\nfeatures: { chance: { type: float64, expression: 'score * amount' } }",
    );
    await features.put(
      featureServiceKind,
      "name: pair\ndescription: Two customers\nviews: [orders, { view: chance, name: other, joinKeyMap: { customer: friend } }]\nfullFeatureNames: true\nderived: { both: 'orders__lines + other__chance' }",
    );
  });
  afterAll(() => features.close());

  it('say what they hold, who owns them, how fresh they are and what came too late, in every process', async () => {
    const process = await features.start();
    const { db, limits } = features.database;
    const line = [{ product: 'p', amount: 1 }];
    await features.feed(process, [
      order('c', DAY, { partition: 0, offset: 0 }, line),
      { ...order('c', DAY, { partition: 0, offset: 1 }, line), recordedAtMs: 3 * DAY },
      // Of the year 9999 by its time, and no newer than when it came.
      { ...order('d', 253_370_764_800_000, { partition: 0, offset: 2 }, line), recordedAtMs: DAY },
    ]);
    const { push } = pushOf(features, process, () => 5);
    await push.push('s', [{ customer: 'c', score: 1 }]);
    await process.freshness.flush();
    await push.push('s', [{ customer: 'c', score: 1, timestamp: new Date(3).toISOString() }]); // older: nothing newer
    await process.freshness.flush();
    const other = await features.start();
    const overview = new FeatureOverview({
      db,
      definitions: other.definitions,
      rows: other.views.rows,
      freshness: new FeatureFreshness({ db, clock: systemClock, limits }),
    });
    expect(await overview.views()).toEqual([
      expect.objectContaining({ name: 'chance', services: ['pair'], joinKeys: ['customer'] }),
      {
        name: 'orders',
        version: 1,
        kind: 'stream',
        entity: 'customer',
        joinKeys: ['customer'],
        owner: 'sales',
        tags: { team: 'blue' },
        features: [{ name: 'lines', type: 'count', description: 'of all orders' }],
        status: 'ready',
        served: [{ version: 1, status: 'ready', inForce: true, heldBy: [] }],
        newestMs: DAY,
        lateEvents: 1,
        services: ['all', 'pair'],
      },
      expect.objectContaining({ name: 'scores', kind: 'push', newestMs: 5, lateEvents: 0, services: [] }),
      expect.objectContaining({
        name: 'twice',
        kind: 'on-demand',
        entity: null,
        joinKeys: ['customer'],
        newestMs: null,
      }),
    ]);
    expect(await overview.lateEvents('orders', 10)).toEqual([
      { partition: 0, offset: 1, timeMs: DAY, lateMs: 2 * DAY },
    ]);
    expect(overview.services()).toEqual([
      {
        name: 'all',
        version: 1,
        views: ['orders', 'twice'],
        joinKeys: ['customer'],
        request: {},
        features: ['lines', 'twice'],
      },
      {
        name: 'pair',
        description: 'Two customers',
        version: 1,
        views: ['orders', { view: 'chance', name: 'other', joinKeyMap: { customer: 'friend' } }],
        joinKeys: ['customer', 'friend'],
        request: { amount: 'float64' },
        features: ['orders__lines', 'other__chance', 'both'],
      },
    ]);
    await expect(overview.view('nothing')).rejects.toMatchObject({ code: 'features.unknown_view' });
  });
});
