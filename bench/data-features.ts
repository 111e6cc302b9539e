import { EventConsumers } from '../src/events/consumers.ts';
import { EventLog } from '../src/events/log.ts';
import { eventMigrations } from '../src/events/migrations.ts';
import { CachedOnlineStore } from '../src/features/cached-online-store.ts';
import { entityKind, featureServiceKind, featureViewKind } from '../src/features/definitions.ts';
import { FeatureStore } from '../src/features/feature-store.ts';
import { featureMigrations } from '../src/features/migrations.ts';
import { type OnlineStore, PostgresOnlineStore } from '../src/features/online-store.ts';
import { FeaturePush } from '../src/features/push.ts';
import { PushedRows } from '../src/features/pushed-rows.ts';
import { RedisOnlineStore } from '../src/features/redis/redis-online-store.ts';
import { TableSources } from '../src/features/table-source.ts';
import type { FeatureViews } from '../src/features/views.ts';
import { viewsWithoutLog } from '../src/features/views-under-test.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { LoggedEvent } from '../src/kernel/cloudevent.ts';
import { readDocument } from '../src/kernel/document.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { type Database, openDatabase } from '../src/store/database.ts';
import type { DefinitionKind } from '../src/store/definition-kind.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { migrate } from '../src/store/migrations.ts';
import { columns } from '../src/store/rows.ts';
import { redisProgram, startRedis } from '../src/testing/redis.ts';
import { median, round3 } from './load.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const ENTITIES = 10_000;
const KEYS = 100;
const FEATURES = 10;
const BATCH = 500;
const CUSTOMERS = 2_000;
const TILE_MS = 3_600_000;

const DEFINITIONS: [DefinitionKind, string][] = [
  [entityKind, 'name: customer\njoinKeys: [customer]'],
  [
    featureViewKind,
    `name: profile
entity: customer
source: { push: profile }
features:
${Array.from({ length: FEATURES }, (_, i) => `  f${i}: { type: float64 }`).join('\n')}`,
  ],
  [featureServiceKind, 'name: profile\nviews: [profile]'],
  [
    featureViewKind,
    `name: spend
entity: customer
source: { event: order }
keys: { customer: data.customer }
tile: 1h
features: { spend: { aggregate: sum, of: data.amount, window: 24h }, largest: { aggregate: max, of: data.amount, window: 24h } }`,
  ],
];

/** One side of a comparison: what is done once. */
type Side = () => Promise<void>;

/**
 * Features against what one would write by hand over the same Postgres, in turn: 100 keys × 10 features against the bare query of a wide
 * table (from memory, and from a Redis of this machine, too), a batch of events into tiles against the bare upsert of the tiles that they make.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const postgres = await startEmbeddedPostgres({ dataDir: `${folder.path}/postgres` });
  await migrate(postgres.target, [...definitionMigrations, ...eventMigrations, ...featureMigrations]);
  const db = await openDatabase(postgres.target, 8);
  const program = await redisProgram();
  const redis = program && (await startRedis(program));
  let kept: RedisOnlineStore | undefined;
  try {
    const world = await createWorld(db);
    kept = redis && redisStore(db, redis.url);
    const all: Record<string, Side> = {
      ...(await onlineSides(db, world, kept)),
      ...(await windowSides(db, world)),
    };
    const sides = Object.fromEntries(
      Object.entries(all).filter(([name]) => options.part?.split(',').includes(name) ?? true),
    );
    const samples = await measure(sides, options);
    const of = (side: string) => (samples.has(side) ? median(samples.get(side)!) : null);
    const ratio = (a: string, b: string) => {
      const [above, below] = [samples.get(a), samples.get(b)];
      return above && below ? round3(median(above.map((value, i) => value / below[i]!))) : null;
    };
    const rate = (side: string) => (samples.has(side) ? Math.round((BATCH * 1e6) / of(side)!) : null);
    return {
      onlineVsQuery: ratio('online', 'query'),
      onlineCachedUs: of('cached'),
      onlineRedisUs: of('redis'),
      redisVsOnline: ratio('redis', 'online'),
      windowVsUpsert: ratio('upsert', 'window'),
      onlineUs: of('online'),
      queryUs: of('query'),
      windowEventsPerSecond: rate('window'),
      upsertEventsPerSecond: rate('upsert'),
      rounds: options.rounds,
    };
  } finally {
    await kept?.close();
    await redis?.server.close();
    await db.close();
    await postgres.stop();
    await folder.dispose();
  }
}

/** Calls of a side before the next one's turn: what it needs is in the processor's caches after the first. */
const CALLS = 10;

