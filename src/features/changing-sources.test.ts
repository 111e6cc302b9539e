import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import type { TestDatabase } from '../testing/database.ts';
import { redisProgram, startRedis } from '../testing/redis.ts';
import { CachedOnlineStore } from './cached-online-store.ts';
import { entityKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest } from './features-under-test.ts';
import { Materializations } from './materializations.ts';
import { type OnlineStore, PostgresOnlineStore } from './online-store.ts';
import { RedisOnlineStore } from './redis/redis-online-store.ts';
import { RowFeatures } from './row-features.ts';

const VIEWS = [
  'name: prices\nentity: customer\nsource: { table: shop.prices, timestamp: at, created: written }\nfeatures: { value: { type: int64 } }',
  'name: plans\nentity: customer\nsource: { table: shop.plans, validFrom: valid_from, validTo: valid_to }\nfeatures: { value: { type: int64 } }',
];
const TABLES = [
  'create schema shop',
  'create table shop.prices (id int generated always as identity, customer text, at bigint, written bigint, value int)',
  'create index on shop.prices (customer, at)',
  'create table shop.plans (id int generated always as identity, customer text, valid_from bigint, valid_to bigint, value int)',
  'create index on shop.plans (customer, valid_from)',
];
const CUSTOMERS = ['a', 'b', 'c', 'd', 'e'];
const STEP_MS = 20_000;

/** One thing that happens to the tables, or a pass over them. Those that `isTold` leave a time by which an incremental pass finds them. */
const change = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ of: fc.constant('insert' as const), ageMs: fc.integer({ min: -1, max: 90_000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ of: fc.constant('update' as const), isTold: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ of: fc.constant('delete' as const) }) },
  { weight: 2, arbitrary: fc.record({ of: fc.constant('close' as const), isTold: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('reopen' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      of: fc.constant('pass' as const),
      mode: fc.constantFrom('full' as const, 'incremental' as const),
      /** After how many pages each process is killed, and whether that is before the commit of its last one. */
      kills: fc.array(fc.record({ pages: fc.nat(2), isLost: fc.boolean() }), { maxLength: 3 }),
    }),
  },
);
const happening = fc.record({
  change,
  customer: fc.constantFrom(...CUSTOMERS),
  value: fc.nat(12),
  pick: fc.nat(50),
});
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

const program = await redisProgram();
const redis = program && (await startRedis(program));
afterAll(() => redis?.server.close());

const memory = (inner: OnlineStore, { db, limits }: TestDatabase) =>
  new CachedOnlineStore(inner, db, { ...limits, featureOnlineStaleMs: 0 });
const STORES: [string, (database: TestDatabase) => OnlineStore, boolean][] = [
  ['Postgres', ({ db }) => new PostgresOnlineStore(db), true],
  ['memory over Postgres', (database) => memory(new PostgresOnlineStore(database.db), database), true],
  ['memory over Redis', (database) => memory(overRedis(database), database), redis !== undefined],
];

function overRedis({ db, limits }: TestDatabase): RedisOnlineStore {
  const stale = { ...limits, featureOnlineStaleMs: 0 };
  return new RedisOnlineStore({ inner: new PostgresOnlineStore(db), db, url: redis!.url, limits: stale });
}

/** The tables as they change, and what is online of them. */
class World {
  readonly features: FeaturesUnderTest;
  readonly process: FeatureProcess;
  readonly store: OnlineStore;
  readonly #reader: RowFeatures;
  nowMs = 1_000_000;
  /** Customers of whom an incremental pass cannot know that they have changed, by view; null: every one. */
  readonly unknown = new Map(['prices', 'plans'].map((view) => [view, new Set<string>()]));

  constructor(
    features: FeaturesUnderTest,
    process: FeatureProcess,
    open: (database: TestDatabase) => OnlineStore,
  ) {
    this.features = features;
    this.process = process;
    this.store = open(features.database);
    this.#reader = new RowFeatures({ ...process.rows, online: open(features.database) }); // of another process
  }

  sql(text: string, values: readonly unknown[] = []) {
    return this.features.database.db.query<{ customer: string }>(text, values);
  }

  async clear(): Promise<void> {
    for (const table of ['shop.prices', 'shop.plans', 'feature_materializations'])
      await this.features.database.db.queryDynamic(`delete from ${table}`);
    for (const of of this.unknown.values()) of.clear();
  }

