import type { LoggedEvent } from '../kernel/cloudevent.ts';

/** The newest events of one partition, and the length of each as JSON, in characters. */
interface Run {
  events: LoggedEvent[];
  lengths: number[];
  length: number;
}

/** How much is kept of all partitions together, at the least; twice as much at the most. */
export interface TailBounds {
  readonly countMax: number;
  /** Of their JSON; in memory they take about three times as much. */
  readonly bytesMax: number;
}

/** Events that nobody asks for are kept in a small part of the tail, once it would have been filled so often: what is kept is copied by the collector, 5 % of an event's ingest. */
const UNASKED = { fills: 4, share: 1 / 256 };

/**
 * The newest events of each partition in memory, so that consumers beside the producer read no row and parse no JSON. A
 * partition's run is always gapless: an event that another process appended in between empties it.
 */
export class Tail {
  readonly #partitions: Run[];
  readonly #countMax: number;
  readonly #lengthMax: number;
  /** Events that were added since somebody asked for some, of all partitions. */
  #unasked = 0;
  readonly #unaskedMax: number;

  constructor(partitions: number, { countMax, bytesMax }: TailBounds) {
    this.#partitions = Array.from({ length: partitions }, () => ({ events: [], lengths: [], length: 0 }));
    this.#countMax = Math.ceil(countMax / partitions);
    this.#lengthMax = Math.ceil(bytesMax / partitions);
    this.#unaskedMax = UNASKED.fills * countMax;
  }

  /** Adds a committed event; the ones of a partition must come in the order of their offsets. */
  add(event: LoggedEvent, length: number): void {
    const run = this.#partitions[event.partition]!;
    const last = run.events.at(-1);
    if (last && event.offset <= last.offset) return;
    if (last && event.offset !== last.offset + 1) drop(run, run.events.length);
    run.events.push(event);
    run.lengths.push(length);
    run.length += length;
    const share = ++this.#unasked > this.#unaskedMax ? UNASKED.share : 1;
    const count = Math.ceil(share * this.#countMax);
    const bytes = Math.ceil(share * this.#lengthMax);
    if (run.events.length > 2 * count || run.length > 2 * bytes) shorten(run, count, bytes);
  }

  /** The events from an offset on, as many as stay below `bytesMax` and one at least; undefined when the run does not hold that offset. */
  from(partition: number, offset: number, countMax: number, bytesMax: number): LoggedEvent[] | undefined {
    this.#unasked = 0;
    const { events, lengths } = this.#partitions[partition]!;
    const first = events[0];
    if (!first || offset < first.offset || offset > events.at(-1)!.offset) return undefined;
    const start = offset - first.offset;
    const endMax = Math.min(events.length, start + countMax);
    let end = start;
    for (let length = 0; end < endMax && length < bytesMax; end++) length += lengths[end]!;
    return events.slice(start, end);
  }
}

/** To half of what it may hold at most: dropping from the front moves all the others. */
function shorten(run: Run, countMax: number, lengthMax: number): void {
  let count = Math.max(0, run.events.length - countMax);
  let { length } = run;
  for (let i = 0; i < count; i++) length -= run.lengths[i]!;
  while (length > lengthMax) length -= run.lengths[count++]!;
  drop(run, count);
}

function drop(run: Run, count: number): void {
  for (let i = 0; i < count; i++) run.length -= run.lengths[i]!;
  run.events.splice(0, count);
  run.lengths.splice(0, count);
}
