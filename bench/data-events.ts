import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Contracts } from '../src/contracts/contracts.ts';
import { EventConsumers } from '../src/events/consumers.ts';
import { EventLog } from '../src/events/log.ts';
import { eventMigrations } from '../src/events/migrations.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { CloudEvent } from '../src/kernel/cloudevent.ts';
import { readDocument } from '../src/kernel/document.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { type Database, openDatabase, type Queryable } from '../src/store/database.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { migrate } from '../src/store/migrations.ts';
import { load, median, post, round3 } from './load.ts';
import { freePort, startProduct, temporaryFolder } from './product.ts';
import { returnRequest } from './requests.ts';
import type { BenchOptions, Figures } from './run.ts';
import { Side } from './serving-processes.ts';

const BATCH = 1000;
const CLIENTS = 64;
const PRODUCERS = 4;
/** Of a quarter of a million events each. */
const LONG_ROUNDS = 5;
const CONSUMED = 100_000;
const READ_BATCH = 500;
const CONTRACT_FILE = join(import.meta.dirname, '../examples/returns/contracts/return.requested.yaml');

/** One Postgres, and what is measured over it. */
interface Setting {
  readonly db: Database;
  readonly commit: GroupCommit;
  readonly log: EventLog;
  readonly contracts: Contracts;
}

/**
 * The event log against what it stands on: ingest with contract check and dedupe against a bare insert of the same texts, single posts against an empty
 * handler, a consumer group against a bare ordered read. Both sides in turn, medians over the rounds.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const isWanted = (part: string) => options.part === undefined || options.part === part;
  return {
    ...(isWanted('log') ? await inProcess(options) : {}),
    ...(isWanted('post') ? await posts(options) : {}),
    rounds: options.rounds,
  };
}

async function inProcess(options: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder.path, 'postgres') });
  const limits = limitsFrom();
  await migrate(postgres.target, [...definitionMigrations, ...eventMigrations]);
  const db = await openDatabase(postgres.target, limits.connectionsMax);
  const commit = new GroupCommit(db, limits);
  try {
    await db.queryDynamic(
      'create table bare (number bigint generated always as identity primary key, event json not null)',
    );
    const definitions = new Definitions(db);
    const contracts = new Contracts(definitions, async () => 'BACKWARD', limits);
    const text = await readFile(CONTRACT_FILE, 'utf8');
    const { body } = contracts.kind.parse(readDocument(text, CONTRACT_FILE), new Map());
    await commit.commit([
      definitions.put({
        kind: 'contract',
        name: 'return.requested',
        body,
        source: text,
        createdBy: 'bench',
      }),
    ]);
    await definitions.reload();
    const log = new EventLog({ db, commit, clock: systemClock, limits });
    const setting: Setting = { db, commit, log, contracts };
    return { ...(await ingest(setting, options)), ...(await consume(setting, options)) };
  } finally {
    await commit.close();
    await db.close();
    await postgres.stop();
    await folder.dispose();
  }
}

/**
 * Several producers, each with a batch on its way; one connection on either side writes them, one after the other, as the log does to give offsets in
 * the order of commits. `ingestVsInserts` has a connection for each producer on the side of the bare insert, `ingestLongVsInsert` is of a log of more events than a process knows by memory: each of its
 * rounds is as long as it takes until half of those are put away once.
 */
async function ingest(setting: Setting, { rounds, roundMs, progress }: BenchOptions): Promise<Figures> {
  const { db, log, contracts } = setting;
  const writer = await db.connect();
  const insert = (tx: Queryable) => async (batch: readonly string[]) =>
    void (await tx.query('insert into bare (event) select * from unnest($1::json[])', [batch]));
  const checked = async (batch: readonly string[]) => {
    const events = batch.map((text) => JSON.parse(text) as CloudEvent);
    for (const event of events) contracts.check(event);
    for (const outcome of await log.append(events)) if (outcome.status === 'rejected') throw outcome.reason;
  };
  let from = 0;
  /** Events per second of each side, round by round; the first round is left out. */
  const ratesOf = async <Side extends string>(
    sides: Record<Side, typeof checked>,
    { rounds, batches: count }: { rounds: number; batches: number },
  ) => {
    const names = Object.keys(sides) as Side[];
    const rates = Object.fromEntries(names.map((side) => [side, [] as number[]])) as Record<Side, number[]>;
    for (let round = -1; round < rounds; round++)
      for (const side of names) {
        // Made before the clock runs: making them is the producer's.
        const batches = Array.from({ length: count }, () =>
          Array.from({ length: BATCH }, () => JSON.stringify(returnRequest(from++))),
        );
        let next = 0;
        const worker = async () => {
          while (next < batches.length) await sides[side](batches[next++]!);
        };
        const rate = await timed(count * BATCH, () => Promise.all(Array.from({ length: PRODUCERS }, worker)));
        progress(`${round < 0 ? 'warm-up' : `round ${round + 1}`} ${side}: ${Math.round(rate)} events/s`);
        if (round >= 0) rates[side].push(rate);
      }
    return rates;
  };
  const against = (rates: readonly number[], floor: readonly number[]) =>
    round3(median(rates.map((rate, round) => rate / floor[round]!)));
  const sides = { bare: insert(writer), 'bare by all': insert(db), checked };
  const short = await ratesOf(sides, { rounds, batches: Math.ceil(roundMs / 50) });
  const known = limitsFrom().eventKeysRecentMax;
  progress(`long: ${known} events more`);
  await ratesOf({ checked }, { rounds: 0, batches: known / BATCH });
  const long = await ratesOf(
    { bare: sides.bare, checked },
    { rounds: LONG_ROUNDS, batches: known / 2 / BATCH },
  );
  await writer.close();
  return {
    ingestVsInsert: against(short.checked, short.bare),
    ingestVsInserts: against(short.checked, short['bare by all']),
    ingestLongVsInsert: against(long.checked, long.bare),
    ingestPerSecond: Math.round(median(short.checked)),
    ingestLongPerSecond: Math.round(median(long.checked)),
    insertPerSecond: Math.round(median(short.bare)),
  };
}

