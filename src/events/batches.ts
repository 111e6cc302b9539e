import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { instantMs } from '../kernel/instant.ts';
import { type EventKey, KEY_BYTES, type Place } from './key-index.ts';
import { PARTITIONS } from './partitions.ts';

/** An event as it is appended. */
export interface EventItem {
  readonly event: CloudEvent;
  readonly key: EventKey;
  readonly partition: number;
  readonly json: string;
  readonly recordedAtMs: number;
}

/** Events of one batch at most: a reader in the middle of the log looks so far back for where one begins. */
export const BATCH_COUNT_MAX = 256;
/** From so many characters on a batch takes no more events: what is read of the log is read by whole batches. */
const BATCH_LENGTH_MAX = 256 * 1024;

/** Events of one partition that stand behind each other, as a row of `event_batches`. */
interface Batch {
  readonly partition: number;
  readonly firstOffset: number;
  readonly lines: string[];
  readonly types: Set<string>;
  keys: string;
  length: number;
}

/** Puts events into batches, from the next offsets on, which it moves. */
export class BatchWriter {
  readonly #open: (Batch | undefined)[] = new Array(PARTITIONS).fill(undefined);
  readonly #batches: Batch[] = [];
  /** Where the next event of each partition goes. */
  readonly next: number[];

  constructor(next: readonly number[]) {
    this.next = [...next];
  }

  /** The offset of the event. */
  add({ event, key, partition, json }: EventItem): number {
    const offset = this.next[partition]!++;
    let batch = this.#open[partition];
    if (!batch || batch.lines.length === BATCH_COUNT_MAX || batch.length >= BATCH_LENGTH_MAX) {
      batch = { partition, firstOffset: offset, lines: [], types: new Set(), keys: '', length: 0 };
      this.#open[partition] = batch;
      this.#batches.push(batch);
    }
    batch.lines.push(json);
    batch.types.add(event.type);
    batch.keys += key;
    batch.length += json.length;
    return offset;
  }

  /** For `unnest` of `BATCH_COLUMNS`. */
  columns(): unknown[][] {
    const batches = this.#batches;
    return [
      batches.map(({ partition }) => partition),
      batches.map(({ firstOffset }) => firstOffset),
      batches.map(({ lines }) => lines.length),
      batches.map(({ types }) => JSON.stringify([...types])),
      batches.map(({ keys }) => Buffer.from(keys, 'latin1')),
      batches.map(({ lines }) => (lines.length === 1 ? lines[0] : lines.join('\n'))),
    ];
  }
}

export interface KeysRow {
  readonly partition: number;
  readonly first_offset: number;
  readonly keys: Buffer;
}

/** The keys of a batch and where these events stand. */
export function* keysOf({ partition, first_offset: first, keys }: KeysRow): Generator<[EventKey, Place]> {
  const text = keys.toString('latin1');
  for (let nth = 0; nth * KEY_BYTES < text.length; nth++)
    yield [text.slice(nth * KEY_BYTES, (nth + 1) * KEY_BYTES), { partition, offset: first + nth }];
}

export interface BatchRow {
  readonly partition: number;
  readonly first_offset: number;
  readonly recorded_at: number;
  readonly events: string;
}

/** The events of batches that stand between two offsets, the second left out. */
export function eventsOf(rows: readonly BatchRow[], from: number, until: number): LoggedEvent[] {
  const events: LoggedEvent[] = [];
  for (const { partition, first_offset: first, recorded_at: recordedAtMs, events: lines } of rows) {
    for (const [nth, line] of lines.split('\n').entries()) {
      const offset = first + nth;
      if (offset < from) continue;
      if (offset >= until) break;
      const event = JSON.parse(line) as CloudEvent;
      events.push({ partition, offset, event, timeMs: instantMs(event.time), recordedAtMs });
    }
  }
  return events;
}
