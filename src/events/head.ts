import { randomUUID } from 'node:crypto';
import type { LogPosition } from '../kernel/cloudevent.ts';
import type { Queryable } from '../store/database.ts';
import type { Plan } from '../store/lane.ts';
import { BatchWriter, type EventItem, type KeysRow, keysOf } from './batches.ts';
import { type EventKey, KeyIndex, type Place } from './key-index.ts';
import { bytesOf, foundKeys, OldKeys, placesIn } from './key-runs.ts';

/** Where an event stands in the log; a duplicate answers with the place of the first. */
export interface Appended extends LogPosition {
  duplicate: boolean;
}

/** The row of `event_head`. */
interface Head {
  readonly token: string;
  readonly next: readonly number[];
  /** Keys of events before these offsets are in runs (`key-runs.ts`). */
  readonly keyed: readonly number[];
  readonly segment: number;
}

/** What one flush appends, and what the log is like afterwards. */
interface Step {
  /** The one that it was made for the outcome of, as long as that is not known. */
  previous: Step | undefined;
  readonly before: Head;
  readonly after: Head;
  readonly items: readonly EventItem[];
  /** Of each item. */
  readonly places: readonly Appended[];
  readonly recordedAtMs: number;
  readonly batches: BatchWriter;
  /** How often the log had been read when it was made. */
  readonly epoch: number;
  /** Whether it is known to be committed. */
  isKnown: boolean;
}

/** For so many flushes the head is locked and read first, after another process has written or a key was found among the old ones. */
const CAREFUL_FLUSHES = 64;

/**
 * Appends to the log from what this process knows of it: where each partition ends, and what the events of the last while are known by. Offsets are given and
 * repetitions found before anything is sent. A flush names the token of the head that it was made for and fails as a whole where that is not the one in
 * force: then the head is locked, what others have appended is read, and it is made again. Flushes may be made for the outcome of flushes that are
 * under way: if those fail, so do these.
 *
 * Known is what was committed (`#head`); what may have been is a chain of steps behind it (`#last`), until one of them is told to be: then all before it were.
 * `#keys` has the keys of both, and of no others: those of steps that fell out of the chain are taken out again, which is rare, so that an event is looked up and entered at once.
 */
export class LogHead {
  #head: Head | undefined;
  readonly #keys = new KeyIndex();
  readonly #old = new OldKeys();
  #last: Step | undefined;
  readonly #stepOf = new WeakMap<readonly EventItem[], Step>();
  #epoch = 0;
  #careful = 0;