  async happen({ change: what, customer, value, pick }: Happening): Promise<void> {
    this.nowMs += STEP_MS;
    const { nowMs } = this;
    const table = pick % 2 === 0 ? 'prices' : 'plans';
    const one = (of: string, more = '') =>
      `id = (select id from shop.${of} where customer = $1 ${more} order by id offset (${pick} % greatest(1, (select count(*) from shop.${of} where customer = $1 ${more})))::int limit 1)`;
    switch (what.of) {
      case 'insert':
        if (table === 'prices')
          await this.sql('insert into shop.prices (customer, at, written, value) values ($1, $2, $3, $4)', [
            customer,
            nowMs - what.ageMs,
            nowMs,
            value,
          ]);
        else {
          await this.sql('update shop.plans set valid_to = $2 where customer = $1 and valid_to is null', [
            customer,
            nowMs,
          ]);
          await this.sql('insert into shop.plans (customer, valid_from, value) values ($1, $2, $3)', [
            customer,
            nowMs,
            value,
          ]);
        }
        return;
      case 'update':
        await this.sql(
          `update shop.prices set value = $2 ${what.isTold ? `, written = ${nowMs}` : ''} where ${one('prices')}`,
          [customer, value],
        );
        if (!what.isTold) this.unknown.get('prices')!.add(customer);
        return;
      case 'delete':
        await this.sql(`delete from shop.${table} where ${one(table)}`, [customer]);
        this.unknown.get(table)!.add(customer);
        return;
      case 'close': {
        const toMs = what.isTold ? nowMs : nowMs - 100 * STEP_MS; // in the past: no time says when that was
        await this.sql(`update shop.plans set valid_to = $2 where ${one('plans', 'and valid_to is null')}`, [
          customer,
          toMs,
        ]);
        if (!what.isTold) this.unknown.get('plans')!.add(customer);
        return;
      }
      case 'reopen':
        await this.sql(`update shop.plans set valid_to = null where ${one('plans')}`, [customer]);
        this.unknown.get('plans')!.add(customer);
        return;
      case 'pass':
        for (const view of VIEWS.map(nameOf)) await this.pass(view, what.mode, what.kills);
    }
  }

  async pass(
    view: string,
    mode: 'full' | 'incremental',
    kills: readonly { pages: number; isLost: boolean }[],
  ) {
    const id = await this.#passes().start({ view, mode, by: 'ann' }, []);
    for (const { pages, isLost } of kills) {
      const killed = this.#passes();
      for (let n = 0; n < pages; n++) await killed.step();
      const dying = this.#passes(true);
      if (isLost && (await killed.get(id)).status === 'running')
        await expect(dying.step()).rejects.toMatchObject({ code: 'store.unavailable' });
    }
    const passes = this.#passes();
    while (await passes.step());
    const { status, fromMs } = await passes.get(id);
    expect(status).toBe('done');
    if (fromMs === null) this.unknown.get(view)!.clear();
    await this.compare(view);
  }

  /** A process that passes; one that is dying has its last commit undone. */
  #passes(isDying = false): Materializations {
    const { process, store, nowMs } = this;
    const { db, commit, limits } = this.features.database;
    const lost = async <T>(work: Promise<T>): Promise<T> => {
      const done = await work;
      if (isDying) throw new AiosError('store.unavailable');
      return done;
    };
    const online: OnlineStore = {
      read: (view, entities) => store.read(view, entities),
      write: (tx, view, rows) => lost(store.write(tx, view, rows)),
      removeUnseen: (tx, view, page) => lost(store.removeUnseen(tx, view, page)),
    };
    return new Materializations({
      ...{ db, commit, views: process.views, rows: { ...process.rows, online }, clock: { now: () => nowMs } },
      freshness: process.freshness,
      limits: { ...limits, featureMaterializeRowsMax: 2, featureMaterializeOverlapMs: STEP_MS / 2 },
    });
  }

  /** What is online is what the past says of now, of all customers whose changes the passes since could see. */
  async compare(name: string): Promise<void> {
    const view = this.process.views.rows.at(name)!;
    const reading = { view, keys: ['customer'], keyTypes: view.keyTypes };
    const known = CUSTOMERS.filter((customer) => !this.unknown.get(name)!.has(customer));
    const keys = known.map((customer) => ({ customer }));
    const entities = known;
    const asOf = { timeMs: this.nowMs };
    const online = await this.#reader.current(reading, entities, keys, asOf);
    const past = await this.#reader.past(
      reading,
      keys.map((of, at) => ({ keys: of, entity: entities[at]!, asOf })),
    );
    expect(online).toEqual(past);
  }
}

function nameOf(view: string): string {
  return /name: (\w+)/.exec(view)![1]!;
}

describe.each(STORES)('a source that changes, brought into %s', (_, open, isThere) => {
  let features: FeaturesUnderTest;
  let world: World;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    for (const statement of TABLES) await features.database.db.queryDynamic(statement);
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    for (const view of VIEWS) await features.put(featureViewKind, view);
    if (isThere) world = new World(features, await features.start(), open);
  });
  afterAll(() => features.close());

  it.skipIf(!isThere)(
    'is online as the past has it: after a full pass all of it, after an incremental one what says when it changed',
    { timeout: 240_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(happening, { minLength: 3, maxLength: 25 }), async (happenings) => {
          await world.clear();
          for (const each of happenings) await world.happen(each);
          for (const view of VIEWS.map(nameOf)) await world.pass(view, 'full', []);
        }),
        { numRuns: 25 },
      );
    },
  );
});
