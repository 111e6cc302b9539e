import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { readDocument } from '../kernel/document.ts';
import type { JsonObject } from '../kernel/json.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { FeatureStore } from './feature-store.ts';
import { featureMigrations } from './migrations.ts';
import { FeatureViews } from './views.ts';

const DAY = 86_400_000;
const VIEWS = {
  exact: `
name: exact
entity: customer
source: { event: order, each: data.lines, where: item.amount != 0 }
keys: { customer: data.customer }
features:
  lines_3d: { aggregate: count, window: 3d }
  spend: { aggregate: sum, of: item.amount }
  mean_3d: { aggregate: mean, of: item.amount, window: 3d }
  largest: { aggregate: max, of: item.amount }
  last_amount: { aggregate: last, of: item.amount }
  products_3d: { aggregate: distinct, of: item.product, window: 3d }`,
  tiled: `
name: tiled
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
tile: 1d
features:
  tiled_lines_2d: { aggregate: count, window: 2d }
  tiled_spend: { aggregate: sum, of: item.amount }
  tiled_smallest: { aggregate: min, of: item.amount }`,
};
const SERVICE = `
name: profile
views: [exact, tiled]
derived: { share: "spend > 0 ? last_amount / spend : 0.0", days: "(now - request_at) / 86400000" }
defaults: { last_amount: 0 }`;

interface Line {
  product: string;
  amount: number | null;
}

