import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../kernel/clock.ts';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { AiosError } from '../../../kernel/errors.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import { definitionMigrations } from '../../../store/definitions.ts';
import { type Committer, GroupCommit } from '../../../store/group-commit.ts';
import { write } from '../../../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { event } from '../../event-under-test.ts';
import { EventLog } from '../../log.ts';
import { eventMigrations } from '../../migrations.ts';
import { bridgeCounters } from '../running/bridge-metrics.ts';
import { Pace, SourceRunner } from '../running/source-runner.ts';
import { TOLERANT } from '../running/tolerance-under-test.ts';
import type { EventSource } from './event-source.ts';
import type { SourceContext } from './protocol.ts';

/** The other side of a source, as its test has it. */
export interface OtherSide {
  /** Makes events available there, in order. */
  put(events: readonly CloudEvent[]): Promise<void>;
  /** The source as a process makes it. */
  open(context?: Partial<Pick<SourceContext, 'batchMax'>>): EventSource;
}

const { bridgeReadBytesMax: READ_BYTES_MAX } = limitsFrom();
const LARGE_BYTES = 300_000;
const LARGE_COUNT = 24;
/** How long a commit takes in which more arrives than may be held. */
const SLOW_COMMIT_MS = 300;

/** What every source must do, whatever it reads: each event of the other side is in the log once. */
export const sourceConformance = (name: string, create: () => Promise<OtherSide>): void => {
  describe(`a source: ${name}`, () => {
    let database: TestDatabase;
    let log: EventLog;
    beforeAll(async () => {
      database = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
      log = new EventLog({ ...database, clock: systemClock });
    });
    afterAll(() => database.close());

    const rejected: string[] = [];
    const run = (
      source: EventSource,
      commit: Committer = database.commit,
      more: Partial<ConstructorParameters<typeof SourceRunner>[1]> = {},
    ) => {
      const runner = new SourceRunner(source, {
        db: database.db,
        commit,
        log,
        check: ({ type }) => {
          if (type === 'unfit') throw new AiosError('events.invalid');
        },
        reject: (_source, { id }) => ({
          write: write({ name: 'rejected', order: 99, write: async () => void rejected.push(id) }, id),
          isLetter: true,
        }),
        tolerance: TOLERANT,
        pace: new Pace(),
        isPlace: () => true,
        counters: bridgeCounters('conformance', 'test'),
        onError: () => {},
        ...more,
      });
      runner.start();
      return runner;
    };
    const events = (prefix: string, count: number) =>
      Array.from({ length: count }, (_, n) =>
        event(`${prefix}${n}`, { source: `urn:${name}`, partitionkey: prefix }),
      );
    const logged = async (prefix: string) => {
      const rows = await database.db.query<{ id: string }>(
        "select event->>'id' as id from events where event->>'partitionkey' = $1 order by partition, log_offset",
        [prefix],
      );
      return rows.map(({ id }) => id);
    };
    const until = async (prefix: string, count: number) => {
      while ((await logged(prefix)).length < count) await sleep(10);
    };
    const ids = (prefix: string, count: number) => events(prefix, count).map(({ id }) => id);

    it('brings every event in order, those that come later too, and goes on where it was', async () => {
      const side = await create();
      await side.put(events('a', 50));
      let runner = run(side.open());
      await until('a', 50);
      await side.put(events('a', 60).slice(50));
      await until('a', 60);
      await runner.stop();
      await side.put(events('a', 100).slice(60));
      runner = run(side.open());
      await until('a', 100);
      await runner.stop();
      expect(await logged('a')).toEqual(ids('a', 100));
    });

    it('brings each once when commits fail and processes end at any moment', async () => {
      const side = await create();
      const flaky: Committer = {
        commit: async (writes) => {
          if (Math.random() < 0.3) throw new AiosError('store.unavailable');
          const results = await database.commit.commit(writes);
          if (Math.random() < 0.3) throw new AiosError('store.unavailable'); // committed, and the answer lost
          return results;
        },
      };
      for (let round = 0; round < 10; round++) {
        await side.put(events('b', (round + 1) * 20).slice(round * 20));
        const runner = run(side.open(), flaky);
        await sleep(Math.random() * 30);
        await runner.stop();
      }
      const runner = run(side.open());
      await until('b', 200);
      await runner.stop();
      expect(await logged('b')).toEqual(ids('b', 200));
    });

    it('is one source, however many processes run it', async () => {
      const side = await create();
      const twin = new GroupCommit(database.db, database.limits);
      const runners = [run(side.open()), run(side.open(), twin)];
      for (let round = 0; round < 10; round++) {
        await side.put(events('c', (round + 1) * 10).slice(round * 10));
        await sleep(10);
      }
      await until('c', 100);
      await sleep(50);
      expect(await logged('c')).toEqual(ids('c', 100));
      await Promise.all(runners.map((runner) => runner.stop()));
      await twin.close();
    });

    it('passes an event that does not fit, on record', async () => {
      const side = await create();
      const [first, second, third] = events('d', 3) as [CloudEvent, CloudEvent, CloudEvent];
      await side.put([first, { ...second, type: 'unfit' }, third]);
      const runner = run(side.open());
      await until('d', 2);
      await runner.stop();
      expect(await logged('d')).toEqual(['d0', 'd2']);
      expect(rejected).toEqual(['d1']);
    });

    it('holds a bounded number of bytes, and one message more, while a commit takes its time', async () => {
      const side = await create();
      for (const one of events('f', LARGE_COUNT)) await side.put([{ ...one, data: 'x'.repeat(LARGE_BYTES) }]);
      const source = side.open();
      const held: number[] = [];
      async function* weighed(...from: Parameters<EventSource['read']>) {
        for await (const batch of source.read(...from)) {
          held.push(Buffer.byteLength(JSON.stringify(batch.events)));
          yield batch;
        }
      }
      const slow: Committer = {
        async commit(writes) {
          await sleep(SLOW_COMMIT_MS);
          return database.commit.commit(writes);
        },
      };
      const runner = run({ name: source.name, read: weighed }, slow);
      await until('f', LARGE_COUNT);
      await runner.stop();
      expect(await logged('f')).toEqual(ids('f', LARGE_COUNT));
      expect(Math.max(...held)).toBeLessThan(READ_BYTES_MAX + LARGE_BYTES + 10_000);
    });

    it('stands at the first event that may not be put aside, with all before it taken, and goes on when it fits', async () => {
      const side = await create();
      const sent = events('e', 6);
      await side.put(sent);
      const pace = new Pace();
      const told: AiosError[] = [];
      let fits = false;
      const runner = run(side.open({ batchMax: () => pace.batchMax() }), database.commit, {
        pace,
        tolerance: { ...TOLERANT, room: async () => 0 },
        check({ id }) {
          if (id === 'e3' && !fits) throw new AiosError('events.invalid');
        },
        onError: (_source, error) => void told.push(error),
      });
      while (told.length < 2) await sleep(10);
      expect(await logged('e')).toEqual(['e0', 'e1', 'e2']);
      expect(new Set(told.map(({ code }) => code))).toEqual(new Set(['events.invalid']));
      fits = true;
      await until('e', 6);
      await runner.stop();
      expect(await logged('e')).toEqual(ids('e', 6));
    });
  });
};
