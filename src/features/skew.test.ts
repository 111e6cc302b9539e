import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, order } from './features-under-test.ts';
import { AGGREGATES, type FeatureValue } from './windows/state.ts';

const MINUTE = 60_000;
const LATENESS = 30 * MINUTE;
const view = (name: string, more: string) => `
name: ${name}
entity: customer
source: { event: order, each: data.lines }
keys: { customer: data.customer }
lateness: 30m
late: dead-letter
${more}
features:
${AGGREGATES.flatMap((aggregate) => [
  `  ${name}_${aggregate}: { aggregate: ${aggregate}, of: item.amount, window: 2h }`,
  `  ${name}_${aggregate}_tumbling: { aggregate: ${aggregate}, of: item.amount, window: 1h, windowType: tumbling }`,
]).join('\n')}`;

interface Drawn {
  timeMs: number;
  /** How long after its time it is recorded. */
  delayMs: number;
  partition: 0 | 1;
  /** Whose it is: of the one, or of the other. */
  of: 0 | 1;
  amounts: (number | null)[];
}

const history = fc.array(
  fc.record({
    timeMs: fc.integer({ min: 0, max: 300 }).map((minutes) => minutes * MINUTE),
    delayMs: fc.integer({ min: 0, max: 35 }).map((minutes) => minutes * MINUTE),
    partition: fc.constantFrom(0 as const, 1 as const),
    of: fc.constantFrom(0 as const, 1 as const),
    amounts: fc.array(
      fc.oneof(
        fc.integer({ min: -500, max: 2_000 }).map((cents) => cents / 100),
        fc.constant(null),
      ),
      { maxLength: 3 },
    ),
  }),
  { minLength: 1, maxLength: 25 },
);
/** Per batch: how many events, whether it is rolled back once before it succeeds, whether the process starts anew after it. */
const batches = fc.array(
  fc.record({ size: fc.integer({ min: 1, max: 6 }), isRepeated: fc.boolean(), isRestarted: fc.boolean() }),
  { minLength: 25, maxLength: 25 },
);

