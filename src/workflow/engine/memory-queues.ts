import { type Lane, type Write, write } from '../../store/lane.ts';
import type { RunQueue } from '../language/run-queue.ts';
import { choose, freeSlots, type Line, runsAhead } from './queue-order.ts';
import type { Admission, AdmissionRequest, QueuedRun, QueueFigures, RunQueueStore } from './queue-store.ts';
import { type ClaimedRun, ENDED, type RunStatus } from './stored-run.ts';

/** What the queues need of the runs beside them. */
export interface QueueRuns {
  status(runId: string): RunStatus | undefined;
  claim(worker: string, runIds: readonly string[]): ClaimedRun[];
}

interface Row extends QueuedRun {
  readonly admitted: boolean;
}

interface QueueState {
  paused: boolean;
  /** The turn of the last one admitted. */
  turn: number;
  readonly lines: Map<string, number>;
  /** Business times of admissions within the period of the rate. */
  starts: number[];
}

/** Places in queues, in the memory of this process. */
export class MemoryQueues implements RunQueueStore {
  readonly #runs: QueueRuns;
  readonly #rows = new Map<string, Row>();
  readonly #states = new Map<string, QueueState>();
  readonly #listeners: ((queues: readonly string[]) => void)[] = [];
  readonly #lane: Lane<{ queue: string; apply(): void }> = {
    name: 'workflow.queues',
    order: 28,
    write: async (_tx, items) => {
      for (const { apply } of items) apply();
      return undefined;
    },
    committed: (items) => {
      const queues = items.map(({ queue }) => queue);
      for (const listener of this.#listeners) listener(queues);
    },
  };

  constructor(runs: QueueRuns) {
    this.#runs = runs;
  }

  onChange(listener: (queues: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  enqueue(run: QueuedRun): Write {
    return this.#write(run.name, () => {
      if (this.#rows.has(run.runId)) return;
      this.#rows.set(run.runId, { ...run, admitted: false });
      const { lines, turn } = this.#state(run.name);
      if (!lines.has(run.line)) lines.set(run.line, turn);
    });
  }

  leave(runId: string, queue: string): Write {
    return this.#write(queue, () => {
      if (this.#runs.status(runId) !== 'pending') this.#rows.delete(runId);
    });
  }

  setPaused(queue: string, paused: boolean): Write {
    return this.#write(queue, () => {
      this.#state(queue).paused = paused;
    });
  }

  #write(queue: string, apply: () => void): Write {
    return write(this.#lane, { queue, apply });
  }

  async holders(runIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(runIds.filter((runId) => this.#rows.get(runId)?.admitted));
  }

  async waiting(): Promise<string[]> {
    return [...new Set([...this.#rows.values()].flatMap(({ admitted, name }) => (admitted ? [] : [name])))];
  }

  async admit({ worker, queue, room, nowMs }: AdmissionRequest): Promise<Admission> {
    const state = this.#state(queue.name);
    const { rate, concurrency } = queue;
    for (const { runId, admitted } of this.#rowsOf(queue.name))
      if (!admitted && this.#runs.status(runId) !== 'pending') this.#rows.delete(runId);
    if (rate) state.starts = state.starts.filter((atMs) => atMs > nowMs - rate.periodMs);
    const admitted = this.#rowsOf(queue.name).filter((row) => row.admitted && this.#isAlive(row.runId));
    const started = state.starts.length;
    const free = state.paused
      ? 0
      : freeSlots({ concurrency, admitted: admitted.length, rateLimit: rate?.limit, started, room });
    const { runIds, turns, turn = state.turn } = choose(this.#lines(queue, state, admitted), free);
    const claimed = this.#runs.claim(worker, runIds);
    for (const runId of runIds) this.#rows.set(runId, { ...this.#rows.get(runId)!, admitted: true });
    for (const [line, next] of turns) state.lines.set(line, next);
    state.turn = turn;
    if (rate) state.starts.push(...runIds.map(() => nowMs));
    const pending = this.#rowsOf(queue.name).filter((row) => !row.admitted);
    for (const [line, next] of state.lines) {
      const waits = pending.some((row) => row.line === line);
      if (!waits && (next <= turn || pending.length === 0)) state.lines.delete(line);
    }
    const byRate = rate !== undefined && pending.length > 0 && state.starts.length >= rate.limit;
    return { runs: claimed, more: false, againAtMs: byRate ? state.starts[0]! + rate.periodMs : undefined };
  }

  #lines(queue: RunQueue, { lines }: QueueState, admitted: readonly Row[]): Line[] {
    const pending = this.#rowsOf(queue.name).filter((row) => !row.admitted);
    return [...lines].map(([line, turn]): Line => {
      const heads = pending
        .filter((row) => row.line === line)
        .sort((a, b) => a.rank - b.rank || (a.runId < b.runId ? -1 : 1));
      const taken = admitted.filter((row) => row.line === line).length;
      const room = (queue.perKey ?? Number.POSITIVE_INFINITY) - taken;
      return { line, turn, weight: queue.weights.get(line) ?? 1, heads, more: false, room };
    });
  }

  async figures(): Promise<QueueFigures[]> {
    return [...this.#states].flatMap(([name, { paused }]): QueueFigures[] => {
      const rows = this.#rowsOf(name);
      const pending = rows.filter((row) => !row.admitted && this.#runs.status(row.runId) === 'pending');
      const admitted = rows.filter((row) => row.admitted && this.#isAlive(row.runId)).length;
      if (!paused && pending.length === 0 && admitted === 0) return [];
      const oldestAtMs =
        pending.length > 0 ? Math.min(...pending.map(({ enqueuedAtMs }) => enqueuedAtMs)) : undefined;
      return [{ name, paused, pending: pending.length, admitted, oldestAtMs }];
    });
  }

  async ahead(runId: string, queue: RunQueue): Promise<number | undefined> {
    const row = this.#rows.get(runId);
    if (!row || row.admitted) return undefined;
    const state = this.#state(row.name);
    const lines = this.#lines(queue, state, []);
    const own = lines.find(({ line }) => line === row.line);
    const index = own?.heads.findIndex((head) => head.runId === runId) ?? -1;
    if (!own || index < 0) return undefined;
    const others = lines
      .filter((line) => line !== own)
      .flatMap(({ turn, weight, heads }) =>
        heads[0] ? [{ turn, weight, pending: heads.length, rank: heads[0].rank }] : [],
      );
    return runsAhead({ turn: own.turn, weight: own.weight, index, rank: row.rank }, others);
  }

  #isAlive(runId: string): boolean {
    const status = this.#runs.status(runId);
    return status !== undefined && !ENDED.has(status);
  }

  #rowsOf(queue: string): Row[] {
    return [...this.#rows.values()].filter(({ name }) => name === queue);
  }

  #state(queue: string): QueueState {
    const state = this.#states.get(queue) ?? { paused: false, turn: 0, lines: new Map(), starts: [] };
    this.#states.set(queue, state);
    return state;
  }
}
