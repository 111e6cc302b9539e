import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { event } from './event-under-test.ts';
import type { Appended } from './head.ts';
import { EventLog } from './log.ts';
import { eventMigrations } from './migrations.ts';
import { Tail } from './tail.ts';

describe('the newest events in memory', () => {
  const logged = (offset: number): LoggedEvent => ({
    ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0 },
    event: event(`e${offset}`),
  });
  const offsets = (events: readonly LoggedEvent[] | undefined) => events?.map(({ offset }) => offset);
  const tailOf = (lengths: readonly number[], bounds: { countMax: number; bytesMax: number }) => {
    const tail = new Tail(1, bounds);
    for (const [offset, length] of lengths.entries()) tail.add(logged(offset), length);
    return tail;
  };

  it('are as many as it may hold, by their number and by their length', () => {
    const byCount = tailOf(new Array(9).fill(1), { countMax: 4, bytesMax: 1000 });
    expect(byCount.from(0, 4, 10, 1000)).toBeUndefined();
    expect(offsets(byCount.from(0, 5, 10, 1000))).toEqual([5, 6, 7, 8]);
    const byLength = tailOf([10, 10, 10, 10, 30], { countMax: 100, bytesMax: 34 });
    expect(byLength.from(0, 3, 10, 1000)).toBeUndefined();
    expect(offsets(byLength.from(0, 4, 10, 1000))).toEqual([4]);
  });

  it('are fewer while nobody asks for them, and as many again once somebody does', () => {
    const tail = tailOf(new Array(200).fill(1), { countMax: 32, bytesMax: 1000 });
    expect(offsets(tail.from(0, 198, 10, 1000))).toEqual([198, 199]);
    expect(tail.from(0, 195, 10, 1000)).toBeUndefined();
    for (let offset = 200; offset < 232; offset++) tail.add(logged(offset), 1);
    expect(tail.from(0, 200, 100, 1000)).toHaveLength(32);
  });

  it('leave one out that is longer than all of them may be, and go on after it', () => {
    const tail = tailOf([10, 100], { countMax: 100, bytesMax: 40 });
    expect(tail.from(0, 1, 10, 1000)).toBeUndefined();
    tail.add(logged(2), 10);
    expect(offsets(tail.from(0, 2, 10, 1000))).toEqual([2]);
  });

  it('are handed out by number and by length, one at the least', () => {
    const tail = tailOf([10, 10, 10, 10], { countMax: 100, bytesMax: 1000 });
    expect(offsets(tail.from(0, 1, 2, 1000))).toEqual([1, 2]);
    expect(offsets(tail.from(0, 0, 10, 20))).toEqual([0, 1]);
    expect(offsets(tail.from(0, 0, 10, 21))).toEqual([0, 1, 2]);
    expect(offsets(tail.from(0, 3, 10, 1))).toEqual([3]);
  });
});

describe('events that are large', () => {
  const COUNT = 40;
  const TEXT = 'x'.repeat(1000);
  let database: TestDatabase;
  let writer: EventLog;
  /** Of another process: its memory is empty. */
  let reader: EventLog;
  beforeAll(async () => {
    database = await createTestDatabase(
      [...definitionMigrations, ...eventMigrations],
      'eventReadBytesMax=5000,eventTailBytesMax=1000000',
    );
    [writer, reader] = [1, 2].map(() => new EventLog({ ...database, clock: systemClock })) as [
      EventLog,
      EventLog,
    ];
    for (let n = 0; n < COUNT; n++)
      await writer.append([event(`e${n}`, { partitionkey: 'one', data: { n, text: TEXT } })]);
  });
  afterAll(() => database.close());

  it.each(['memory', 'the database'])('are read a few at a time from %s, each once', async (place) => {
    const log = place === 'memory' ? writer : reader;
    const partition = (await log.head()).findIndex((next) => next > 0);
    const ids: string[] = [];
    for (let offset = 0; offset < COUNT; ) {
      const events = await log.read(partition, offset, COUNT);
      expect(events.length).toBe(Math.min(5, COUNT - offset)); // the one with which 5,000 bytes are reached is the last
      ids.push(...events.map((logged) => logged.event.id));
      offset = events.at(-1)!.offset + 1;
    }
    expect(ids).toEqual(Array.from({ length: COUNT }, (_, n) => `e${n}`));
  });

  it.each([{}, { filter: 'data.n >= 0.0' }])(
    'come in short pages of a search with %j, each once',
    async (filter) => {
      const ids: string[] = [];
      let pages = 0;
      for (let before: string | null | undefined; before !== null; pages++) {
        const page = await reader.search({ ...filter, limit: COUNT, before });
        ids.push(...page.items.map((logged) => logged.event.id));
        before = page.nextCursor;
      }
      expect(ids).toEqual(Array.from({ length: COUNT }, (_, n) => `e${COUNT - 1 - n}`));
      expect(pages).toBe('filter' in filter ? 2 : COUNT / 5); // with a filter a page holds as many bytes as are read of all partitions
    },
  );

  it.each(['memory', 'the database'])(
    'one of 10 MB is read by itself from %s, and holds up nothing behind it',
    async (place) => {
      const log = place === 'memory' ? writer : reader;
      const partitionkey = `large ${place}`;
      const type = partitionkey;
      const outcomes = await writer.append(
        [1000, 10_000_000, 1000, 1000].map((length, n) =>
          event(`${place}${n}`, { partitionkey, type, data: 'x'.repeat(length) }),
        ),
      );
      const places = outcomes.map((outcome) => (outcome as PromiseFulfilledResult<Appended>).value);
      const { partition, offset: first } = places[0]!;
      const reads: string[][] = [];
      for (let offset = first; offset < first + 4; ) {
        const events = await log.read(partition, offset, COUNT);
        reads.push(events.map((logged) => logged.event.id));
        offset = events.at(-1)!.offset + 1;
      }
      expect(reads.flat()).toEqual([0, 1, 2, 3].map((n) => `${place}${n}`));
      const found: string[] = [];
      for (let before: string | null | undefined; before !== null; ) {
        const page = await log.search({ type, limit: 10, before });
        found.push(...page.items.map((logged) => logged.event.id));
        before = page.nextCursor;
      }
      expect(found).toEqual(reads.flat().toReversed());
    },
  );
});
