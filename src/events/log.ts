import { createHash } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database, Queryable } from '../store/database.ts';
import { type Committer, type Lane, type Write, write } from '../store/group-commit.ts';
import { columns, timestamp } from '../store/rows.ts';
import { Tail } from './tail.ts';

/** How many log partitions there are: fixed with the first migration, because keys are hashed onto them. */
export const PARTITIONS = 8;

/** Where an event stands in the log; a duplicate answers with the place of the first. */
export interface Appended extends LogPosition {
  duplicate: boolean;
}

/** What `search` filters by; times are milliseconds, `before` is the cursor of the last page. */
export interface EventFilter {
  type?: string | undefined;
  source?: string | undefined;
  subject?: string | undefined;
  since?: number | undefined;
  until?: number | undefined;
  before?: string | undefined;
  limit: number;
}

interface EventItem {
  event: CloudEvent;
  /** 16 bytes over (source, id), as a uuid. */
  key: string;
  partition: number;
  json: string;
  recordedAtMs: number;
}

interface EventRow {
  partition: number;
  log_offset: number;
  recorded_at: number;
  event: CloudEvent;
}

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Clock;
  limits: Limits;
}

/**
 * The append-only log of CloudEvents: unique by (source, id), in order per partition key, durable when `append` resolves.
 *
 * @example const [place] = await log.append([event]) // { partition: 3, offset: 17, duplicate: false }
 */
export class EventLog {
  readonly #db: Database;
  readonly #commit: Committer;
  readonly #clock: Clock;
  readonly #lane: Lane<EventItem, Appended>;
  readonly #tail: Tail;
  readonly #listeners = new Set<(events: readonly LoggedEvent[]) => void>();

