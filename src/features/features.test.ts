import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { entityKey } from './compiled.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import {
  DAY,
  type FeatureProcess,
  FeaturesUnderTest,
  featuresOf,
  type Line,
  order,
} from './features-under-test.ts';

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

describe('features', () => {
  let features: FeaturesUnderTest;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, VIEWS.exact);
    await features.put(featureViewKind, VIEWS.tiled);
    await features.put(featureServiceKind, SERVICE);
  });
  afterAll(() => features.close());

  const vector = (process: FeatureProcess, customer: string, timeMs?: number, position?: LogPosition) =>
    featuresOf(process, 'profile', customer, timeMs, position);

  it('are as of a place in the log: simultaneous events see those before them, never themselves', async () => {
    const store = await features.start();
    const at = 10 * DAY;
    const events = [0, 1, 2].map((offset) =>
      order('same-minute', at, { partition: 0, offset }, [{ product: 'p', amount: 5 }]),
    );
    await features.feed(store, events);
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
      amount: fc.oneof(
        fc.integer({ min: -50, max: 200 }).map((tenths) => tenths / 10),
        fc.constant(null),
      ), // tenths: sums that depend on their order
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
        const store = await features.start();
        const warm = `x${suffix}`;
        await features.feed(store, events.slice(0, split));
        await vector(store, warm, 0); // in memory from here on: the rest must follow there
        await features.feed(store, events.slice(split, split + 3));
        await features.feed(store, events.slice(split + 3));
        for (const { hours, partition, offset } of asked) {
          const timeMs = hours * 3_600_000;
          const position = partition === undefined ? undefined : { partition, offset: offset + run * 1000 };
          const online = await vector(store, warm, timeMs, position);
          const historical = await (await features.start()).store.historical('profile', [
            { keys: { customer: warm }, asOf: { timeMs, position }, request: { request_at: timeMs - DAY } },
          ]);
          expect(
            Object.fromEntries(historical.names.map((name, i) => [name, historical.rows[0]![i]])),
          ).toEqual(online);
          expect(rounded(online)).toMatchObject(rounded(bruteForce(events, warm, timeMs, position)));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('are as of now when no place is named', async () => {
    const process = await features.start();
    await features.feed(process, [
      order('today', Date.now() - DAY, { partition: 0, offset: 100_000 }, [{ product: 'p', amount: 2 }]),
      order('today', Date.now() - 9 * DAY, { partition: 0, offset: 100_001 }, [{ product: 'p', amount: 3 }]),
    ]);
    expect(await vector(process, 'today')).toMatchObject({
      lines_3d: 1,
      spend: 5,
      tiled_spend: expect.any(Number),
    });
  });

  it('of many entities, and of many callers at once, are read together', async () => {
    let reads = 0;
    const process = await features.start([], {
      query: (text, values) => {
        reads++;
        return features.database.db.query(text, values);
      },
    });
    const entities = Array.from({ length: 300 }, (_, i) => ({ customer: `many-${i}` }));
    const { rows } = await process.store.online({ service: 'profile', entities, request: { request_at: 0 } });
    expect([rows.length, reads]).toEqual([300, 3]); // one of contributions, one of tiles, one of from when on they are whole
    await Promise.all(entities.map(({ customer }) => vector(process, `other-${customer}`)));
    expect(reads).toBeLessThanOrEqual(6);
  });

  it('keep entities apart whatever their keys hold', async () => {
    const keys = [
      ['a\u001fb', 'c'],
      ['a', 'b\u001fc'],
      ['a\u0000', 'b'],
      ['a\u001b0;', 'b'],
    ];
    const read = (key: readonly string[]) => entityKey('v', ['0', '1'], (name) => key[Number(name)]);
    expect(new Set(keys.map(read)).size).toBe(keys.length);
    const process = await features.start();
    await features.feed(process, [
      order('nul\u0000', 0, { partition: 0, offset: 200_000 }, [{ product: 'p', amount: 1 }]),
    ]);
    expect(await vector(process, 'nul\u0000', DAY)).toMatchObject({ spend: 1 });
    expect(await vector(process, 'nul', DAY)).toMatchObject({ spend: 0 });
  });

  it.each([
    ['text where a number is added', 'c', [{ product: 'p', amount: '12.50' }], 'features.not_a_number'],
    ['a key whose last digits JSON has lost', 2 ** 53, [{ product: 'p', amount: 1 }], 'features.invalid_key'],
    ['an object for a key', { id: 'c' }, [{ product: 'p', amount: 1 }], 'features.invalid_key'],
    ['a list element that an expression cannot work on', 'c', ['p'], 'expression.failed'],
  ])('refuse an event with %s and keep nothing of it', async (_, customer, lines, code) => {
    const process = await features.start();
    const good = order('beside', 0, { partition: 0, offset: 300_000 }, [{ product: 'p', amount: 1 }]);
    const bad = order(customer as unknown as string, 0, { partition: 0, offset: 300_001 }, lines as Line[]);
    await expect(features.feed(process, [good, bad])).rejects.toMatchObject({ code });
    expect(await vector(await features.start(), 'beside', DAY)).toMatchObject({ spend: 0 });
  });

  it.each([
    ['a service that is not there', { service: 'nothing', entities: [] }, 'features.unknown_service'],
    ['a join key that is missing', { service: 'profile', entities: [{}] }, 'features.missing_key'],
    [
      'a join key that is a list',
      { service: 'profile', entities: [{ customer: ['c'] }] },
      'features.invalid_key',
    ],
    [
      'a request without a value that a derived feature takes from it',
      { service: 'profile', entities: [{ customer: 'c' }] },
      'features.missing_request',
      'The feature days needs “request_at”, which no view of the service has: send it in “request”.',
    ],
  ])('refuse %s', async (_, request, code, message = expect.any(String)) => {
    await expect((await features.start()).store.online(request as never)).rejects.toMatchObject({
      code,
      message,
    });
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
  const counted = (from: number, list?: LoggedEvent[]) =>
    lines(from, list).filter(({ amount }) => amount !== 0);
  const amounts = (list: readonly Line[]) => list.flatMap(({ amount }) => (amount === null ? [] : [amount]));
  const sum = (list: readonly number[]) => list.reduce((total, amount) => total + amount, 0);
  const ever = Number.NEGATIVE_INFINITY;
  const day = Math.floor(timeMs / DAY) * DAY;
  const tiles = events.filter(
    (logged) => (logged.event.data as { customer: string }).customer === customer && logged.timeMs < day,
  );
  const inOrder = before.toSorted(
    (a, b) => a.timeMs - b.timeMs || a.offset - b.offset || a.partition - b.partition,
  );
  const recent = amounts(counted(timeMs - 3 * DAY));
  const all = amounts(counted(ever));
  const tiled = amounts(lines(ever, tiles));
  return {
    lines_3d: counted(timeMs - 3 * DAY).length,
    spend: sum(all),
    mean_3d: recent.length > 0 ? sum(recent) / recent.length : null,
    largest: all.length > 0 ? Math.max(...all) : null,
    last_amount: amounts(counted(ever, inOrder)).at(-1) ?? 0,
    products_3d: new Set(counted(timeMs - 3 * DAY).map(({ product }) => product)).size,
    tiled_lines_2d: lines(
      ever,
      tiles.filter((logged) => logged.timeMs >= day - 2 * DAY),
    ).length,
    tiled_spend: sum(tiled),
    tiled_smallest: tiled.length > 0 ? Math.min(...tiled) : null,
  };
}

/** To nine decimals: brute force adds in another order. */
function rounded(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'number' ? Math.round(value * 1e9) / 1e9 + 0 : value,
    ]),
  );
}
