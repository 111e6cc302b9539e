import { type Pending, PRIORITY_LEVELS } from './request.ts';

/** What waiting is worth: a request is passed over by ones of the next higher priority only while they came less than this after it. */
export const PRIORITY_STEP_MS = 200;
const COMPACT_AT = 1024; // taking from the front of an array costs its length: it is cut at times instead

interface Level {
  items: Pending[];
  /** Index of the first that waits. */
  head: number;
}

/**
 * The requests that wait for a replica. Among priorities the order is by the time of coming plus `PRIORITY_STEP_MS` for each level below
 * the highest, so that waiting makes up for a low priority and nothing starves. Within a level it is the order of coming.
 */
export class RequestQueue {
  count = 0;
  rows = 0;
  bytes = 0;
  readonly #levels: Level[] = Array.from({ length: PRIORITY_LEVELS }, () => ({ items: [], head: 0 }));
  /** Requests whose batch failed, to be run alone, before all others. */
  #again: Pending[] = [];
  readonly #abandon: (request: Pending, nowMs: number) => boolean;

  /** `abandon` ends a request that nobody waits for any more (canceled, past its deadline) and says whether it did. */
  constructor(abandon: (request: Pending, nowMs: number) => boolean) {
    this.#abandon = abandon;
  }

  push(request: Pending): void {
    this.#levels[request.level]!.items.push(request);
    this.#count(request, 1);
  }

  /** To be run alone and next: its batch failed for a reason that may be another's. */
  pushAlone(request: Pending): void {
    this.#again.push(request);
    this.#count(request, 1);
  }

  /** The next batch: requests whose tensors differ in their first dimension only, up to `rowsMax` rows (or one larger request). */
  take(nowMs: number, rowsMax: number): Pending[] {
    for (let alone = this.#again.shift(); alone; alone = this.#again.shift()) {
      this.#count(alone, -1);
      if (!this.#isOver(alone, nowMs)) return [alone];
    }
    const batch: Pending[] = [];
    let rows = 0;
    for (let level = this.#next(); level; level = this.#next()) {
      const request = level.items[level.head]!;
      if (!this.#isOver(request, nowMs)) {
        if (batch.length > 0 && !(rows + request.rows <= rowsMax && sameShape(batch[0]!, request))) break;
        batch.push(request);
        rows += request.rows;
      }
      this.#count(request, -1);
      advance(level);
      if (rows >= rowsMax) break;
    }
    return batch;
  }

  /** When the longest waiting request came; infinite when none waits. */
  oldestAtMs(): number {
    let oldest = this.#again[0]?.enqueuedAtMs ?? Number.POSITIVE_INFINITY;
    for (const { items, head } of this.#levels)
      if (head < items.length) oldest = Math.min(oldest, items[head]!.enqueuedAtMs);
    return oldest;
  }

  /** Ends and forgets the requests that nobody waits for any more, so that they fill no queue. */
  sweep(nowMs: number): void {
    if (this.count === 0) return;
    this.#again = this.#stillWanted(this.#again, 0, nowMs);
    for (const level of this.#levels) {
      const kept = this.#stillWanted(level.items, level.head, nowMs);
      if (kept !== level.items) {
        level.items = kept;
        level.head = 0;
      }
    }
  }

  /** Empties the queue and gives what was in it. */
  clear(): Pending[] {
    const all = [...this.#again, ...this.#levels.flatMap(({ items, head }) => items.slice(head))];
    this.#again = [];
    for (const level of this.#levels) {
      level.items = [];
      level.head = 0;
    }
    this.count = this.rows = this.bytes = 0;
    return all;
  }

  #isOver(request: Pending, nowMs: number): boolean {
    return request.settled || this.#abandon(request, nowMs);
  }

  #count(request: Pending, by: 1 | -1): void {
    this.count += by;
    this.rows += by * request.rows;
    this.bytes += by * request.bytes;
  }

  #next(): Level | undefined {
    let next: Level | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < PRIORITY_LEVELS; i++) {
      const level = this.#levels[i]!;
      if (level.head === level.items.length) continue;
      const rank = level.items[level.head]!.enqueuedAtMs + i * PRIORITY_STEP_MS;
      if (rank >= least) continue;
      least = rank;
      next = level;
    }
    return next;
  }

  /** The same array when all of its requests are wanted. */
  #stillWanted(items: Pending[], head: number, nowMs: number): Pending[] {
    let over = 0;
    for (let i = head; i < items.length; i++) if (this.#isOver(items[i]!, nowMs)) over++;
    if (over === 0) return items;
    const kept: Pending[] = [];
    for (let i = head; i < items.length; i++) {
      if (items[i]!.settled) this.#count(items[i]!, -1);
      else kept.push(items[i]!);
    }
    return kept;
  }
}

function advance(level: Level): void {
  level.head++;
  if (level.head === level.items.length) {
    level.items = [];
    level.head = 0;
  } else if (level.head > COMPACT_AT) {
    level.items = level.items.slice(level.head);
    level.head = 0;
  }
}

/** Requests can share a batch when their tensors differ in their first dimension only. */
function sameShape(a: Pending, b: Pending): boolean {
  for (let i = 0; i < a.inputs.length; i++) {
    const left = a.inputs[i]!.shape;
    const right = b.inputs[i]!.shape;
    for (let axis = 1; axis < left.length; axis++) if (left[axis] !== right[axis]) return false;
  }
  return true;
}
