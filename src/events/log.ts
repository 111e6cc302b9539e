import { hash } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { instantMs } from '../kernel/instant.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { BATCH_COUNT_MAX, type BatchRow, type EventItem, eventsOf } from './batches.ts';
import { type Appended, LogHead } from './head.ts';
import { KEY_BYTES } from './key-index.ts';
import { putKeysAway } from './keys.ts';
import { PARTITIONS } from './partitions.ts';
import { type EventFilter, type EventPage, searchEvents } from './search.ts';
import { Tail } from './tail.ts';

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Clock;
  limits: Limits;
}

/** Events of one commit at most: a failure makes as many commits of their own. */
const CHUNK = 500;

/**
 * The append-only log of CloudEvents: unique by (source, id), in order per partition key, durable when `append` resolves.
 *
 * @example const [place] = await log.append([event]) // { partition: 3, offset: 17, duplicate: false }
 */
export class EventLog {
  readonly #db: Database;
  readonly #commit: Committer;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #lane: Lane<EventItem, Appended>;
  readonly #tail: Tail;
  readonly #head = new LogHead();
  #isPuttingAway = false;
  readonly #listeners = new Set<(events: readonly LoggedEvent[]) => void>();

  constructor({ db, commit, clock, limits }: Dependencies) {
    this.#db = db;
    this.#commit = commit;
    this.#clock = clock;
    this.#limits = limits;
    this.#tail = new Tail(PARTITIONS, {
      countMax: limits.eventTailCountMax,
      bytesMax: limits.eventTailBytesMax,
    });
    this.#lane = {
      name: 'events',
      order: 30,
      plan: (items) => this.#head.plan(items),
      write: (tx, items) => this.#head.write(tx, items),
      committed: (items, places) => this.#committed(items, places),
    };
  }

  /** The write that appends an event in somebody's commit; its result is the place. */
  write(event: CloudEvent, recordedAtMs = this.#clock.now()): Write<Appended> {
    const { partition, key } = placeOf(event);
    return write(this.#lane, { event, key, partition, json: JSON.stringify(event), recordedAtMs });
  }

  /** Appends an event. @throws AiosError what its commit was refused with */
  async appendOne(event: CloudEvent): Promise<Appended> {
    const [place] = await this.#commit.commit([this.write(event)]);
    return place as Appended;
  }

  /** Appends the events, all at once; one that the database refuses fails alone. */
  async append(events: readonly CloudEvent[]): Promise<PromiseSettledResult<Appended>[]> {
    const outcomes: PromiseSettledResult<Appended>[] = [];
    const commits: Promise<PromiseSettledResult<Appended>[]>[] = [];
    for (let from = 0; from < events.length; from += CHUNK)
      commits.push(this.#appendTogether(events.slice(from, from + CHUNK)));
    for (const settled of await Promise.all(commits)) outcomes.push(...settled);
    return outcomes;
  }

  /** In one commit, which costs a third of as many; where that is refused, each in its own. */
  async #appendTogether(events: readonly CloudEvent[]): Promise<PromiseSettledResult<Appended>[]> {
    try {
      const now = this.#clock.now();
      const places = await this.#commit.commit(events.map((event) => this.write(event, now)));
      return places.map((value) => ({ status: 'fulfilled', value: value as Appended }));
    } catch (reason) {
      const isOfOne = events.length > 1 && !(reason instanceof AiosError && reason.retryable);
      if (!isOfOne) return events.map(() => ({ status: 'rejected', reason }));
      return Promise.allSettled(events.map((event) => this.appendOne(event)));
    }
  }

  /** Called with events that this process appended, after their commit, in the order of their offsets. */
  onCommitted(listener: (events: readonly LoggedEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The events of a partition from an offset on, `countMax` at most and fewer where they are large (`eventReadBytesMax`): from memory when they are there. */
  async read(
    partition: number,
    offset: number,
    countMax: number,
    tx: Queryable = this.#db,
  ): Promise<LoggedEvent[]> {
    const bytesMax = this.#limits.eventReadBytesMax;
    const known = this.#tail.from(partition, offset, countMax, bytesMax);
    if (known) return known;
    const rows = await tx.query<BatchRow>(
      // Segments that end before the offset are left out when the plan starts, whatever their number. The length of a text is known without reading it.
      `select partition, first_offset, recorded_at, events from (
         select partition, first_offset, recorded_at, events, sum(octet_length(events)) over (order by first_offset) - octet_length(events) as before
         from event_batches
         where partition = $1 and first_offset > $2::bigint - ${BATCH_COUNT_MAX} and first_offset < $3 and first_offset + count > $2
           and segment >= (select coalesce(max(number), 0) + 1 from event_segments where kind = 'events' and ends[$1::int + 1] <= $2)) batch
       where before < $4 order by first_offset`,
      [partition, offset, offset + countMax, bytesMax],
    );
    return eventsOf(rows, offset, offset + countMax);
  }

  /** The offset of every partition before which nothing is kept any more. */
  async begin(): Promise<number[]> {
    const rows = await this.#db.query<{ first_offset: number }>(
      'select first_offset from event_partitions order by partition',
    );
    return rows.map((row) => row.first_offset);
  }

  /** The next offset of every partition. */
  async head(): Promise<number[]> {
    const rows = await this.#db.query<{ next_offset: number }>(
      'select next_offset from event_partitions order by partition',
    );
    return rows.map((row) => row.next_offset);
  }

  /**
   * Newest first, page by page.
   *
   * @throws AiosError `request.invalid` for an invalid cursor, `expression.syntax` for an invalid filter
   */
  search(filter: EventFilter): Promise<EventPage> {
    return searchEvents(this.#db, filter, this.#limits);
  }

  #committed(items: readonly EventItem[], places: readonly Appended[]): void {
    const recordedAtMs = this.#head.committed(items);
    const logged: LoggedEvent[] = [];
    for (let index = 0; index < items.length; index++) {
      const { event, json } = items[index]!;
      const { partition, offset, duplicate } = places[index]!;
      if (duplicate) continue;
      const one = { partition, offset, event, timeMs: instantMs(event.time), recordedAtMs };
      logged.push(one);
      this.#tail.add(one, json.length);
    }
    if (logged.length > 0) for (const listener of this.#listeners) listener(logged);
    if (this.#head.keyCount > this.#limits.eventKeysRecentMax && !this.#isPuttingAway) this.#putKeysAway();
  }

  /** Beside the appends. Where it fails, which is no fault of theirs, the next one tries again. */
  #putKeysAway(): void {
    this.#isPuttingAway = true;
    putKeysAway(this.#db, this.#limits.eventKeysRecentMax)
      .catch(() => {})
      .finally(() => {
        this.#isPuttingAway = false;
      });
  }
}

function placeOf(event: CloudEvent): { key: string; partition: number } {
  const key = hash('sha256', `${event.source}\0${event.id}`, 'binary').slice(0, KEY_BYTES);
  const partitionKey = event.partitionkey ?? event.subject ?? undefined;
  return {
    key,
    partition: (partitionKey === undefined ? key.charCodeAt(0) : hashOf(partitionKey)) % PARTITIONS,
  };
}

/** FNV-1a over UTF-16 units, 32 bits: spreads short keys evenly and needs no buffer. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
