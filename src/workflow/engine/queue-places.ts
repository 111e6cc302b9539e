import { digestOf } from '../../kernel/canonical.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import { PRIORITY_MAX } from '../language/compile-queue.ts';
import { compileRunQueue, type RunQueue } from '../language/run-queue.ts';
import type { LoadedFlow } from './flows.ts';
import type { QueuedRun } from './queue-store.ts';
import type { RunStore } from './run-store.ts';
import type { ClaimedRun, Origin, QueuePlace, RunChange } from './stored-run.ts';

/** A key longer than this goes by its digest. */
const KEY_CHARS_MAX = 200;

/** Where an API process leaves the runs of flows without a queue; no definition can have the name. */
const TO_WORKERS = compileRunQueue({ name: '@workers' });

/** What a new run is before anybody holds it. */
export interface NewRun {
  readonly loaded: LoadedFlow;
  readonly id: string;
  readonly origin: Origin;
  readonly idempotencyKey: string | null;
  /** Business time. */
  readonly startedAtMs: number;
}

/** The queues in force, and the places that runs get in them. */
export class QueuePlaces {
  readonly #queues = new Map<string, RunQueue>([[TO_WORKERS.name, TO_WORKERS]]);
  readonly #leavesToWorkers: boolean;

  /** A process that `leavesToWorkers` takes no runs: those it starts wait for any other, in a queue without bounds where their flow has none. */
  constructor(leavesToWorkers: boolean) {
    this.#leavesToWorkers = leavesToWorkers;
  }

  /** Takes a new version of a queue: bounds hold from the next admission, ranks of runs that wait already stay. */
  put(body: JsonObject): void {
    const queue = compileRunQueue(body);
    this.#queues.set(queue.name, queue);
  }

  find(name: string): RunQueue | undefined {
    return this.#queues.get(name);
  }

  /** Whether the runs of a flow begin in a queue. */
  isQueued({ flow }: LoadedFlow): boolean {
    return this.#leavesToWorkers || flow.queue !== undefined;
  }

  /** The rows of a run that waits in a queue; undefined for one that begins at once. */
  pending(run: NewRun, nowMs: number): { change: RunChange; queued: QueuedRun } | undefined {
    const place =
      this.#placeOf(run, nowMs) ??
      (this.#leavesToWorkers
        ? { name: TO_WORKERS.name, line: '', rank: nowMs, holds: true as const }
        : undefined);
    if (!place) return undefined;
    const { loaded, id, idempotencyKey, startedAtMs } = run;
    const change: RunChange = {
      ...PENDING,
      insert: true,
      id,
      workflow: loaded.name,
      version: loaded.version,
      // As in `Worker.create`: tells a new row from that of another process which had the same id.
      epoch: 1 + Math.floor(Math.random() * 0x3fffffff),
      origin: { ...run.origin, queue: place },
      idempotencyKey,
      startedAtMs,
      updatedAtMs: nowMs,
      subject: null,
      outcome: null,
    };
    return { change, queued: { ...place, runId: id, enqueuedAtMs: nowMs } };
  }

  /** The origin of a run that waits for something else first, such as its due time: taken up then, it comes into its queue. */
  placed(loaded: LoadedFlow, origin: Origin, nowMs: number): Origin {
    const queue = this.#placeOf({ loaded, origin }, nowMs);
    return queue ? { ...origin, queue } : origin;
  }

  #placeOf({ loaded, origin }: Pick<NewRun, 'loaded' | 'origin'>, nowMs: number): QueuePlace | undefined {
    const { queue: of } = loaded.flow;
    if (!of) return undefined;
    const queue = this.#queues.get(of.name) ?? compileRunQueue({ name: of.name });
    const scope = { input: origin.input, event: (origin.event?.event ?? null) as Json };
    const headStartMs = Math.round((of.priority(scope) / PRIORITY_MAX) * queue.ageingMs);
    const key = queue.fair ? of.key(scope).replaceAll('\u0000', '') : '';
    return {
      name: of.name,
      line: key.length > KEY_CHARS_MAX ? digestOf(key) : key,
      rank: nowMs - headStartMs,
      ...(queue.holdsWhileWaiting ? { holds: true } : {}),
    };
  }
}

const PENDING = {
  status: 'pending',
  worker: null,
  wakeAtMs: null,
  waitingFor: null,
  result: null,
  entries: [],
  seq: 0,
} as const;

/** The writes that put a run which was taken up back into its queue, at its old rank: what it waited for has come. */
export function backIntoQueue(
  store: RunStore,
  run: ClaimedRun,
  place: QueuePlace,
  nowMs: number,
): { change: RunChange; writes: Write[] } {
  const { id, workflow, version, epoch, origin, idempotencyKey, startedAtMs } = run;
  const known = { id, workflow, version, epoch, origin, idempotencyKey, startedAtMs };
  const change = { ...PENDING, ...known, insert: false, updatedAtMs: nowMs, subject: null, outcome: null };
  const queued = { ...place, runId: id, enqueuedAtMs: nowMs };
  return { change, writes: [...store.save(change), store.queues.enqueue(queued)] };
}
