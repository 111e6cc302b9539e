import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entityKind, featureServiceKind, featureViewKind } from '../definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, order } from '../features-under-test.ts';
import { EXPIRY_GRACE_MS, FeatureExpiry } from './expiry.ts';

const HOUR = 3_600_000;
const START = 100 * DAY;
/** Two days of window, one hour of tile: with the retention it reaches 12 days and an hour back. */
const view = (tile: string) => `
name: spend
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
retention: 10d
${tile}
features: { count: { aggregate: count, window: 2d } }`;

describe.each(['tile: 1h', ''])('state of a view (%s)', (tile) => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  let expiry: FeatureExpiry;
  let now = START;
  let offset = 0;
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, view(tile));
    await features.put(featureServiceKind, 'name: spend\nviews: [spend]');
    process = await features.start();
    const { db, limits } = features.database;
    expiry = new FeatureExpiry({
      db,
      views: process.views,
      horizons: process.store.horizons,
      clock: { now: () => now },
      limits: { ...limits, featureExpireRowsMax: 3 },
    });
    now = START;
    offset = 0;
  });
  afterEach(() => features.close());

  const feed = (customer: string, ...times: number[]) =>
    features.feed(
      process,
      times.map((timeMs) => order(customer, timeMs, { partition: 0, offset: offset++ }, [{ n: 1 }])),
    );
  const rows = () =>
    features.database.db.query(
      tile
        ? 'select entity, start_ms as at from feature_tiles order by entity, at'
        : 'select entity, time_ms as at from feature_contributions order by entity, at',
    );
  const passAt = async (timeMs: number) => {
    now = timeMs;
    await expiry.step();
    now += EXPIRY_GRACE_MS;
    while (await expiry.step());
  };
  const past = async (timeMs: number) =>
    (await process.store.historical('spend', [{ keys: { customer: 'a' }, asOf: { timeMs } }])).rows[0]![0];

  it('is dropped page by page once no vector that may be asked for needs it, of entities that were not seen again, too', async () => {
    const times = Array.from({ length: 30 }, (_, day) => START - (30 - day) * DAY);
    await feed('a', ...times);
    await feed('gone', ...times.slice(0, 9));
    const before = await past(START - 9 * DAY);
    await passAt(START);
    const kept = await rows();
    expect(kept.every(({ entity }) => entity === 'a')).toBe(true);
    expect(kept).toHaveLength(12);
    expect(await past(START - 9 * DAY)).toBe(before);
  });

  it('is refused to vectors that would need what may be gone, in every process', async () => {
    await feed('a', START - 20 * DAY, START - DAY);
    expect(await past(START - 19 * DAY)).toBe(1);
    now = START;
    await expiry.step(); // announced, and nothing is gone yet
    expect(await rows()).toHaveLength(2);
    const other = await features.start();
    const asked = other.store.historical('spend', [
      { keys: { customer: 'a' }, asOf: { timeMs: START - 19 * DAY } },
    ]);
    await expect(asked).rejects.toMatchObject({ code: 'features.state_gone' });
    const online = process.store.online({
      service: 'spend',
      entities: [{ customer: 'a' }],
      asOf: { timeMs: START - 19 * DAY },
    });
    await expect(online).rejects.toMatchObject({ code: 'features.state_gone' });
    expect(await past(START - 9 * DAY)).toBe(0);
  });

  it('goes on where another process ended', async () => {
    await feed('a', ...Array.from({ length: 20 }, (_, i) => START - 40 * DAY + i * HOUR));
    await feed('b', START - DAY);
    now = START;
    await expiry.step();
    now += EXPIRY_GRACE_MS;
    expect(await expiry.step()).toBe(true);
    const left = (await rows()).length;
    expect(left).toBeLessThan(21);
    const other = await features.start();
    const { db, limits } = features.database;
    const next = new FeatureExpiry({
      db,
      views: other.views,
      horizons: other.store.horizons,
      clock: { now: () => now },
      limits,
    });
    while (await next.step());
    expect(await rows()).toEqual([{ entity: 'b', at: expect.any(Number) }]);
  });
});

describe.each(['tile: 1h', ''])('a version of a view that was replaced (%s)', (tile) => {
  it('goes page by page once no process can be serving it, and no apply waits for that', async () => {
    const features = await FeaturesUnderTest.open();
    const { db, limits } = features.database;
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, view(tile));
    const process = await features.start();
    const times = Array.from({ length: 8 }, (_, day) => START - day * DAY);
    await features.feed(
      process,
      times.map((timeMs, offset) => order('a', timeMs, { partition: 0, offset }, [{ n: 1 }])),
    );
    const log = times.map((timeMs, offset) => order('a', timeMs, { partition: 0, offset }, [{ n: 1 }]));
    await features.put(featureViewKind, view(tile).replaceAll('2d', '1d'));
    await (await features.process(log)).views.sync();
    const counts = async () => {
      const table = tile ? 'feature_tiles' : 'feature_contributions';
      const rows = await db.query<{ view: number; count: number }>(
        `select id as view, (select count(*) from ${table} where view = id)::int as count from feature_views order by id`,
      );
      return rows.map(({ view: id, count }) => [id, count]);
    };
    const { views, store } = await features.start(log);
    const expiry = new FeatureExpiry({
      ...{ db, views, horizons: store.horizons, clock: { now: () => START } },
      limits: { ...limits, featureExpireRowsMax: 3 },
    });
    expect(await expiry.step()).toBe(false);
    expect(await counts()).toEqual([
      [1, 8],
      [2, 8],
    ]);
    await db.query("update feature_views set retired_at = retired_at - interval '10 minutes' where id = 1");
    await views.sync(); // holds a lock that applies wait for
    expect(await counts()).toEqual([
      [1, 8],
      [2, 8],
    ]);
    const left: unknown[] = [];
    while (await expiry.step()) left.push(await counts());
    expect(left).toEqual([
      [
        [1, 5],
        [2, 8],
      ],
      [
        [1, 2],
        [2, 8],
      ],
      [
        [1, 0],
        [2, 8],
      ],
      [[2, 8]],
    ]);
    await features.close();
  });
});

describe('newest rows', () => {
  it('that have not counted for as long as the past may be asked for are dropped', async () => {
    const features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(
      featureViewKind,
      'name: scores\nentity: customer\nsource: { push: scores }\nttl: 1d\nretention: 1d\nfeatures: { score: { type: float64 } }',
    );
    const { store, rows, views } = await features.start();
    const { db, limits } = features.database;
    const at = (entity: string, timeMs: number) => ({
      entity,
      timeMs,
      createdMs: 0,
      validToMs: null,
      values: { score: 1 },
    });
    await db.transaction((tx) =>
      rows.online.write(tx, 'scores', [at('old', START - 3 * DAY), at('new', START - 1.5 * DAY)]),
    );
    const expiry = new FeatureExpiry({
      db,
      views,
      horizons: store.horizons,
      clock: { now: () => START },
      limits,
    });
    await expiry.step();
    expect(await db.query('select entity from feature_online')).toEqual([{ entity: 'new' }]);
    await features.close();
  });
});