/** A group that is far behind, in a process that appended none of it, against reading the same events in the same order, a row each, as many at once. */
async function consume({ db, commit, log }: Setting, { rounds, progress }: BenchOptions): Promise<Figures> {
  const limits = limitsFrom('consumerPauseMs=1');
  const missing = Math.max(0, CONSUMED - (await log.head()).reduce((sum, next) => sum + next, 0));
  for (let from = 0; from < missing; from += BATCH) {
    const events = Array.from(
      { length: BATCH },
      (_, n) => returnRequest(1e9 + from + n) as unknown as CloudEvent,
    );
    for (const outcome of await log.append(events)) if (outcome.status === 'rejected') throw outcome.reason;
  }
  await db.queryDynamic(
    'create table read_bare (partition smallint, log_offset bigint, recorded_at timestamptz, event json, primary key (partition, log_offset))',
  );
  await db.queryDynamic(
    'insert into read_bare select partition, log_offset, recorded_at, event from events order by 1, 2',
  );
  await db.queryDynamic('vacuum analyze read_bare');
  const heads = await log.head();
  const ends = heads.map((head) => Math.min(head, Math.ceil(CONSUMED / heads.length)));
  const count = ends.reduce((sum, end) => sum + end, 0);
  const rates = { read: [] as number[], consumed: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const read = await timed(count, () => readAll(db, ends));
    const own = new EventLog({ db, commit, clock: systemClock, limits });
    const consumers = new EventConsumers({ db, log: own, limits });
    let seen = 0;
    consumers.add({
      group: `bench-${round}`,
      async handle(events) {
        seen += events.length;
        return undefined;
      },
    });
    await consumers.register();
    await db.query(
      'update event_consumers c set log_offset = next_offset - $2 from event_partitions p where consumer_group = $1 and p.partition = c.partition',
      [`bench-${round}`, ends[0]],
    );
    const consumed = await timed(count, async () => {
      await consumers.start();
      await consumers.idle();
    });
    await consumers.stop();
    if (seen < count * 0.99) throw new Error(`${seen} of ${count} events were consumed`);
    progress(
      `${round < 0 ? 'warm-up' : `round ${round + 1}`} read ${Math.round(read)}/s, consumed ${Math.round(consumed)}/s`,
    );
    if (round < 0) continue;
    rates.read.push(read);
    rates.consumed.push(consumed);
  }
  return {
    consumeVsRead: round3(median(rates.consumed.map((rate, round) => rate / rates.read[round]!))),
    consumePerSecond: Math.round(median(rates.consumed)),
    readPerSecond: Math.round(median(rates.read)),
  };
}

async function readAll(db: Database, ends: readonly number[]): Promise<void> {
  for (const [partition, end] of ends.entries()) {
    for (let offset = 0; offset < end; ) {
      // Without an upper bound: with one the planner took a plan that cost Postgres five times as much.
      const rows = await db.query<{ log_offset: number }>(
        'select partition, log_offset, recorded_at, event from read_bare where partition = $1 and log_offset >= $2 order by log_offset limit $3',
        [partition, offset, Math.min(READ_BATCH, end - offset)],
      );
      offset = rows.at(-1)!.log_offset + 1;
    }
  }
}

async function timed(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (count * 1000) / (performance.now() - startedAt);
}

/** Single events by 64 clients, each answered when it is durable, against a handler that reads the body and answers. */
async function posts({ rounds, roundMs, progress }: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const empty = new Side<never, { port: number }>('serving-sides.ts', 'empty');
  const { port: emptyPort } = await empty.first();
  const product = await startProduct({ dataDir: folder.path, port: await freePort() });
  try {
    await product.client.request('POST', '/api/v1/apply', {
      body: {
        files: [{ path: 'contracts/return.requested.yaml', text: await readFile(CONTRACT_FILE, 'utf8') }],
      },
    });
    const headers = {
      authorization: `Bearer ${product.key}`,
      'content-type': 'application/cloudevents+json',
    };
    const request = (index: number) => post('/api/v1/events', JSON.stringify(returnRequest(index)), headers);
    const rates = { empty: [] as number[], post: [] as number[] };
    let from = 0;
    for (let round = -1; round < rounds; round++) {
      for (const [side, port] of Object.entries({ empty: emptyPort, post: product.port })) {
        const result = await load({ port, clients: CLIENTS, request, from, durationMs: roundMs });
        from += result.requests + CLIENTS;
        if (result.failed > 0) throw new Error(`${side}: ${result.failed} failed: ${result.firstFailure}`);
        const rate = (result.requests * 1000) / result.wallMs;
        progress(`${round < 0 ? 'warm-up' : `round ${round + 1}`} ${side}: ${Math.round(rate)}/s`);
        if (round >= 0) rates[side as keyof typeof rates].push(rate);
      }
    }
    return {
      postVsEmpty: round3(median(rates.post.map((rate, round) => rate / rates.empty[round]!))),
      postPerSecond: Math.round(median(rates.post)),
      emptyPerSecond: Math.round(median(rates.empty)),
    };
  } finally {
    await product.stop();
    empty.stop();
    await folder.dispose();
  }
}
