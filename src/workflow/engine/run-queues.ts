import type { Write } from '../../store/lane.ts';
import type { QueuePlaces } from './queue-places.ts';
import type { QueueFigures } from './queue-store.ts';
import type { RunStore } from './run-store.ts';

/** Queues of runs as people look at them and act upon them. */
export class RunQueues {
  readonly #store: RunStore;
  readonly #places: QueuePlaces;

  constructor(store: RunStore, places: QueuePlaces) {
    this.#store = store;
    this.#places = places;
  }

  /** Queues that have runs, or are paused. */
  figures(): Promise<QueueFigures[]> {
    return this.#store.queues.figures();
  }

  /** How many runs are before this one in its queue, as it looks now; undefined when it does not wait in one. */
  async ahead(runId: string): Promise<number | undefined> {
    const run = await this.#store.find(runId);
    const queue = run?.status === 'pending' && run.origin.queue && this.#places.find(run.origin.queue.name);
    return queue ? this.#store.queues.ahead(runId, queue) : undefined;
  }

  /** The write that pauses a queue, or lets it go on: what runs goes on, and nothing more begins. */
  setPaused(queue: string, paused: boolean): Write {
    return this.#store.queues.setPaused(queue, paused);
  }
}
