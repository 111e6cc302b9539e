import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, featuresOf, order } from './features-under-test.ts';

const view = (feature: string, of = 'item.amount', tile = '') => `
name: purchases
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
${tile}
features: { ${feature}: { aggregate: sum, of: ${of} } }`;

describe('a version of a view', () => {
  let features: FeaturesUnderTest;
  let log: LoggedEvent[];
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureServiceKind, 'name: profile\nviews: [purchases]');
    log = [];
  });
  afterEach(() => features.close());

  /** Appends events of one unit each and lets a process work on them. */
  const live = async (process: FeatureProcess, count: number) => {
    const events = Array.from({ length: count }, () =>
      order('c', DAY, { partition: 0, offset: log.length }, [{ product: 'p', amount: 1 }]),
    );
    for (const [index, event] of events.entries()) event.offset = log.length + index;
    log.push(...events);
    await features.feed(process, events);
  };
  const profile = (process: FeatureProcess) => featuresOf(process, 'profile', 'c', 3 * DAY);

  it('that comes later is built from the log, joins the stream there, and is served once it is whole', async () => {
    const without = await features.start(log);
    await live(without, 1_203);
    await features.put(featureViewKind, view('spend'));
    const process = await features.process(log);
    await expect(profile(process)).rejects.toMatchObject({ code: 'features.building', retryable: true });
    await process.views.sync();
    await live(process, 2);
    expect(await profile(process)).toEqual({ spend: 1_205 });
  });

  it('that a service is held to is answered by no other one', async () => {
    await features.put(featureViewKind, view('spend'));
    const old = await features.start(log);
    await live(old, 3);
    const held = (version: number) =>
      features.put(featureServiceKind, `name: profile\nviews: [{ view: purchases, version: ${version} }]`);
    await held(1);
    await old.definitions.reload();
    expect(await profile(old)).toEqual({ spend: 3 });
    await features.put(featureViewKind, view('spend', 'item.amount * 2'));
    await held(2);
    await old.definitions.reload();
    // The first one is in force until the second is whole: a service that takes what there is would answer with it.
    await expect(profile(old)).rejects.toMatchObject({ code: 'features.building', retryable: true });
    await features.start(log);
    await old.views.refresh();
    expect(await profile(old)).toEqual({ spend: 6 });
    const { pins } = await old.store.online({ service: 'profile', entities: [{ customer: 'c' }] });
    expect(pins).toMatchObject([
      { kind: 'feature-service', version: '3' },
      { kind: 'feature-view', name: 'purchases', version: '2' },
    ]);
  });

  it('is served until the next one is whole, and fed while a process may serve it', async () => {
    await features.put(featureViewKind, view('spend'));
    const old = await features.start(log);
    await live(old, 3);
    await features.put(featureViewKind, view('twice', 'item.amount * 2', 'tile: 1h'));
    await old.definitions.reload();
    expect(await profile(old)).toEqual({ spend: 3 });
    const other = await features.start(log);
    await expect(live(old, 1)).rejects.toMatchObject({ code: 'store.conflict', retryable: true });
    log.pop();
    await live(old, 1); // the consumer comes again: it writes both versions
    expect([await profile(other), await profile(old)]).toEqual([{ twice: 8 }, { twice: 8 }]);
    const counts = () =>
      features.database.db.query<{ view: number; count: number }>(
        'select view, count(*)::int as count from feature_contributions group by view',
      );
    const retiredFor = (time: string) =>
      features.database.db.query(
        `update feature_views set retired_at = now() - interval '${time}' where id = 1`,
      );
    expect(await counts()).toEqual([{ view: 1, count: 4 }]); // fed on: a process may serve it still
    await retiredFor('1 minute');
    await old.views.refresh();
    await live(old, 1);
    expect(await counts()).toEqual([{ view: 1, count: 4 }]);
    expect(await profile(old)).toEqual({ twice: 10 });
  });

  it('that was replaced misses no event while a process that has not looked yet serves it', async () => {
    await features.put(featureViewKind, view('spend'));
    const serving = await features.start(log);
    await live(serving, 3);
    await features.put(featureViewKind, view('twice', 'item.amount * 2', 'tile: 1h'));
    const feeding = await features.start(log); // the second version is whole, the first one retired
    await live(feeding, 1);
    expect([await profile(serving), await profile(feeding)]).toEqual([{ spend: 4 }, { twice: 8 }]);
    await serving.views.refresh();
    expect(await profile(serving)).toEqual({ twice: 8 });
  });

  it('that was replaced because it fails on events holds none of them up', async () => {
    await features.put(featureViewKind, view('spend', 'double(item.product)'));
    const process = await features.start(log);
    await expect(live(process, 1)).rejects.toMatchObject({ code: 'expression.failed' });
    log.pop();
    await features.put(featureViewKind, view('spend'));
    await process.views.sync();
    await live(process, 2);
    expect(await profile(process)).toEqual({ spend: 2 });
  });

  it('that two processes build at once counts each event once', async () => {
    const without = await features.start(log);
    await live(without, 2_500);
    await features.put(featureViewKind, view('spend', 'item.amount', 'tile: 1h'));
    const both = await Promise.all([features.process(log), features.process(log)]);
    await Promise.all(both.map(({ views }) => views.sync()));
    expect(await Promise.all(both.map(profile))).toEqual([{ spend: 2_500 }, { spend: 2_500 }]);
  });

  it('that another process built is noticed without an event', async () => {
    const idle = await features.start(log);
    await live(idle, 2);
    await features.put(featureViewKind, view('spend'));
    await idle.definitions.reload();
    await expect(profile(idle)).rejects.toMatchObject({ code: 'features.building' });
    await features.start(log);
    await idle.views.refresh();
    expect(await profile(idle)).toEqual({ spend: 2 });
  });

  it('leaves out an event of the past that it cannot work on, and says so', async () => {
    const without = await features.start(log);
    await live(without, 2);
    const bad = order('c', DAY, { partition: 0, offset: 2 }, [
      { product: 'p', amount: 1 },
      { product: 'p', amount: 'one' },
    ]);
    log.push(bad);
    await features.feed(without, [bad]);
    await live(without, 1);
    await features.put(featureViewKind, view('spend'));
    const process = await features.start(log);
    expect(await profile(process)).toEqual({ spend: 3 });
    expect(process.errors).toEqual([expect.objectContaining({ code: 'features.not_a_number' })]);
  });

  it('goes on being built where an earlier try ended', async () => {
    const without = await features.start(log);
    await live(without, 1_200);
    await features.put(featureViewKind, view('spend', 'item.amount', 'tile: 1h'));
    let reads = 0;
    const broken = new Proxy(log, {
      get(target, property, receiver) {
        if (property === 'filter' && ++reads === 2) throw new Error('cut short');
        return Reflect.get(target, property, receiver);
      },
    });
    const first = await features.process(broken);
    await expect(first.views.sync()).rejects.toThrow('cut short');
    expect(await profile(await features.start(log))).toEqual({ spend: 1_200 });
  });

  it('that is built from a log whose beginning was dropped counts an event of the stream once', async () => {
    await live(await features.start(log), 10);
    await features.put(featureViewKind, view('spend', 'item.amount', 'tile: 1h'));
    const away = new Proxy(log, {
      get(target, property, receiver) {
        if (property === 'filter') throw new Error('the log is away');
        return Reflect.get(target, property, receiver);
      },
    });
    const first = await features.process(away);
    await expect(first.views.sync()).rejects.toThrow('the log is away');
    await live(first, 3); // it has joined the stream
    const { db } = features.database;
    expect(await first.views.behind(db, [4, 0])).toEqual(['feature view purchases']);
    expect(await first.views.behind(db, [0, 0])).toEqual([]);
    log.splice(0, 4);
    features.begin = { sinceMs: 0, isDropped: true, first: [4, 0] };
    const process = await features.start(log);
    expect(await profile(process)).toEqual({ spend: 9 });
    expect(await process.views.behind(db, [13, 0])).toEqual([]);
  });
});