  constructor({ db, commit, clock, limits }: Dependencies) {
    this.#db = db;
    this.#commit = commit;
    this.#clock = clock;
    this.#tail = new Tail(PARTITIONS, limits.eventTailCountMax);
    this.#lane = {
      name: 'events',
      order: 30,
      write: appendAll,
      committed: (items, places) => this.#committed(items, places),
    };
  }

  /** The write that appends an event in somebody's commit; its result is the place. */
  write(event: CloudEvent): Write<Appended> {
    const { partition, key } = placeOf(event);
    return write(this.#lane, {
      event,
      key,
      partition,
      json: JSON.stringify(event),
      recordedAtMs: this.#clock.now(),
    });
  }

  /** Appends each event in a commit of its own (one bad event fails alone), all at once. */
  append(events: readonly CloudEvent[]): Promise<PromiseSettledResult<Appended>[]> {
    return Promise.allSettled(
      events.map(async (event) => (await this.#commit.commit([this.write(event)]))[0] as Appended),
    );
  }

  /** Called with events that this process appended, after their commit, in the order of their offsets. */
  onCommitted(listener: (events: readonly LoggedEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The events of a partition from an offset on: from memory when they are there. */
  async read(
    partition: number,
    offset: number,
    countMax: number,
    tx: Queryable = this.#db,
  ): Promise<LoggedEvent[]> {
    const known = this.#tail.from(partition, offset, countMax);
    if (known) return known;
    const rows = await tx.query<EventRow>(
      'select partition, log_offset, recorded_at, event from events where partition = $1 and log_offset >= $2 order by log_offset limit $3',
      [partition, offset, countMax],
    );
    return rows.map(fromRow);
  }

  /** The next offset of every partition. */
  async head(): Promise<number[]> {
    const rows = await this.#db.query<{ next_offset: number }>(
      'select next_offset from event_partitions order by partition',
    );
    return rows.map((row) => row.next_offset);
  }

  /** Newest first by time of recording. */
  async search(filter: EventFilter): Promise<{ items: LoggedEvent[]; nextCursor: string | null }> {
    const values: unknown[] = [filter.limit + 1];
    const conditions = ['true'];
    const where = (sql: string, value: unknown) => {
      if (value !== undefined) conditions.push(sql.replace('?', `$${values.push(value)}`));
    };
    where('type = ?', filter.type);
    where("event->>'source' = ?", filter.source);
    where("event->>'subject' = ?", filter.subject);
    where('recorded_at >= ?::timestamptz', filter.since === undefined ? undefined : timestamp(filter.since));
    where('recorded_at < ?::timestamptz', filter.until === undefined ? undefined : timestamp(filter.until));
    where("(recorded_at, partition, log_offset) < (split_part(?, '~', 1)::timestamptz,", filter.before);
    if (filter.before)
      conditions.push(
        `${conditions.pop()} split_part($${values.length}, '~', 2)::smallint, split_part($${values.length}, '~', 3)::bigint)`,
      );
    const rows = await this.#db.queryDynamic<EventRow>(
      `select partition, log_offset, recorded_at, event from events where ${conditions.join(' and ')}
       order by recorded_at desc, partition desc, log_offset desc limit $1`,
      values,
    );
    const items = rows.slice(0, filter.limit).map(fromRow);
    const last = items.at(-1);
    const nextCursor =
      rows.length > filter.limit && last
        ? `${timestamp(last.recordedAtMs)}~${last.partition}~${last.offset}`
        : null;
    return { items, nextCursor };
  }

  #committed(items: readonly EventItem[], places: readonly Appended[]): void {
    const logged: LoggedEvent[] = [];
    for (const [index, { event, recordedAtMs }] of items.entries()) {
      const { partition, offset, duplicate } = places[index]!;
      if (!duplicate) logged.push({ partition, offset, event, timeMs: Date.parse(event.time), recordedAtMs });
    }
    for (const event of logged) this.#tail.add(event);
    if (logged.length === 0) return;
    for (const listener of this.#listeners) listener(logged);
  }
}

/**
 * Two statements, sent together. The first locks the counters in their order, so that the second sees every key that a writer before
 * it committed: a statement's snapshot is taken when it starts, not when its lock is granted.
 */
async function appendAll(tx: Queryable, items: readonly EventItem[]): Promise<Appended[]> {
  const lock = tx.query(
    'select from event_partitions where partition = any($1::smallint[]) order by partition for no key update',
    [[...new Set(items.map((item) => item.partition))]],
  );
  const rows = tx.query<{ partition: number; log_offset: number; duplicate: boolean }>(
    `with item as materialized (
       select * from unnest($1::uuid[], $2::smallint[], $3::text[], $4::json[], $5::timestamptz[])
         with ordinality as t(key, partition, type, event, recorded_at, position)),
     known as materialized (
       select item.position, event_keys.partition, event_keys.log_offset from item join event_keys using (key)),
     fresh as materialized (
       select distinct on (key) item.* from item
       where not exists (select from known where known.position = item.position) order by key, position),
     counted as (
       update event_partitions p set next_offset = p.next_offset + c.count
       from (select partition, count(*) as count from fresh group by partition) c
       where p.partition = c.partition returning p.partition, p.next_offset - c.count as first),
     placed as materialized (
       select f.key, f.position, f.partition, f.type, f.event, f.recorded_at,
         counted.first + row_number() over (partition by f.partition order by f.position) - 1 as log_offset
       from fresh f join counted using (partition)),
     keyed as (insert into event_keys select key, partition, log_offset from placed),
     logged as (insert into events select partition, log_offset, recorded_at, type, event from placed order by position)
     select coalesce(known.partition, placed.partition) as partition,
       coalesce(known.log_offset, placed.log_offset) as log_offset,
       placed.position is distinct from item.position as duplicate
     from item left join known using (position) left join placed using (key) order by item.position`,
    columns(items, (item) => [
      item.key,
      item.partition,
      item.event.type,
      item.json,
      timestamp(item.recordedAtMs),
    ]),
  );
  const [, places] = await Promise.all([lock, rows]);
  return places.map(({ partition, log_offset: offset, duplicate }) => ({ partition, offset, duplicate }));
}

function placeOf(event: CloudEvent): { key: string; partition: number } {
  const key = createHash('sha256')
    .update(event.source)
    .update('\0')
    .update(event.id)
    .digest('hex')
    .slice(0, 32);
  const partitionKey = event.partitionkey ?? event.subject;
  return {
    key,
    partition:
      (partitionKey === undefined ? Number.parseInt(key.slice(0, 8), 16) : hashOf(partitionKey)) % PARTITIONS,
  };
}

/** FNV-1a over UTF-16 units, 32 bits: spreads short keys evenly and needs no buffer. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function fromRow({ partition, log_offset: offset, recorded_at: recordedAtMs, event }: EventRow): LoggedEvent {
  return { partition, offset, event, timeMs: Date.parse(event.time), recordedAtMs };
}
