import type { LoggedEvent } from '../kernel/cloudevent.ts';

/**
 * The newest events of each partition in memory, so that consumers beside the producer read no row and parse no JSON. A
 * partition's run is always gapless: an event that another process appended in between empties it.
 */
export class Tail {
  readonly #partitions: LoggedEvent[][];
  readonly #countMax: number;

  constructor(partitions: number, countMax: number) {
    this.#partitions = Array.from({ length: partitions }, () => []);
    this.#countMax = Math.ceil(countMax / partitions);
  }

  /** Adds a committed event; the ones of a partition must come in the order of their offsets. */
  add(event: LoggedEvent): void {
    const run = this.#partitions[event.partition]!;
    const last = run.at(-1);
    if (last && event.offset <= last.offset) return;
    if (last && event.offset !== last.offset + 1) run.length = 0;
    run.push(event);
    if (run.length > 2 * this.#countMax) run.splice(0, run.length - this.#countMax);
  }

  /** The events from an offset on, or undefined when the run does not hold that offset. */
  from(partition: number, offset: number, countMax: number): LoggedEvent[] | undefined {
    const run = this.#partitions[partition]!;
    const first = run[0];
    if (!first || offset < first.offset || offset > run.at(-1)!.offset) return undefined;
    const start = offset - first.offset;
    return run.slice(start, start + countMax);
  }
}
