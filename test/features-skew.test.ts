import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventConsumers } from '../src/events/consumers.ts';
import { EventLog } from '../src/events/log.ts';
import { eventMigrations } from '../src/events/migrations.ts';
import { logBegin } from '../src/events/retention/log-begin.ts';
import { CachedOnlineStore } from '../src/features/cached-online-store.ts';
import { entityKind, featureServiceKind, featureViewKind } from '../src/features/definitions.ts';
import { FeatureStore } from '../src/features/feature-store.ts';
import { featureMigrations } from '../src/features/migrations.ts';
import { PostgresOnlineStore } from '../src/features/online-store.ts';
import { PushedRows } from '../src/features/pushed-rows.ts';
import { TableSources } from '../src/features/table-source.ts';
import { FeatureViews } from '../src/features/views.ts';
import { AGGREGATES, type FeatureValue } from '../src/features/windows/state.ts';
import { ManualClock } from '../src/kernel/clock.ts';
import type { CloudEvent } from '../src/kernel/cloudevent.ts';
import { readDocument } from '../src/kernel/document.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

const MINUTE = 60_000;
const LATENESS_MINUTES = 30;
const VIEW = `name: spend
entity: customer
source: { event: order }
keys: { customer: data.customer }
lateness: ${LATENESS_MINUTES}m
tile: 20m
features:
${AGGREGATES.map((aggregate) => `  ${aggregate}: { aggregate: ${aggregate}, of: data.amount, window: 2h }`).join('\n')}`;

const arrivals = fc.array(
  fc.record({
    minute: fc.integer({ min: 0, max: 240 }),
    delay: fc.integer({ min: 0, max: LATENESS_MINUTES }),
    cents: fc.integer({ min: -500, max: 2_000 }),
    /** How often it is sent again, with a later batch. */
    copies: fc.integer({ min: 0, max: 2 }),
    key: fc.constantFrom('a', 'b', 'c'),
  }),
  { minLength: 1, maxLength: 30 },
);
const batches = fc.array(fc.record({ size: fc.integer({ min: 1, max: 8 }), isRestarted: fc.boolean() }), {
  minLength: 30,
  maxLength: 30,
});

describe('features over the log as it is', () => {
  let database: TestDatabase;
  let run = 0;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations, ...featureMigrations]);
    const definitions = new Definitions(database.db);
    for (const [kind, source] of [
      [entityKind, 'name: customer\njoinKeys: [customer]'],
      [featureViewKind, VIEW],
      [featureServiceKind, 'name: spend\nviews: [spend]'],
    ] as const) {
      const { name, body } = kind.parse(readDocument(source, 'x.yaml'), new Map());
      await database.commit.commit([
        definitions.put({ kind: kind.kind, name, body, source, createdBy: 't' }),
      ]);
    }
  });
  afterAll(() => database.close());

  /** What one process holds: the log, the consumer that keeps the features, the store. */
  const start = async (clock: ManualClock) => {
    const { db, commit, limits } = database;
    const log = new EventLog({ db, commit, clock, limits });
    const consumers = new EventConsumers({ db, log, limits });
    const definitions = new Definitions(db);
    await definitions.reload();
    const views = new FeatureViews({
      db,
      definitions,
      group: 'features',
      readLog: (partition, offset, count) => log.read(partition, offset, count),
      logBegin,
    });
    const progress = consumers.add({ group: 'features', handle: (batch, tx) => store.handle(batch, tx) });
    const store: FeatureStore = new FeatureStore({
      db,
      views,
      clock,
      limits,
      progress,
      rows: {
        online: new CachedOnlineStore(new PostgresOnlineStore(db), db, limits),
        tables: new TableSources(db, []),
        pushed: new PushedRows(db),
      },
      freshness: { note: () => {} },
    });
    log.onCommitted((appended) => store.apply(appended));
    await consumers.register();
    await views.sync();
    await consumers.start();
    return { log, consumers, store };
  };

  const online = async (store: FeatureStore, customer: string, timeMs: number) =>
    (await store.online({ service: 'spend', entities: [{ customer }], asOf: { timeMs } })).rows[0]!;

  /** Sends the events in the order of their arrival; what is asked in between, and at the end as of each hour. */
  const replay = async (
    events: readonly { event: CloudEvent; atMs: number }[],
    plan: readonly { size: number; isRestarted: boolean }[],
    customer: string,
  ) => {
    const clock = new ManualClock(0);
    let process = await start(clock);
    const seen: { timeMs: number; vector: FeatureValue[] }[] = [];
    let from = 0;
    for (const { size, isRestarted } of plan) {
      const batch = events.slice(from, from + size);
      from += size;
      for (const { event, atMs } of batch) {
        clock.advanceTo(atMs);
        await process.log.append([event]);
      }
      await process.consumers.idle();
      const timeMs = (events[from]?.atMs ?? clock.now() + 60 * MINUTE) - 1;
      if (timeMs >= clock.now()) seen.push({ timeMs, vector: await online(process.store, customer, timeMs) });
      if (isRestarted) {
        await process.consumers.stop();
        process = await start(clock);
      }
      if (from >= events.length) break;
    }
    const hours: FeatureValue[][] = [];
    for (let hour = 1; hour <= 6; hour++)
      hours.push(await online(process.store, customer, hour * 60 * MINUTE));
    const { rows } = await process.store.historical(
      'spend',
      seen.map(({ timeMs }) => ({ keys: { customer }, asOf: { timeMs } })),
    );
    await process.consumers.stop();
    expect(rows).toEqual(seen.map(({ vector }) => vector));
    return hours;
  };

  it('are the same online and in the past, and in another order of arrival, through duplicates, batches and restarts', {
    timeout: 180_000,
  }, async () => {
    const eventsOf = (drawn: Drawn[], customer: string, delayOf: (each: Drawn, index: number) => number) =>
      drawn
        .flatMap((each, index) => {
          const { minute, cents, copies, key } = each;
          const event: CloudEvent = {
            specversion: '1.0',
            id: `${customer}-${index}`,
            source: 'urn:test',
            type: 'order',
            time: new Date(minute * MINUTE).toISOString(),
            partitionkey: key,
            data: { customer, amount: cents / 100 },
          };
          const delay = delayOf(each, index);
          return Array.from({ length: copies + 1 }, (_, copy) => ({
            event,
            atMs: (minute + delay + copy * 7) * MINUTE,
          }));
        })
        .toSorted((a, b) => a.atMs - b.atMs);
    await fc.assert(
      fc.asyncProperty(
        arrivals,
        fc.array(fc.nat(LATENESS_MINUTES), { minLength: 30 }),
        batches,
        batches,
        async (drawn, delays, first, second) => {
          // One a minute: which of two at one time is the last is said by their place in the log.
          const single = [...new Map(drawn.map((each) => [each.minute, each])).values()];
          const a = `c${run++}`;
          const b = `c${run++}`;
          const one = await replay(
            eventsOf(single, a, ({ delay }) => delay),
            first,
            a,
          );
          const other = await replay(
            eventsOf(single, b, (_, index) => delays[index]!),
            second,
            b,
          );
          expect(other).toEqual(one);
        },
      ),
      { numRuns: 6 },
    );
  });
});

type Drawn = typeof arrivals extends fc.Arbitrary<(infer Each)[]> ? Each : never;
