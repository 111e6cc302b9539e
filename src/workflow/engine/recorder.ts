import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { Pin } from '../catalog/primitive.ts';
import type { Entry, Subscription } from './stored-run.ts';

/** What is not yet written: taken at a barrier, all of it or nothing is committed. */
export interface Unwritten {
  readonly entries: Entry[];
  readonly writes: Write[];
  readonly subscriptions: Subscription[];
  /** Keys of signals that were taken, and of subscriptions that have ended. */
  readonly consumed: string[];
  readonly unsubscribed: string[];
  /** What the events of ended subscriptions had in common, by their key; of flows that tell of it. */
  correlations?: Map<string, JsonObject>;
}

/** What follows the key of a step whose input an operator gave. */
export const EDITED = '^input';

/** How many entries may wait unwritten before they are flushed: bounds what a crash has to redo. */
const UNWRITTEN_MAX = 256;

/** What a run has recorded: what an earlier life of it wrote, and what this one has not written yet. */
export class Recorder {
  readonly pins = new Map<string, Pin>();
  /** Inputs that an operator gave, by the key of their step. */
  readonly edits = new Map<string, Json>();
  readonly #earlier: Map<string, Entry> | undefined;
  readonly #onFull: () => void;
  unwritten: Unwritten = nothing();

  constructor(entries: readonly Entry[], onFull: () => void) {
    this.#onFull = onFull;
    this.#earlier = entries.length > 0 ? new Map(entries.map((entry) => [entry.k, entry])) : undefined;
    for (const { p, k, o } of entries) {
      this.#pin(p);
      if (k.endsWith(EDITED)) this.edits.set(k.slice(0, -EDITED.length), o ?? null);
    }
  }

  /** What an earlier life recorded: this one asks for each key once. */
  find(key: string): Entry | undefined {
    return this.#earlier?.get(key);
  }

  /** There was an earlier life that recorded something. */
  get isReplay(): boolean {
    return this.#earlier !== undefined;
  }

  /** An entry, and the writes that are to be committed with it. */
  record(entry: Entry, writes?: readonly Write[], pins?: readonly Pin[]): void {
    if (pins && pins.length > 0) {
      entry.p = pins;
      this.#pin(pins);
    }
    const { unwritten } = this;
    unwritten.entries.push(entry);
    if (writes && writes.length > 0) unwritten.writes.push(...writes);
    if (unwritten.entries.length >= UNWRITTEN_MAX) this.#onFull();
  }

  take(): Unwritten {
    const taken = this.unwritten;
    this.unwritten = nothing();
    return taken;
  }

  get hasUnwritten(): boolean {
    const { entries, writes, subscriptions } = this.unwritten;
    return entries.length > 0 || writes.length > 0 || subscriptions.length > 0;
  }

  #pin(pins: readonly Pin[] | undefined): void {
    if (pins) for (const pin of pins) this.pins.set(`${pin.kind}/${pin.name}/${pin.version}`, pin);
  }
}

function nothing(): Unwritten {
  return { entries: [], writes: [], subscriptions: [], consumed: [], unsubscribed: [] };
}
