import type { Clock } from '../../kernel/clock.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { toAiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Write } from '../../store/lane.ts';
import { Abandoned, toFlowError } from '../catalog/flow-errors.ts';
import type { Pin } from '../catalog/primitive.ts';
import type { Execution } from './execution.ts';
import type { Held, Patch } from './held.ts';
import { lifecycleOf } from './lifecycle.ts';
import type { Unwritten } from './recorder.ts';
import type { RunStore } from './run-store.ts';
import { flowPin } from './step-context.ts';
import type { RunChange } from './stored-run.ts';

/** Adds the writes that record what a run was made with, and how it ended; called when it comes to wait, too, with what there is so far. */
export type LineagePort = (
  record: {
    runId: string;
    /** The event that started it. */
    event?: CloudEvent;
    pins: Pin[];
  },
  came: { readonly run: Execution['run']; readonly patch: Patch },
  writes: Write[],
) => void;

/** The patch of a barrier that the run goes on after. */
export const RUNNING: Patch = {
  status: 'running',
  result: null,
  wakeAtMs: null,
  waitingFor: null,
  subject: null,
  outcome: null,
};

/** With these the run is another's, or nobody can be told: there is nothing to record. */
const LOST: ReadonlySet<string> = new Set([
  'workflow.fenced',
  'workflow.exists',
  'store.unavailable',
  'request.overloaded',
]);

/** What the barriers of a worker need of it. */
interface BarrierDeps {
  readonly store: RunStore;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly lineage: LineagePort | undefined;
  readonly emit: ((event: CloudEvent) => Write) | undefined;
}

/** What the writing of barriers tells the worker. */
export interface BarrierEvents {
  written(change: RunChange): void;
  /** The run has ended, its failure included. */
  release(held: Held): void;
  drop(held: Held, reason: unknown): void;
}

/** Writes the barriers of the runs that a worker holds: one commit each, in order for each run, under the run's epoch. */
export class Barriers {
  readonly #worker: string;
  readonly #deps: BarrierDeps;
  readonly #events: BarrierEvents;

  constructor(worker: string, deps: BarrierDeps, events: BarrierEvents) {
    this.#worker = worker;
    this.#deps = deps;
    this.#events = events;
  }

  /** Commits what is unwritten together with the run's state; in the order of the calls. */
  commit(held: Held, patch: Patch): Promise<void> {
    const next = held.written.then(() => this.#write(held, patch));
    held.written = next.catch(() => {});
    return next;
  }

  async #write(held: Held, patch: Patch): Promise<void> {
    held.flushing = false;
    if (held.gone) throw new Abandoned();
    if (held.inline) {
      if (await held.inline.barrier(patch)) return this.#written(held);
      if (held.gone) throw new Abandoned();
    }
    try {
      await this.#deps.store.commit.commit(this.collect(held, patch));
    } catch (error) {
      return this.#notWritten(held, patch, error);
    }
    held.durable = true;
    this.#written(held);
  }

  /** The writes of a barrier: the run's row first, its entries, and what its steps handed in. */
  collect(held: Held, patch: Patch): Write[] {
    const { store, lineage } = this.#deps;
    if (patch.result) held.execution.listener?.cancelAll();
    const taken = held.execution.recorder.take();
    const { entries, writes: handedIn, subscriptions, consumed, unsubscribed } = taken;
    if (held.execution.flow.lifecycle) this.#tell(held, patch, taken);
    // A run that waits may do so for weeks: what it was made with so far, and whose its charges are, can be asked meanwhile.
    if (lineage && (patch.result || patch.status === 'waiting'))
      lineage(lineageOf(held.execution), { run: held.execution.run, patch }, handedIn);
    // Nothing will be replayed any more: the pins are in the lineage.
    if (lineage && patch.result) for (const entry of entries) if (entry.p) delete entry.p;
    const worker = patch.status === 'running' ? this.#worker : null;
    const change = held.change(patch, entries, worker, this.#deps.clock.now());
    held.lastChange = change;
    held.seq++;
    const writes = store.save(change);
    const attributes = held.execution.attributes?.take(patch.result?.output ?? null);
    if (attributes) writes.push(store.operations.attributes(held.id, attributes));
    if (handedIn.length > 0) writes.push(...handedIn);
    if (consumed.length > 0) writes.push(...store.consume(held.id, consumed));
    for (const subscription of subscriptions) writes.push(store.subscribe(subscription));
    if (unsubscribed.length > 0) writes.push(...store.unsubscribe(held.id, unsubscribed));
    const { queue } = held.execution.run.origin;
    if (queue && patch.status !== 'running' && (patch.result || !queue.holds))
      writes.push(store.queues.leave(held.id, queue.name));
    return writes;
  }

  /** Adds the lifecycle events of the barrier to its writes. */
  #tell(held: Held, patch: Patch, taken: Unwritten): void {
    const { emit, clock, limits } = this.#deps;
    if (!emit) return;
    const { first, then } = lifecycleOf(held, patch, taken, clock.now(), limits.payloadInlineBytesMax);
    taken.writes.unshift(...first.map(emit));
    if (patch.status === 'paused') taken.writes.push(...(held.execution.listener?.suspended(held.seq) ?? []));
    taken.writes.push(...then.map(emit));
  }

  #written(held: Held): void {
    held.startTold = true;
    held.settleWritten(true);
    if (held.lastChange) this.#events.written(held.lastChange);
  }

  /** A value that cannot be stored fails the run, not the worker; anything else means that the run is no longer ours. */
  async #notWritten(held: Held, patch: Patch, error: unknown): Promise<void> {
    held.settleWritten(false);
    held.execution.attributes?.reset();
    const known = toAiosError(error);
    if (LOST.has(known.code) || patch.status === 'failed') {
      this.#events.drop(held, known);
      throw known;
    }
    const { execution } = held;
    held.ending = true;
    execution.recorder.take();
    execution.root.abandon();
    const result = { error: toFlowError(known, '').body };
    try {
      await this.#deps.store.commit.commit(this.collect(held, { ...RUNNING, status: 'failed', result }));
    } catch (again) {
      this.#events.drop(held, again);
      throw again;
    }
    held.durable = true;
    this.#written(held);
    this.#events.release(held);
    throw new Abandoned();
  }
}

function lineageOf({ run, event, recorder }: Execution): Parameters<LineagePort>[0] {
  const pins = [...recorder.pins.values(), flowPin(run)];
  if (!event) return { runId: run.id, pins };
  return { runId: run.id, event: event.event, pins };
}