/** Medians in microseconds, per side and round; the sides take turns after a few calls, so that a busy moment is a busy moment of all. */
async function measure(
  sides: Record<string, Side>,
  { rounds, roundMs, progress }: BenchOptions,
): Promise<Map<string, number[]>> {
  const names = Object.keys(sides);
  const samples = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    const times = new Map<string, number[]>(names.map((name) => [name, []]));
    const endMs = performance.now() + roundMs;
    while (performance.now() < endMs) {
      for (const name of names) {
        for (let call = 0; call < CALLS; call++) {
          const begun = performance.now();
          await sides[name]!();
          times.get(name)!.push((performance.now() - begun) * 1000);
        }
      }
    }
    const medians = names.map((name) => [name, round3(median(times.get(name)!))] as const);
    progress(
      `${round < 0 ? 'warm-up' : `round ${round + 1}`}: ${medians.map(([name, us]) => `${name} ${us} µs`).join(', ')}`,
    );
    if (round >= 0) for (const [name, us] of medians) samples.get(name)!.push(us);
  }
  return samples;
}

interface World {
  views: FeatureViews;
  store(online: OnlineStore): FeatureStore;
  push: FeaturePush;
}

async function createWorld(db: Database): Promise<World> {
  const limits = limitsFrom();
  const commit = new GroupCommit(db, limits);
  const definitions = new Definitions(db);
  for (const [kind, source] of DEFINITIONS) {
    const { name, body } = kind.parse(readDocument(source, 'bench.yaml'), new Map());
    await commit.commit([definitions.put({ kind: kind.kind, name, body, source, createdBy: 'bench' })]);
  }
  await definitions.reload();
  const log = new EventLog({ db, commit, clock: systemClock, limits });
  const consumers = new EventConsumers({ db, log, limits });
  consumers.add({ group: 'features', handle: async () => {} });
  await consumers.register();
  const views = viewsWithoutLog(db, definitions);
  await views.sync();
  const rows = (online: OnlineStore) => ({
    online,
    tables: new TableSources(db, []),
    pushed: new PushedRows(db),
  });
  const freshness = { note: () => {} };
  const progress = { passed: async () => {}, continuity: () => 0, offset: () => 0 };
  return {
    views,
    store: (online) =>
      new FeatureStore({ db, views, clock: systemClock, limits, progress, rows: rows(online), freshness }),
    push: new FeaturePush({
      db,
      views,
      rows: rows(new PostgresOnlineStore(db)),
      clock: systemClock,
      freshness,
    }),
  };
}

/** As the product has it: with a look at the epoch in Postgres each `featureOnlineStaleMs`. */
function redisStore(db: Database, url: string): RedisOnlineStore {
  const inner = new PostgresOnlineStore(db);
  return new RedisOnlineStore({ inner, db, url, limits: limitsFrom() });
}

