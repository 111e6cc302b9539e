import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { RunQueue } from '../language/run-queue.ts';
import type { Claims } from './claims.ts';
import { CANCELED } from './execution.ts';
import { backIntoQueue } from './queue-places.ts';
import type { QueueFigures } from './queue-store.ts';
import type { ClaimedRun } from './stored-run.ts';
import type { Worker } from './worker.ts';

/** How many runs one admission takes up. */
const ADMIT_MAX = 200;

const meter = metrics.getMeter('aios.workflow');
const runsGauge = meter.createObservableGauge('aios.workflow.queue.runs', {
  description: 'Runs in a queue, over all processes: those that wait and those that hold a slot',
  unit: '{run}',
});
const waitGauge = meter.createObservableGauge('aios.workflow.queue.oldest_wait', {
  description: 'How long the run that waits longest in a queue has waited',
  unit: 's',
});

/** Lets runs of queues begin in this process: when it puts one into a queue, when one leaves, when the rate allows, and at each look. */
export class Admissions {
  readonly #worker: Worker;
  readonly #claims: Claims;
  readonly #take: (runs: readonly ClaimedRun[]) => Promise<void>;
  readonly #soon = new Set<string>();
  /** Queues for whose runs there was no room in this process. */
  readonly #crowded = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #admitting: Promise<void> = Promise.resolve();
  #open = false;
  readonly #observe = (result: ObservableResult) => this.#tell(result);
  readonly #observeWait = (result: ObservableResult) => this.#tellWait(result);

  /** `take` performs runs that hold their slot. */
  constructor(worker: Worker, claims: Claims, take: (runs: readonly ClaimedRun[]) => Promise<void>) {
    this.#worker = worker;
    this.#claims = claims;
    this.#take = take;
    worker.deps.store.queues.onChange((queues) => this.soon(queues));
  }

  begin(): void {
    this.#open = true;
    runsGauge.addCallback(this.#observe);
    waitGauge.addCallback(this.#observeWait);
  }

  /** Admits nothing more; resolves when what was under way is in memory. */
  async stop(): Promise<void> {
    this.#open = false;
    runsGauge.removeCallback(this.#observe);
    waitGauge.removeCallback(this.#observeWait);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await this.#admitting;
  }

  /** Looks at every queue in which runs wait: other processes put them there, or freed a slot. */
  async look(): Promise<void> {
    this.soon(await this.#worker.deps.store.queues.waiting());
  }

  /** A run left this process. */
  released(): void {
    if (this.#crowded.size === 0) return;
    const crowded = [...this.#crowded];
    this.#crowded.clear();
    this.soon(crowded);
  }

  /** What many commits ask for at once is one admission. */
  soon(queues: readonly string[]): void {
    if (!this.#open || queues.length === 0) return;
    const idle = this.#soon.size === 0;
    for (const queue of queues) this.#soon.add(queue);
    if (!idle) return;
    setImmediate(() => {
      this.#admitting = this.#admitting.then(() => this.#admitAll());
    });
  }

  async #admitAll(): Promise<void> {
    const names = [...this.#soon];
    this.#soon.clear();
    for (const name of names) {
      const queue = this.#worker.deps.places.find(name);
      // One that this process has not read yet: others admit its runs, or the next look does.
      if (!queue) continue;
      try {
        while (this.#open && (await this.#claims.during(() => this.#admit(queue)))) {
          // what the next turn gives
        }
      } catch {
        // The database is away: the next look tries again.
      }
    }
  }

  /** True when there may be more to admit. */
  async #admit(queue: RunQueue): Promise<boolean> {
    const { store } = this.#worker.deps;
    const room = this.#room(queue);
    if (room <= 0) {
      this.#crowded.add(queue.name);
      return false;
    }
    const nowMs = this.#worker.nowMs();
    const { runs, more, againAtMs } = await store.queues.admit({
      worker: this.#worker.id,
      queue,
      room: Math.min(room, ADMIT_MAX),
      nowMs,
    });
    if (againAtMs !== undefined) this.#again(queue.name, againAtMs - nowMs);
    await this.#take(runs);
    return runs.length > 0 && (more || runs.length >= Math.min(room, ADMIT_MAX));
  }

  #room({ name, perWorker = Number.POSITIVE_INFINITY }: RunQueue): number {
    const { held, deps } = this.#worker;
    const room = deps.limits.runsActiveMax - held.size;
    if (perWorker === Number.POSITIVE_INFINITY) return room;
    const own = [...held.values()].filter(({ execution }) => execution.run.origin.queue?.name === name);
    return Math.min(room, perWorker - own.length);
  }

  /** Later than the next look there is no need for a timer. */
  #again(queue: string, inMs: number): void {
    if (inMs > this.#worker.deps.limits.runPollMs || this.#timers.has(queue)) return;
    const timer = setTimeout(
      () => {
        this.#timers.delete(queue);
        this.soon([queue]);
      },
      Math.max(1, inMs),
    );
    this.#timers.set(queue, timer);
  }

  /**
   * Of runs that this worker has just taken up, those that may go on: of no queue, or with their slot. The others go back into their queue; what is asked of a run,
   * and the clean-up of one that was canceled, is done at once, slot or not.
   */
  async withSlot(claimed: readonly ClaimedRun[]): Promise<readonly ClaimedRun[]> {
    const queued = claimed.filter(
      ({ origin, requested, entries }) =>
        origin.queue && requested === null && !entries.some(({ k }) => k === CANCELED),
    );
    if (queued.length === 0) return claimed;
    const { store } = this.#worker.deps;
    const holders = await store.queues.holders(queued.map(({ id }) => id));
    const back = new Set(queued.filter(({ id }) => !holders.has(id)));
    for (const run of back) {
      const { change, writes } = backIntoQueue(store, run, run.origin.queue!, this.#worker.nowMs());
      await store.commit.commit(writes);
      this.#worker.onChange(change);
    }
    return claimed.filter((run) => !back.has(run));
  }

  async #tell(result: ObservableResult): Promise<void> {
    for (const { name, pending, admitted } of await this.#figures()) {
      result.observe(pending, { queue: name, state: 'pending' });
      result.observe(admitted, { queue: name, state: 'admitted' });
    }
  }

  async #tellWait(result: ObservableResult): Promise<void> {
    const nowMs = this.#worker.nowMs();
    for (const { name, oldestAtMs } of await this.#figures())
      result.observe(oldestAtMs === undefined ? 0 : Math.max(0, nowMs - oldestAtMs) / 1_000, { queue: name });
  }

  #figures(): Promise<QueueFigures[]> {
    return this.#worker.deps.store.queues.figures().catch(() => []);
  }
}
