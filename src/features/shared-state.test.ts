import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { readDocument } from '../kernel/document.ts';
import { FeatureBackfills } from './backfills.ts';
import { stateMeaningOf } from './compiled.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, order } from './features-under-test.ts';
import { FeatureOverview } from './overview.ts';
import type { StreamViewBody } from './view-documents.ts';

/** A view over the amounts of orders, with `more` at its end. */
const purchases = (more = '', of = 'item.amount', window = '1d') => `
name: purchases
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
features: { spend: { aggregate: sum, of: ${of}, window: ${window} } }
${more}`;

describe('versions of a stream view of which only words differ', () => {
  let features: FeaturesUnderTest;
  let log: LoggedEvent[];
  /** How often the log was read. */
  let reads: number;
  let counted: LoggedEvent[];
  let process: FeatureProcess;
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, purchases());
    await features.put(featureServiceKind, 'name: newest\nviews: [purchases]');
    log = [];
    reads = 0;
    counted = new Proxy(log, {
      get(target, property, receiver) {
        if (property === 'filter') reads++;
        return Reflect.get(target, property, receiver);
      },
    });
    process = await features.start(counted);
  });
  afterEach(() => features.close());

  const live = async (amount: number, on = process) => {
    const event = order('c', 2 * DAY, { partition: 0, offset: log.length }, [{ product: 'p', amount }]);
    log.push(event);
    await features.feed(on, [event]);
  };
  /** What a service answers of the view, and by which versions. */
  const spend = async (service: string, on = process) => {
    const asOf = { timeMs: 2 * DAY + 1 };
    const { rows, pins } = await on.store.online({ service, entities: [{ customer: 'c' }], asOf });
    return [rows[0]![0], ...pins.flatMap(({ kind, version }) => (kind === 'feature-view' ? version : []))];
  };
  const change = async (source: string) => {
    await features.put(featureViewKind, source);
    await process.views.sync();
  };
  const rowsOfViews = () =>
    features.database.db.query<{ version: number; generation: number; status: string }>(
      'select version, generation, status from feature_views order by id',
    );
  const servedOf = async () =>
    (
      await new FeatureOverview({
        ...{ db: features.database.db, definitions: process.definitions },
        ...{ freshness: process.freshness, rows: process.views.rows },
      }).view('purchases')
    ).served;

  it('share their state: nothing is read from the log, and the newest is in force at once, in each process', async () => {
    const other = await features.start(counted);
    await live(1);
    await features.put(
      featureViewKind,
      purchases('description: What they bought\nowner: sales\ntags: { a: b }'),
    );
    await process.definitions.reload();
    expect(await spend('newest')).toEqual([1, '2']); // before a process has looked after the views, too
    expect(await servedOf()).toMatchObject([{ version: 2, status: 'ready', inForce: true }]);
    await process.views.sync();
    await live(2);
    await other.views.refresh();
    expect([await spend('newest'), await spend('newest', other)]).toEqual([
      [3, '2'],
      [3, '2'],
    ]);
    expect(await spend('newest', await features.start(counted))).toEqual([3, '2']);
    expect(await rowsOfViews()).toEqual([{ version: 2, generation: 0, status: 'ready' }]);
    expect(reads).toBe(0);
    await change(purchases('', 'item.amount * 10'));
    expect(reads).toBeGreaterThan(0);
    expect(await spend('newest')).toEqual([30, '3']);
  });

  it('are served side by side from one state, and what is held to the older keeps it', async () => {
    await live(1);
    await features.put(featureServiceKind, 'name: old\nviews: [{ view: purchases, version: 1 }]');
    await change(purchases('owner: sales'));
    await live(2);
    expect([await spend('old'), await spend('newest')]).toEqual([
      [3, '1'],
      [3, '2'],
    ]);
    expect(await servedOf()).toEqual([
      { version: 1, status: 'ready', inForce: false, heldBy: ['feature-service old'] },
      { version: 2, status: 'ready', inForce: true, heldBy: [] },
    ]);
    expect(reads).toBe(0);
    await change(purchases('owner: sales', 'item.amount * 10'));
    await live(4);
    expect([await spend('old'), await spend('newest')]).toEqual([
      [7, '1'],
      [70, '3'],
    ]);
  });

  it('keep the state when a change is taken back while it is held, which is in force again', async () => {
    await live(1);
    await features.put(featureServiceKind, 'name: old\nviews: [{ view: purchases, version: 1 }]');
    await change(purchases('', 'item.amount * 10'));
    const before = reads;
    await change(purchases());
    expect([await spend('old'), await spend('newest')]).toEqual([
      [1, '1'],
      [1, '3'],
    ]);
    expect(reads).toBe(before);
    expect((await rowsOfViews()).map(({ version, status }) => [version, status])).toEqual([
      [3, 'ready'],
      [2, 'retired'],
    ]);
  });

  it('keep what a back-fill has counted, and one that is under way goes on', async () => {
    const late = { ...order('c', 2 * DAY, { partition: 0, offset: 0 }, [{ product: 'p', amount: 5 }]) };
    log.push({ ...late, recordedAtMs: 3 * DAY });
    await change(purchases('lateness: 1h'));
    await features.feed(process, [log[0]!]);
    expect(await spend('newest')).toEqual([0, '2']);
    const backfill = new FeatureBackfills({
      commit: features.database.commit,
      views: { streamView: (name) => process.views.streamView(name), sync: async () => {} },
      logBegin: async () => undefined,
    });
    const range = { view: 'purchases', fromMs: DAY, toMs: 3 * DAY, includeLate: true };
    await backfill.start(range, []);
    await change(purchases('lateness: 60m\nowner: sales'));
    expect(await spend('newest')).toEqual([5, '3']);
    await change(purchases('lateness: 1h\nowner: finance'));
    expect(await spend('newest')).toEqual([5, '4']);
    const ready = (await rowsOfViews()).filter(({ status }) => status === 'ready');
    expect(ready).toEqual([{ version: 4, generation: 1, status: 'ready' }]);
  });

  it('are told from those that mean something else', () => {
    const body = (more?: string, of?: string, window?: string) =>
      featureViewKind.parse(readDocument(purchases(more, of, window), 'features/x.yaml'), new Map())
        .body as unknown as StreamViewBody;
    const meaning = (...of: Parameters<typeof body>) => stateMeaningOf(body(...of));
    const own = meaning();
    for (const same of [meaning('owner: a'), meaning('', undefined, '24h')]) expect(same).toBe(own);
    expect(meaning('lateness: 1h\nlate: drop')).toBe(meaning('lateness: 60m'));
    const others = [
      ...['tile: 1h', 'lateness: 1h', 'lateness: 1h\nlate: dead-letter', 'retention: 30d'].map((more) =>
        meaning(more),
      ),
      ...[meaning('', 'item.product'), meaning('', undefined, '2d')],
    ];
    expect(new Set([own, ...others]).size).toBe(others.length + 1);
  });
});