async function onlineSides(
  db: Database,
  { store, push }: World,
  kept: RedisOnlineStore | undefined,
): Promise<Record<string, Side>> {
  const names = Array.from({ length: FEATURES }, (_, i) => `f${i}`);
  await db.queryDynamic(
    `create table wide (customer text primary key, ${names.map((name) => `${name} float8`).join(', ')})`,
  );
  for (let from = 0; from < ENTITIES; from += 1_000) {
    const rows = Array.from({ length: 1_000 }, (_, i): JsonObject => {
      const values = names.map((name, at) => [name, Math.round(((from + i) * (at + 1)) / 7) / 100] as const);
      return { customer: `customer-${from + i}`, ...Object.fromEntries(values) };
    });
    await push.push('profile', rows);
    await db.query(`insert into wide select * from json_populate_recordset(null::wide, $1)`, [
      JSON.stringify(rows),
    ]);
  }
  await db.queryDynamic('vacuum analyze wide');
  await db.queryDynamic('vacuum analyze feature_online');
  const bare = store(new PostgresOnlineStore(db));
  const limits = { ...limitsFrom(), featureRowsCachedMax: ENTITIES };
  const cached = store(new CachedOnlineStore(new PostgresOnlineStore(db), db, limits));
  // Drawn before: making keys is nobody's work here.
  const draws = Array.from({ length: 500 }, () => {
    const keys = Array.from({ length: KEYS }, () => `customer-${Math.floor(Math.random() * ENTITIES)}`);
    return { keys, entities: keys.map((customer) => ({ customer })) };
  });
  let drawn = 0;
  const next = () => draws[drawn++ % draws.length]!;
  const ask = async (from: FeatureStore) => {
    const { rows } = await from.online({ service: 'profile', entities: next().entities });
    if (rows.length !== KEYS || rows[0]![FEATURES - 1] === null) throw new Error('features are missing');
  };
  const all = Array.from({ length: ENTITIES }, (_, i) => ({ customer: `customer-${i}` }));
  await cached.online({ service: 'profile', entities: all });
  const fromRedis = kept && (await filled(kept, store, draws));
  return {
    query: async () => {
      const rows = await db.query('select * from wide where customer = any($1::text[])', [next().keys]);
      if (rows.length < KEYS - 10) throw new Error('rows are missing');
    },
    online: () => ask(bare),
    cached: () => ask(cached),
    ...(fromRedis ? { redis: () => ask(fromRedis) } : {}),
  };
}

/** What is drawn has been read once, so that Redis has it. */
async function filled(
  kept: RedisOnlineStore,
  store: World['store'],
  draws: readonly { entities: JsonObject[] }[],
): Promise<FeatureStore> {
  await kept.refresh();
  const features = store(kept);
  for (const { entities } of draws) await features.online({ service: 'profile', entities });
  return features;
}

async function windowSides(db: Database, { store, views }: World): Promise<Record<string, Side>> {
  await db.queryDynamic(
    `create table tiles (entity text, start_ms bigint, count bigint, sums float8, maxs float8, primary key (entity, start_ms)) with (fillfactor = 70)`,
  );
  const features = store(new PostgresOnlineStore(db));
  let offset = 0;
  const batch = () => {
    const now = Date.now();
    return Array.from({ length: BATCH }, (): LoggedEvent => {
      const timeMs = now - Math.floor(Math.random() * TILE_MS);
      const data = {
        customer: `customer-${Math.floor(Math.random() * CUSTOMERS)}`,
        amount: Math.floor(Math.random() * 10_000) / 100,
      };
      const id = String(offset);
      const time = new Date(timeMs).toISOString();
      const event = { specversion: '1.0' as const, id, source: 'bench', type: 'order', time, data };
      return { partition: 0, offset: offset++, timeMs, recordedAtMs: now, event };
    });
  };
  await features.handle([], db);
  if (!views.streamView('spend')) throw new Error('the view is not in force');
  return {
    window: async () => {
      const follow = await db.transaction((tx) => features.handle(batch(), tx));
      follow();
    },
    upsert: async () => {
      const tiles = tilesOf(batch());
      await db.transaction((tx) =>
        tx.query(
          `insert into tiles as t select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::float8[], $5::float8[])
           on conflict (entity, start_ms) do update set count = t.count + excluded.count, sums = t.sums + excluded.sums,
             maxs = greatest(t.maxs, excluded.maxs)`,
          columns(tiles, ({ entity, startMs, count, sum, max }) => [entity, startMs, count, sum, max]),
        ),
      );
    },
  };
}

/** The tiles of a batch as one would merge them by hand, sorted as they are locked. */
function tilesOf(events: readonly LoggedEvent[]) {
  const tiles = new Map<
    string,
    { entity: string; startMs: number; count: number; sum: number; max: number }
  >();
  for (const { event, timeMs } of events) {
    const { customer, amount } = event.data as { customer: string; amount: number };
    const startMs = Math.floor(timeMs / TILE_MS) * TILE_MS;
    const key = `${customer}/${startMs}`;
    const tile = tiles.get(key);
    if (tile) {
      tile.count++;
      tile.sum += amount;
      tile.max = Math.max(tile.max, amount);
    } else tiles.set(key, { entity: customer, startMs, count: 1, sum: amount, max: amount });
  }
  return [...tiles].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, tile]) => tile);
}
