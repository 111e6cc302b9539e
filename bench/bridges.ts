import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { BRIDGE_PROTOCOLS } from '../src/events/bridges/protocols/protocols.ts';
import { Bridges } from '../src/events/bridges/running/bridges.ts';
import { EventConsumers } from '../src/events/consumers.ts';
import { EventLog } from '../src/events/log.ts';
import { eventMigrations } from '../src/events/migrations.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { CloudEvent } from '../src/kernel/cloudevent.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { type ConnectionTarget, openDatabase } from '../src/store/database.ts';
import { definitionMigrations } from '../src/store/definitions.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { GroupCommit } from '../src/store/group-commit.ts';
import { write } from '../src/store/lane.ts';
import { migrate } from '../src/store/migrations.ts';
import { BROKERS, type Broker } from './bridge-brokers.ts';
import { median, round3 } from './load.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const EVENTS = 20_000;
const APPENDED = 1_000;
const LOOK_MS = 25;
const DIRECTIONS = ['Source', 'Sink'] as const;
type Direction = (typeof DIRECTIONS)[number];

interface Sample {
  readonly perSecond: number;
  /** Processor time of this process for an event, in microseconds: that of the broker and of Postgres is their own. */
  readonly cpuUs: number;
}

/**
 * Bridges with the real brokers, each on its own: how many events of about 300 bytes pass in a second from the first that is seen to the last, and what one costs
 * this process, where its client, the mapping and the log run. A source reads a full broker into an empty log, a sink writes a full log to an empty broker. Null
 * where the broker cannot be had. `--part kafka,amqp` are some of them.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder.path, 'postgres') });
  const figures: Figures = {};
  try {
    for (const [name, start] of Object.entries(BROKERS)) {
      if (!(options.part?.split(',').includes(name) ?? true)) continue;
      const broker = await start();
      try {
        for (const direction of DIRECTIONS) {
          const samples = broker ? await measure(broker, direction, postgres.target, options) : [];
          const of = (read: (sample: Sample) => number) =>
            samples.length > 0 ? round3(median(samples.map(read))) : null;
          figures[`${name}${direction}PerSecond`] = of(({ perSecond }) => Math.round(perSecond));
          figures[`${name}${direction}CpuUs`] = of(({ cpuUs }) => cpuUs);
        }
      } finally {
        await broker?.close();
      }
    }
  } finally {
    await postgres.stop();
    await folder.dispose();
  }
  return { ...figures, rounds: options.rounds };
}

/** The first round warms up: it loads the library of the protocol, and compiles. */
async function measure(
  broker: Broker,
  direction: Direction,
  target: ConnectionTarget,
  { rounds, progress }: BenchOptions,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = -1; round < rounds; round++) {
    const sample = await passAll(broker, direction, target);
    const { perSecond, cpuUs } = sample;
    progress(
      `${broker.protocol} ${direction}, ${round < 0 ? 'warm-up' : `round ${round + 1}`}: ${Math.round(perSecond)}/s, ${cpuUs.toFixed(1)} µs`,
    );
    if (round >= 0) samples.push(sample);
  }
  return samples;
}

async function passAll(broker: Broker, direction: Direction, server: ConnectionTarget): Promise<Sample> {
  const name = `b${randomBytes(4).toString('hex')}`;
  const target = await createDatabase(server, name);
  const limits = limitsFrom();
  const db = await openDatabase(target, 8);
  const commit = new GroupCommit(db, limits);
  const log = new EventLog({ db, commit, clock: systemClock, limits });
  const consumers = new EventConsumers({ db, log, limits });
  const events = Array.from({ length: EVENTS }, (_, number) => eventOf(number));
  const place = await broker.prepare(name, direction === 'Source' ? events : []);
  const body = direction === 'Source' ? { from: place.source } : { to: place.sink, start: 'earliest' };
  if (direction === 'Sink')
    for (let at = 0; at < EVENTS; at += APPENDED) await log.append(events.slice(at, at + APPENDED));
  const nothing = { name: 'nothing', order: 98, write: async () => undefined };
  const bridges = new Bridges({
    ...{ db, commit, log, consumers, clock: systemClock, limits, protocols: BRIDGE_PROTOCOLS },
    definitions: {
      list: () => [
        {
          kind: 'bridge',
          name,
          version: 1,
          digest: '',
          source: '',
          createdBy: '',
          createdAt: 0,
          body: { name, ...body } as JsonObject,
        },
      ],
    } as never,
    takesPart: true,
    schemaRegistry: () => ({
      byId: async () => undefined,
      latest: async () => undefined,
      register: async () => 0,
    }),
    contractSchema: () => undefined,
    addresses: async (host) => [{ address: host, family: 4 }],
    folders: place.folders,
    fill: (text) => ({ text, secrets: [], check: () => {} }),
    redact: (text) => text,
    check: () => {},
    quarantine: () => undefined,
    record: () => write(nothing, undefined),
    onError: (_, error) => console.error(error),
  });
  await consumers.start();
  try {
    const passed = async () =>
      (await db.query<{ passed: number }>('select passed from bridges where name = $1', [name]))[0]?.passed ??
      0;
    await bridges.start();
    return await timed(passed);
  } finally {
    await bridges.stop();
    await consumers.stop();
    await commit.close();
    await db.close();
  }
}

/** From the first look that finds events to the one that finds all. */
async function timed(passed: () => Promise<number>): Promise<Sample> {
  let first = 0;
  while (first === 0) {
    await sleep(LOOK_MS);
    first = await passed();
  }
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  let last = first;
  while (last < EVENTS) {
    await sleep(LOOK_MS);
    last = await passed();
  }
  const { user, system } = process.cpuUsage(cpu);
  const count = last - first;
  return { perSecond: (count * 1000) / (performance.now() - begun), cpuUs: (user + system) / count };
}

async function createDatabase(server: ConnectionTarget, name: string): Promise<ConnectionTarget> {
  const admin = new pg.Client(server);
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const target = { ...server, database: name };
  await migrate(target, [...definitionMigrations, ...eventMigrations]);
  return target;
}

function eventOf(number: number): CloudEvent {
  return {
    specversion: '1.0',
    id: `order-${number}`,
    source: 'urn:bench',
    type: 'order.placed',
    subject: `customer-${number % 1_000}`,
    time: new Date(1_780_000_000_000 + number).toISOString(),
    data: { order: number, customer: number % 1_000, amount: 12.5, currency: 'EUR', items: ['a-1', 'b-2'] },
  };
}