  /** How many keys are in memory. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** A flush of its own; undefined where the head has to be asked first. */
  plan(items: readonly EventItem[]): Plan<Appended> | undefined {
    if (!this.#head) return undefined;
    if (this.#careful > 0) {
      this.#careful--;
      return undefined;
    }
    const step = this.#step(items, this.#last?.after ?? this.#head);
    const maybeOld = this.#old.isEmpty ? [] : this.#old.among(freshKeys(step));
    return { statements: [LOCK, statementOf(step, maybeOld)], results: () => step.places };
  }

  /** Appends within a transaction, whatever others have appended. */
  async write(tx: Queryable, items: readonly EventItem[]): Promise<readonly Appended[]> {
    // Much to read at a start, for which nobody has to wait.
    if (!this.#head) await this.#old.read(tx);
    const head = await lockHead(tx);
    if (this.#isMoved(head)) await this.#old.read(tx);
    const old = await placesIn(tx, this.#old.among(items.map(({ key }) => key)));
    if (old.size > 0) this.#careful = CAREFUL_FLUSHES;
    this.#turnTo(await this.#follow(tx, head));
    const step = this.#step(items, head, old);
    const { text, values } = statementOf(step, []);
    await tx.query(text, values);
    return step.places;
  }

  /** Told that these items are committed: when they were recorded, in milliseconds since the epoch. */
  committed(items: readonly EventItem[]): number {
    const step = this.#stepOf.get(items)!;
    // Otherwise the log was read since, with them in it.
    if (step.epoch === this.#epoch && !step.isKnown) {
      if (!chainOf(this.#last).includes(step)) this.#turnTo(step);
      for (const one of chainOf(step)) one.isKnown = true;
      step.previous = undefined;
      this.#head = step.after;
      if (this.#last === step) this.#last = undefined;
    }
    return step.recordedAtMs;
  }

  /** Behind the steps in force. */
  #step(items: readonly EventItem[], before: Head, old?: ReadonlyMap<EventKey, Place>): Step {
    const step: Step = {
      ...placed(items, before, this.#keys, old),
      items,
      previous: this.#last,
      before,
      epoch: this.#epoch,
      isKnown: false,
    };
    this.#last = step;
    this.#stepOf.set(items, step);
    return step;
  }

  /** Takes this one for the last of the steps whose outcome is not known: none behind it or beside it will be, if it is. */
  #turnTo(last: Step | undefined): void {
    const [was, is] = [chainOf(this.#last), chainOf(last)];
    for (const step of was) if (!is.includes(step)) for (const key of freshKeys(step)) this.#keys.delete(key);
    for (const step of is) {
      if (was.includes(step)) continue;
      for (const [index, { key }] of step.items.entries())
        if (!step.places[index]!.duplicate) this.#keys.set(key, step.places[index]!);
    }
    this.#last = last;
  }

  /** Whether keys were put away that are not known to be. */
  #isMoved({ keyed }: Head): boolean {
    const known = this.#head?.keyed;
    return !known || known.some((offset, partition) => offset !== keyed[partition]);
  }

  /** Brings what is known up to a head that is locked; answers with the step that made it, where it is not known to be committed. */
  async #follow(tx: Queryable, head: Head): Promise<Step | undefined> {
    if (this.#head?.token === head.token) return undefined;
    // Committed without our being told yet, or written by this very transaction: its rows may not count as known.
    const made = chainOf(this.#last).find(({ after }) => after.token === head.token);
    if (made) return made;
    const known = this.#head;
    if (known?.next.some((next, partition) => next !== head.next[partition])) this.#careful = CAREFUL_FLUSHES;
    const isMoved = this.#isMoved(head);
    const from = head.keyed.map((keyed, partition) => Math.max(keyed, known?.next[partition] ?? 0));
    const rows = await tx.query<KeysRow>(
      `select b.partition, b.first_offset, b.keys from unnest($1::bigint[]) with ordinality as f(log_offset, number)
       join event_batches b on b.partition = f.number - 1 and b.first_offset >= f.log_offset`,
      [from],
    );
    this.#turnTo(undefined);
    this.#epoch++;
    if (isMoved) this.#keys.deleteBefore(head.keyed);
    for (const row of rows) for (const [key, place] of keysOf(row)) this.#keys.set(key, place);
    this.#head = head;
    return undefined;
  }
}

/** Those of a step and of the steps before it whose outcome is not known. */
function chainOf(last: Step | undefined): Step[] {
  const chain: Step[] = [];
  for (let step = last; step && !step.isKnown; step = step.previous) chain.push(step);
  return chain;
}

/** Those that a step brings. */
function freshKeys({ items, places }: Step): EventKey[] {
  return items.filter((_, index) => !places[index]!.duplicate).map(({ key }) => key);
}

/** Gives each item its place behind a head, and enters the keys of those that are new. */
function placed(
  items: readonly EventItem[],
  before: Head,
  keys: KeyIndex,
  old?: ReadonlyMap<EventKey, Place>,
) {
  const batches = new BatchWriter(before.next);
  const places = new Array<Appended>(items.length);
  let recordedAtMs = 0;
  for (let index = 0; index < items.length; index++) {
    const item = items[index]!;
    const { partition, key } = item;
    const offset = batches.next[partition]!;
    const found = old?.get(key) ?? keys.claim(key, partition, offset);
    places[index] = found ? { ...found, duplicate: true } : { partition, offset, duplicate: false };
    if (found) continue;
    batches.add(item);
    recordedAtMs = Math.max(recordedAtMs, item.recordedAtMs);
  }
  return {
    places,
    recordedAtMs,
    batches,
    after: { ...before, token: randomUUID(), next: batches.next },
  };
}

/** By itself and first, as whoever drops a table of the log does: a statement that names a table holds it while it waits for the head. */
const LOCK = { text: 'select from event_head for no key update', values: [] };

/** Nothing is written, and the statement fails by a division by zero, where the head is another or one of the keys that may be old is. */
function statementOf({ before, after, recordedAtMs, batches }: Step, maybeOld: readonly EventKey[]) {
  return {
    text: maybeOld.length > 0 ? `${APPEND} where not exists ${foundKeys('$11')}` : APPEND,
    values: [
      before.token,
      after.token,
      after.next,
      new Date(recordedAtMs),
      ...batches.columns(),
      ...(maybeOld.length > 0 ? [maybeOld.map(bytesOf)] : []),
    ],
  };
}

const APPEND = `with head as (
     update event_head set token = $2, next_offsets = $3::bigint[] where token = $1 returning segment),
   appended as (
     insert into event_batches (partition, first_offset, count, types, keys, events, recorded_at, segment)
     select partition, first_offset, count, array(select json_array_elements_text(types)), keys, events, $4, head.segment
     from unnest($5::smallint[], $6::bigint[], $7::int[], $8::json[], $9::bytea[], $10::text[])
       as t(partition, first_offset, count, types, keys, events) cross join head)
   select 1 / count(*) as one from head`;

async function lockHead(tx: Queryable): Promise<Head> {
  const [row] = await tx.query<{ token: string; next: string[]; keyed: string[]; segment: number }>(
    'select token, next_offsets as next, keyed_offsets as keyed, segment from event_head for no key update',
  );
  const { token, next, keyed, segment } = row!;
  return { token, next: next.map(Number), keyed: keyed.map(Number), segment };
}