describe('features', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  beforeAll(async () => {
    database = await createTestDatabase([
      ...definitionMigrations,
      ...featureMigrations,
      {
        name: '0020_offsets',
        sql: "create table event_consumers (consumer_group text, partition smallint, log_offset bigint); insert into event_consumers values ('features', 0, 0), ('features', 1, 0)",
      },
    ]);
    definitions = new Definitions(database.db);
    await put(entityKind, 'name: customer\njoinKeys: [customer]');
    await put(featureViewKind, VIEWS.exact);
    await put(featureViewKind, VIEWS.tiled);
    await put(featureServiceKind, SERVICE);
  });
  afterAll(() => database.close());

  const put = async (kind: typeof entityKind, source: string) => {
    const { name, body } = kind.parse(readDocument(source, `${kind.folder}/x.yaml`), new Map());
    await database.commit.commit([
      definitions.put({ kind: kind.kind, name, body, source, createdBy: 'test' }),
    ]);
    await definitions.reload();
  };
  const order = (
    customer: string | null,
    timeMs: number,
    position: LogPosition,
    lines: Line[],
  ): LoggedEvent => ({
    ...position,
    timeMs,
    recordedAtMs: 0,
    event: {
      specversion: '1.0',
      id: `${position.partition}-${position.offset}`,
      source: 's',
      type: 'order',
      time: new Date(timeMs).toISOString(),
      data: { customer, lines } as unknown as JsonObject,
    },
  });
  const openStore = async (log: readonly LoggedEvent[] = []) => {
    const views = new FeatureViews({
      db: database.db,
      definitions,
      group: 'features',
      readLog: async (partition, offset, count) =>
        log.filter((logged) => logged.partition === partition && logged.offset >= offset).slice(0, count),
    });
    await views.sync();
    return new FeatureStore({
      db: database.db,
      views,
      clock: systemClock,
      limits: database.limits,
      progress: { passed: async () => {}, continuity: () => 0 },
    });
  };
  const feed = async (store: FeatureStore, events: readonly LoggedEvent[]) => {
    const follow = await database.db.transaction((tx) => store.handle(events, tx));
    follow();
  };
  const vector = async (store: FeatureStore, customer: string, timeMs: number, position?: LogPosition) => {
    const { names, rows } = await store.online({
      service: 'profile',
      entities: [{ customer }],
      asOf: { timeMs, position },
      request: { request_at: timeMs - DAY },
    });
    return Object.fromEntries(names.map((name, i) => [name, rows[0]![i]]));
  };

  it('are as of a place in the log: simultaneous events see those before them, never themselves', async () => {
    const store = await openStore();
    const at = 10 * DAY;
    const events = [0, 1, 2].map((offset) =>
      order('same-minute', at, { partition: 0, offset }, [{ product: 'p', amount: 5 }]),
    );
    await feed(store, events);
    const lines = await Promise.all(
      [0, 1, 2, 3].map(
        async (offset) => (await vector(store, 'same-minute', at, { partition: 0, offset })).lines_3d,
      ),
    );
    expect(lines).toEqual([0, 1, 2, 3]);
    expect(await vector(store, 'same-minute', at, { partition: 1, offset: 9 })).toMatchObject({
      lines_3d: 0,
    }); // another partition: by time
    expect(await vector(store, 'same-minute', at)).toMatchObject({
      lines_3d: 3,
      spend: 15,
      last_amount: 5,
      share: 1 / 3,
      days: 1,
      tiled_lines_2d: 0,
    });
    expect(await vector(store, 'same-minute', at + DAY)).toMatchObject({
      tiled_lines_2d: 3,
      tiled_smallest: 5,
    });
    expect(await vector(store, 'nobody', at)).toMatchObject({
      lines_3d: 0,
      spend: 0,
      mean_3d: null,
      largest: null,
      last_amount: 0,
      tiled_smallest: null,
    });
  });

  it('are the same online, historical and by brute force, whatever the history', {
    timeout: 120_000,
  }, async () => {
    const line = fc.record({
      product: fc.constantFrom('a', 'b', 'c'),
      amount: fc.oneof(fc.integer({ min: -5, max: 20 }), fc.constant(null)),
    });
    const history = fc.array(
      fc.record({
        customer: fc.constantFrom('x', 'y', null),
        partition: fc.constantFrom(0, 1),
        hours: fc.integer({ min: 0, max: 150 }),
        lines: fc.array(line, { maxLength: 3 }),
      }),
      { maxLength: 25 },
    );
    const places = fc.array(
      fc.record({
        hours: fc.integer({ min: 0, max: 200 }),
        partition: fc.constantFrom(0, 1, undefined),
        offset: fc.nat(20),
      }),
      { minLength: 1, maxLength: 4 },
    );
    let run = 0;
    await fc.assert(
      fc.asyncProperty(history, places, fc.nat(25), async (drawn, asked, split) => {
        const suffix = `-${run++}`;
        const next = [0, 0];
        const events = drawn.map(({ customer, partition, hours, lines }) =>
          order(
            customer && customer + suffix,
            hours * 3_600_000,
            { partition, offset: next[partition]!++ + run * 1000 },
            lines,
          ),
        );
        const store = await openStore();
        const warm = `x${suffix}`;
        await feed(store, events.slice(0, split));
        await vector(store, warm, 0); // in memory from here on: the rest must follow there
        await feed(store, events.slice(split));
        for (const { hours, partition, offset } of asked) {
          const timeMs = hours * 3_600_000;
          const position = partition === undefined ? undefined : { partition, offset: offset + run * 1000 };
          const online = await vector(store, warm, timeMs, position);
          const historical = await (await openStore()).historical('profile', [
            { keys: { customer: warm }, asOf: { timeMs, position }, request: { request_at: timeMs - DAY } },
          ]);
          expect(
            Object.fromEntries(historical.names.map((name, i) => [name, historical.rows[0]![i]])),
          ).toEqual(online);
          expect(online).toMatchObject(bruteForce(events, warm, timeMs, position));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('of a view that comes later are built from the log before they are served', async () => {
    const log = [0, 1, 2, 3].map((offset) =>
      order('late', offset * DAY, { partition: 0, offset }, [{ product: 'p', amount: 1 }]),
    );
    await database.db.query('update event_consumers set log_offset = 3 where partition = 0');
    await put(
      featureViewKind,
      VIEWS.exact
        .replace('name: exact', 'name: later')
        .replaceAll(/lines_3d|spend|mean_3d|largest|last_amount|products_3d/g, 'later_$&'),
    );
    await put(featureServiceKind, 'name: later\nviews: [later]');
    const store = await openStore(log);
    await feed(store, log.slice(3));
    const { names, rows } = await store.online({
      service: 'later',
      entities: [{ customer: 'late' }],
      asOf: { timeMs: 10 * DAY },
    });
    expect(rows[0]![names.indexOf('later_spend')]).toBe(4);
  });

  it.each([
    ['a service that is not there', { service: 'nothing', entities: [] }, 'features.unknown_service'],
    ['a join key that is missing', { service: 'profile', entities: [{}] }, 'features.missing_key'],
  ])('refuse %s', async (_, request, code) => {
    await expect((await openStore()).online(request as never)).rejects.toMatchObject({ code });
  });

  it.each([
    [
      'a sum of nothing',
      VIEWS.exact.replace('aggregate: sum, of: item.amount', 'aggregate: sum'),
      '/features/spend',
    ],
    [
      'a window that tiles do not fill',
      VIEWS.tiled.replace('window: 2d', 'window: 36h'),
      '/features/tiled_lines_2d/window',
    ],
    [
      'last over tiles',
      VIEWS.tiled.replace('aggregate: sum', 'aggregate: last'),
      '/features/tiled_spend/aggregate',
    ],
    ['an expression that does not parse', VIEWS.exact.replace('data.lines', '"data."'), undefined],
    [
      'an unknown aggregate',
      VIEWS.exact.replace('aggregate: max', 'aggregate: median'),
      '/features/largest/aggregate',
    ],
  ])('refuse %s with its line', (_, source, path) => {
    if (!path)
      return expect(() =>
        featureViewKind.parse(readDocument(source.replace('"data."', "'data.'"), 'f.yaml'), new Map()),
      ).toThrow();
    expect(() => featureViewKind.parse(readDocument(source, 'f.yaml'), new Map())).toThrow(
      expect.objectContaining({
        code: 'definition.invalid',
        issues: [expect.objectContaining({ path, file: 'f.yaml', line: expect.any(Number) })],
      }),
    );
  });
});

function bruteForce(
  events: readonly LoggedEvent[],
  customer: string,
  timeMs: number,
  position: LogPosition | undefined,
) {
  const before = events.filter(
    (logged) =>
      (logged.event.data as { customer: string }).customer === customer &&
      logged.timeMs <= timeMs &&
      (!position ||
        (logged.partition === position.partition ? logged.offset < position.offset : logged.timeMs < timeMs)),
  );
  const lines = (from: number, list = before) =>
    list
      .filter((logged) => logged.timeMs > from)
      .flatMap((logged) => (logged.event.data as unknown as { lines: Line[] }).lines);
  const counted = (from: number) => lines(from).filter(({ amount }) => amount !== 0);
  const day = Math.floor(timeMs / DAY) * DAY;
  const tiles = events.filter(
    (logged) => (logged.event.data as { customer: string }).customer === customer && logged.timeMs < day,
  );
  return {
    lines_3d: counted(timeMs - 3 * DAY).length,
    spend: counted(Number.NEGATIVE_INFINITY).reduce((sum, { amount }) => sum + (amount ?? 0), 0),
    products_3d: new Set(counted(timeMs - 3 * DAY).map(({ product }) => product)).size,
    tiled_lines_2d: lines(
      Number.NEGATIVE_INFINITY,
      tiles.filter((logged) => logged.timeMs >= day - 2 * DAY),
    ).length,
    tiled_spend: lines(Number.NEGATIVE_INFINITY, tiles).reduce((sum, { amount }) => sum + (amount ?? 0), 0),
  };
}