describe('training and serving see the same', () => {
  let features: FeaturesUnderTest;
  let run = 0;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(featureViewKind, view('tiled', 'tile: 20m'));
    await features.put(featureViewKind, view('exact', ''));
    await features.put(featureServiceKind, 'name: tiled\nviews: [tiled]');
    await features.put(featureServiceKind, 'name: both\nviews: [tiled, exact]');
    // The same views of two customers in one vector: of one under the views' own names, of the other under others.
    await features.put(
      featureServiceKind,
      `name: pair
views:
  - tiled
  - exact
  - { view: tiled, name: other_tiled, joinKeyMap: { customer: other } }
  - { view: exact, name: other_exact, joinKeyMap: { customer: other } }
fullFeatureNames: true`,
    );
  });
  afterAll(() => features.close());

  /** The events in the order in which they are recorded, at places of the log that no other run has used. */
  const logged = (drawn: readonly Drawn[], customer: string, other = customer): LoggedEvent[] => {
    const next = [run * 1_000, run * 1_000];
    return drawn
      .toSorted((a, b) => a.timeMs + a.delayMs - (b.timeMs + b.delayMs))
      .map(({ timeMs, delayMs, partition, of, amounts }) => ({
        ...order(
          of === 0 ? customer : other,
          timeMs,
          { partition, offset: next[partition]!++ },
          amounts.map((amount) => ({ product: 'p', amount })),
        ),
        recordedAtMs: timeMs + delayMs,
      }));
  };

  const online = async (
    { store }: FeatureProcess,
    service: string,
    customer: string,
    timeMs: number,
    other = customer,
  ) => (await store.online({ service, entities: [{ customer, other }], asOf: { timeMs } })).rows[0]!;

  /** Lets processes work on the events in the order of their recording; after each batch `asked` is told the time. */
  const ingest = async (
    events: readonly LoggedEvent[],
    plan: readonly { size: number; isRepeated: boolean; isRestarted: boolean }[],
    asked: (process: FeatureProcess, nowMs: number) => Promise<void>,
  ) => {
    let process = await features.start();
    let from = 0;
    for (const { size, isRepeated, isRestarted } of plan) {
      const batch = events.slice(from, from + size);
      if (batch.length === 0) break;
      from += size;
      if (isRepeated) await rolledBack(features, process, batch);
      await features.feed(process, batch);
      const nextMs = events[from]?.recordedAtMs ?? batch.at(-1)!.recordedAtMs + 2 * LATENESS;
      // As late as can be told before the next one is recorded: everything recorded by then is here.
      if (nextMs > batch.at(-1)!.recordedAtMs) await asked(process, nextMs - 1);
      if (isRestarted) process = await features.start();
    }
  };

  it('whatever the history, the order of arrival, the batches, repeated deliveries and restarts', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(history, batches, async (drawn, plan) => {
        const customer = `c${run++}`;
        const events = logged(drawn, customer);
        const seen: { timeMs: number; vector: FeatureValue[] }[] = [];
        await ingest(events, plan, async (process, timeMs) => {
          seen.push({ timeMs, vector: await online(process, 'both', customer, timeMs) });
        });
        const later = await features.start();
        const { rows } = await later.store.historical(
          'both',
          seen.map(({ timeMs }) => ({ keys: { customer }, asOf: { timeMs, recordedByMs: timeMs } })),
        );
        expect(rows).toEqual(seen.map(({ vector }) => vector));
        const tiled = await later.store.historical(
          'tiled',
          seen.map(({ timeMs }) => ({ keys: { customer }, asOf: { timeMs } })),
        );
        expect(tiled.rows).toEqual(seen.map(({ vector }) => vector.slice(0, 2 * AGGREGATES.length)));
      }),
      { numRuns: 30 },
    );
  });

  it('under other names and join keys, too: a view of two customers at once', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(history, batches, async (drawn, plan) => {
        const [customer, other] = [`c${run++}`, `o${run}`];
        const seen: { timeMs: number; vector: FeatureValue[] }[] = [];
        await ingest(logged(drawn, customer, other), plan, async (process, timeMs) => {
          const vector = await online(process, 'pair', customer, timeMs, other);
          seen.push({ timeMs, vector });
          const apart = [
            ...(await online(process, 'both', customer, timeMs)),
            ...(await online(process, 'both', other, timeMs)),
          ];
          expect(vector).toEqual(apart);
        });
        const { rows } = await (await features.start()).store.historical(
          'pair',
          seen.map(({ timeMs }) => ({ keys: { customer, other }, asOf: { timeMs, recordedByMs: timeMs } })),
        );
        expect(rows).toEqual(seen.map(({ vector }) => vector));
      }),
      { numRuns: 20 },
    );
  });

  it('and another order of arrival within the bound gives the same tiles to the last bit', {
    timeout: 120_000,
  }, async () => {
    const delays = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 25, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(history, delays, batches, batches, async (drawn, others, first, second) => {
        // One event a minute: which of two at one time is the last is said by their place in the log.
        const inTime = [...new Map(drawn.map((each) => [each.timeMs, each])).values()];
        const vectors: FeatureValue[][] = [];
        for (const [plan, delay] of [
          [first, (each: Drawn) => Math.min(each.delayMs, LATENESS)],
          [second, (_: Drawn, index: number) => others[index]! * MINUTE],
        ] as const) {
          const customer = `c${run++}`;
          const arrivals = inTime.map((each, index) => ({ ...each, delayMs: delay(each, index) }));
          await ingest(logged(arrivals, customer), plan, async () => {});
          const process = await features.start();
          for (const hours of [1, 2, 3, 4, 5, 6])
            vectors.push(await online(process, 'tiled', customer, hours * 60 * MINUTE));
        }
        expect(vectors.slice(6)).toEqual(vectors.slice(0, 6));
      }),
      { numRuns: 15 },
    );
  });

  it('and what comes after the bound is not counted, and set aside where the view says so', async () => {
    const customer = `c${run++}`;
    const [late] = logged(
      [{ timeMs: 0, delayMs: LATENESS + 1, partition: 0, of: 0, amounts: [5] }],
      customer,
    );
    await features.feed(await features.start(), [late!]);
    const process = await features.start();
    expect((await online(process, 'both', customer, 90 * MINUTE)).slice(0, 2)).toEqual([0, 0]);
    const aside = await features.database.db.query(
      'select view, late_ms from feature_late_events where log_offset = $1 order by view',
      [late!.offset],
    );
    expect(aside).toEqual([
      { view: 1, late_ms: LATENESS + 1 },
      { view: 2, late_ms: LATENESS + 1 },
    ]);
  });

  it('but a tile without a bound cannot say what had been recorded by a time', async () => {
    await features.put(featureViewKind, view('open', 'tile: 20m').replace(/late.*\n/g, ''));
    await features.put(featureServiceKind, 'name: open\nviews: [open]');
    const { store } = await features.start();
    await expect(
      store.historical('open', [{ keys: { customer: 'c' }, asOf: { timeMs: 1, recordedByMs: 1 } }]),
    ).rejects.toMatchObject({ code: 'features.no_cutoff' });
  });
});

/** A delivery whose transaction fails after the work was done. */
async function rolledBack(
  features: FeaturesUnderTest,
  process: FeatureProcess,
  batch: readonly LoggedEvent[],
): Promise<void> {
  const failed = features.database.db.transaction(async (tx) => {
    await process.store.handle(batch, tx);
    throw new Error('rolled back');
  });
  await expect(failed).rejects.toThrow('rolled back');
}
