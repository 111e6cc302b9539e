import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { openDatabase } from '../store/database.ts';
import { FeatureBackfills } from './backfills.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, featuresOf, order } from './features-under-test.ts';
import { beginGenerations } from './generations.ts';

const HOUR = 3_600_000;
const view = (name: string, more: string) => `
name: ${name}
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
lateness: 1h
late: dead-letter
${more}
features: { ${name}: { aggregate: sum, of: item.amount } }`;

describe('a range that is built anew', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  let log: LoggedEvent[];
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, view('exact', ''));
    await features.put(featureViewKind, view('tiled', 'tile: 1h'));
    await features.put(featureServiceKind, 'name: both\nviews: [exact, tiled]');
    log = [];
    process = await features.start(log);
  });
  afterEach(() => features.close());

  const bought = (hour: number, amount: number, delayHours = 0): LoggedEvent => ({
    ...order('c', hour * HOUR, { partition: 0, offset: log.length }, [{ product: 'p', amount }]),
    recordedAtMs: (hour + delayHours) * HOUR,
  });
  const live = async (
    on: FeatureProcess,
    ...events: [hour: number, amount: number, delayHours?: number][]
  ) => {
    const logged = events.map((event) => {
      const next = bought(...event);
      log.push(next);
      return next;
    });
    await features.feed(on, logged);
  };
  const spend = async (on: FeatureProcess) => {
    const { exact, tiled } = await featuresOf(on, 'both', 'c', 100 * HOUR);
    return [exact, tiled];
  };
  const backfills = (on: FeatureProcess, sync = () => on.views.sync()) =>
    new FeatureBackfills({
      commit: features.database.commit,
      views: { streamView: (name) => on.views.streamView(name), sync },
      logBegin: async () => features.begin,
    });
  const range = (name: string, from: number, to: number, includeLate = false) => ({
    view: name,
    fromMs: from * HOUR,
    toMs: to * HOUR,
    includeLate,
  });
  /** Asks for it in both views and waits until it is built. */
  const backfill = async (on: FeatureProcess, from: number, to: number, includeLate = false) => {
    let built: Promise<void> = Promise.resolve();
    const both = backfills(on, () => (built = built.then(() => on.views.sync())));
    for (const name of ['exact', 'tiled']) await both.start(range(name, from, to, includeLate), []);
    await built;
  };

  it('counts what came too late, in the range only, and what the stream brings is counted once', async () => {
    await live(process, [1, 1], [2, 10], [2, 100, 5], [9, 1_000, 5]);
    expect(await spend(process)).toEqual([11, 11]);
    const other = await features.start(log);
    await spend(other); // in memory of another process, too
    await backfill(process, 2, 3, true);
    expect(await spend(process)).toEqual([111, 111]);
  }, 60_000);

  it('is known to other processes before they write, and to readers within their next look', async () => {
    await live(process, [1, 1], [2, 100, 5]);
    const other = await features.start(log);
    await backfill(process, 0, 9, true);
    const next = bought(3, 5);
    log.push(next);
    await expect(features.feed(other, [next])).rejects.toMatchObject({ code: 'store.conflict' });
    await features.feed(other, [next]);
    await process.views.refresh();
    expect([await spend(process), await spend(other)]).toEqual([
      [106, 106],
      [106, 106],
    ]);
  });

  it('restores what was lost, and nothing outside of it', async () => {
    await live(process, [1, 1], [2, 10], [5, 100]);
    await features.database.db.query('delete from feature_contributions where time_ms >= $1', [2 * HOUR]);
    await features.database.db.query('delete from feature_tiles where start_ms >= $1', [2 * HOUR]);
    await backfill(process, 2, 4);
    expect(await spend(process)).toEqual([11, 11]);
  });

  it('goes on while events come, and after a process that died at any point', async () => {
    await live(process, [1, 1], [2, 10, 5]);
    const { db } = features.database;
    const died = backfills(process, async () => {});
    for (const name of ['exact', 'tiled']) await died.start(range(name, 0, 9, true), []);
    await live(process, [3, 100]);
    let reads = 0;
    const broken = new Proxy(log, {
      get(target, property, receiver) {
        if (property === 'filter' && ++reads === 1) throw new Error('cut short');
        return Reflect.get(target, property, receiver);
      },
    });
    await expect((await features.process(broken)).views.sync()).rejects.toThrow('cut short');
    const between = await features.process(log);
    await between.views.reload();
    await live(between, [4, 1_000]); // the generations have joined the stream, and are not built yet
    expect(await spend(between)).toEqual([1_101, 1_101]);
    const last = await features.start(log);
    expect(await spend(last)).toEqual([1_111, 1_111]);
    expect(await db.query("select name from feature_views where status = 'retired' order by name")).toEqual([
      { name: 'exact' },
      { name: 'tiled' },
    ]);
  });

  it('is given up where a part of it was dropped from the log meanwhile: the view stays as it was', async () => {
    await live(process, [1, 1], [2, 10], [5, 100]);
    const asked = backfills(process, async () => {});
    for (const name of ['exact', 'tiled']) await asked.start(range(name, 1, 9, true), []);
    features.begin = { sinceMs: 4 * HOUR, isDropped: true, first: [2, 0] };
    const other = await features.start(log.slice(2));
    expect(await spend(other)).toEqual([111, 111]);
    expect(other.errors.map(({ code }) => code)).toEqual([
      'features.backfill_gone',
      'features.backfill_gone',
    ]);
    await live(other, [6, 1_000]);
    expect(await spend(other)).toEqual([1_111, 1_111]);
    const again = backfills(other, async () => {});
    expect(await again.start(range('exact', 5, 9), [])).toMatchObject({ fromMs: 5 * HOUR });
  });

  it('holds the log back from when it is asked for, until it is built', async () => {
    await live(process, [1, 1]);
    const { db } = features.database;
    expect(await process.views.behind(db, [1, 0])).toEqual([]);
    await backfills(process, async () => {}).start(range('exact', 0, 9), []);
    expect(await process.views.behind(db, [1, 0])).toEqual(['feature view exact']);
    await process.views.sync();
    expect(await process.views.behind(db, [1, 0])).toEqual([]);
  });

  it('refuses what the generation before it refused, whose state had been dropped', async () => {
    await live(process, [1, 1], [6, 10]);
    const bounded = view('bounded', '').replace('sum, of: item.amount', 'sum, of: item.amount, window: 2h');
    await features.put(featureViewKind, bounded);
    await features.put(featureServiceKind, 'name: bounded\nviews: [bounded]');
    await process.views.sync();
    const { db } = features.database;
    await db.query(
      "update feature_views set kept_from_ms = $1, kept_announced_ms = 0 where name = 'bounded'",
      [4 * HOUR],
    );
    await db.query('delete from feature_contributions where time_ms < $1', [4 * HOUR]);
    let built: Promise<void> = Promise.resolve();
    await backfills(process, () => (built = process.views.sync())).start(range('bounded', 6, 7), []);
    await built;
    const online = (hour: number) => featuresOf(process, 'bounded', 'c', hour * HOUR);
    const past = (hour: number) =>
      process.store.historical('bounded', [{ keys: { customer: 'c' }, asOf: { timeMs: hour * HOUR } }]);
    for (const asked of [online(2), past(2)])
      await expect(asked).rejects.toMatchObject({ code: 'features.state_gone' });
    expect(await online(7)).toEqual({ bounded: 10 });
    expect((await past(7)).rows).toEqual([[10]]);
  });

  it('is copied for as long as that takes: a request may not ask that much of the database', async () => {
    await live(process, [1, 1], [2, 10, 5]);
    await backfills(process, async () => {}).start(range('exact', 2, 3, true), []);
    const { db, target } = features.database;
    await db.queryDynamic(`create function wait() returns trigger language plpgsql as
      $$ begin perform pg_sleep(1); return null; end $$;
      create trigger slow before insert on feature_contributions for each statement execute function wait()`);
    const hurried = await openDatabase(target, 2, 500);
    await beginGenerations(hurried, 'features');
    await hurried.close();
    await db.queryDynamic('drop trigger slow on feature_contributions');
    await process.views.sync();
    expect((await spend(process))[0]).toBe(11);
  });

  it('that nobody goes on with is taken up by a process that looks', async () => {
    await live(process, [1, 1], [2, 10, 5]);
    await backfills(process, async () => {}).start(range('exact', 0, 9, true), []);
    const other = await features.process(log);
    await other.views.reload();
    for (let look = 0; look < 20; look++) await other.views.refresh();
    expect((await spend(other))[0]).toBe(1);
    await other.views.refresh();
    expect((await spend(other))[0]).toBe(11);
  });

  it('is refused without a view, of a view that is being built, and where the log has forgotten', async () => {
    await expect(backfills(process).start(range('none', 0, 1), [])).rejects.toMatchObject({
      code: 'features.unknown_view',
    });
    for (const [from, to] of [
      [2, 1],
      [1, 1],
    ] as const)
      await expect(backfills(process).start(range('tiled', from, to), [])).rejects.toMatchObject({
        code: 'request.invalid',
        issues: [{ path: '/to' }],
      });
    features.begin = { sinceMs: HOUR, isDropped: true, first: [0, 0] };
    await expect(backfills(process).start(range('tiled', 0, 1), [])).rejects.toMatchObject({
      code: 'features.backfill_gone',
    });
    const wide = { ...range('tiled', 1, 2), fromMs: HOUR + 5, toMs: 2 * HOUR - 5 };
    const asked = backfills(process, async () => {});
    expect(await asked.start(wide, [])).toEqual(range('tiled', 1, 2));
    await expect(asked.start(range('tiled', 1, 2), [])).rejects.toMatchObject({ code: 'features.building' });
    await vi.waitFor(() => process.views.sync());
  });
});
