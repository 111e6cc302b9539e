import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import {
  classify,
  type Database,
  type DedicatedConnection,
  type Queryable,
  unavailable,
} from './database.ts';
import { type Flush, flushOf, type LaneRows, type Planned, type Unit } from './flush.ts';
import { Refused, type Write } from './lane.ts';

export interface Committer {
  /**
   * Commits the writes together: all or none. Resolves with each write's result once they are durable.
   *
   * @throws AiosError `store.unavailable`, `store.refused_value`, `request.overloaded`, or what a gate refused with
   */
  commit(writes: readonly Write[]): Promise<unknown[]>;
}

/** Thrown inside a flush to leave some units out: the transaction is rolled back and the others are tried again. */
class LeaveOut {
  readonly refused: ReadonlyMap<Unit, Error>;
  constructor(refused: ReadonlyMap<Unit, Error>) {
    this.refused = refused;
  }
}

/** Writes that are worth a flush of their own: with more of them each is hardly cheaper. */
const AHEAD_ROWS = 500;

/**
 * Group commit: while one flush is under way the next one gathers, without a timer. One transaction per flush, one
 * statement per lane; a value that Postgres refuses is found by bisection and fails alone.
 */
export class GroupCommit implements Committer {
  readonly #db: Database;
  readonly #limits: Limits;
  #queue: Unit[] = [];
  #queuedWrites = 0;
  #idle: Promise<void> = Promise.resolve();
  #flushing = 0;
  /** The flush that comes next, once there is enough for it. */
  #ahead: Flush | undefined;
  #isPreparing = false;
  #closed = false;
  readonly #connections: (DedicatedConnection | undefined)[];
  readonly #busy: boolean[];
  /** Flushes and units so far: the mean batch is their ratio. */
  readonly stats = { flushes: 0, units: 0, writes: 0, bisections: 0, retries: 0 };

  constructor(db: Database, limits: Limits, writers = 1) {
    this.#db = db;
    this.#limits = limits;
    this.#connections = new Array(writers).fill(undefined);
    this.#busy = new Array(writers).fill(false);
  }

  commit(writes: readonly Write[]): Promise<unknown[]> {
    if (writes.length === 0) return Promise.resolve([]);
    if (this.#closed)
      return Promise.reject(new AiosError('store.unavailable', { detail: 'The store is closed.' }));
    // One that is larger than the whole queue waits for nobody: refused, it would be refused for ever.
    if (this.#queuedWrites > 0 && this.#queuedWrites + writes.length > this.#limits.commitQueueMax) {
      return Promise.reject(
        new AiosError('request.overloaded', {
          detail: `Too many writes wait for the database (${this.#queuedWrites}).`,
          extensions: { limitName: 'commitQueueMax', limit: this.#limits.commitQueueMax },
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ writes, results: new Array(writes.length).fill(undefined), resolve, reject });
      this.#queuedWrites += writes.length;
      this.#wake();
      this.#prepareAhead();
    });
  }

  /** Waits for what was accepted, then closes the writers. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#flushing > 0 || this.#isLeft) {
      await this.#idle;
      await sleep(1);
    }
    await Promise.all(this.#connections.map((connection) => connection?.close().catch(() => {})));
  }

  get #isLeft(): boolean {
    return this.#ahead !== undefined || this.#queue.length > 0;
  }

  #wake(): void {
    const writer = this.#busy.indexOf(false);
    if (writer === -1) return;
    this.#busy[writer] = true;
    this.#flushing++;
    // The microtask lets everything that is ready in this turn of the loop join the flush.
    this.#idle = Promise.resolve()
      .then(() => this.#run(writer))
      .finally(() => {
        this.#busy[writer] = false;
        this.#flushing--;
        if (this.#isLeft) this.#wake();
      });
  }

  async #run(writer: number): Promise<void> {
    while (this.#isLeft) {
      const ahead = this.#ahead;
      this.#ahead = undefined;
      const units = ahead?.units ?? this.#take();
      this.stats.flushes++;
      this.stats.units += units.length;
      await this.#flush(writer, units, ahead);
    }
  }

  /**
   * What fills a flush is planned and encoded while the one before it is under way: the database would wait for that afterwards. In a microtask, so that all of this
   * turn of the loop joins.
   */
  #prepareAhead(): void {
    if (this.#ahead || this.#isPreparing || this.#queuedWrites < AHEAD_ROWS) return;
    if (this.#flushing < this.#busy.length) return; // a writer is free, and takes it
    this.#isPreparing = true;
    queueMicrotask(() => {
      this.#isPreparing = false;
      if (!this.#ahead && this.#queuedWrites >= AHEAD_ROWS) this.#ahead = flushOf(this.#take());
    });
  }

  #take(): Unit[] {
    let rows = 0;
    let count = 0;
    while (
      count < this.#queue.length &&
      (count === 0 || rows + this.#queue[count]!.writes.length <= this.#limits.commitRowsMax)
    ) {
      rows += this.#queue[count]!.writes.length;
      count++;
    }
    this.#queuedWrites -= rows;
    this.stats.writes += rows;
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  /** Writes the units or rejects them; never throws. */
  async #flush(writer: number, units: readonly Unit[], ahead?: Flush): Promise<void> {
    const giveUpAt = performance.now() + this.#limits.commitRetryMs;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#transact(writer, (attempt === 0 && ahead) || flushOf(units));
        process.nextTick(tell, units);
        return;
      } catch (error) {
        if (error instanceof LeaveOut) {
          for (const [unit, reason] of error.refused) unit.reject(reason);
          const rest = units.filter((unit) => !error.refused.has(unit));
          return rest.length > 0 ? this.#flush(writer, rest) : undefined;
        }
        const failure = classify(error);
        if ((failure === 'lost' || failure === 'race') && performance.now() < giveUpAt) {
          this.stats.retries++;
          await sleep(Math.min(500, 5 * 2 ** attempt));
          continue;
        }
        return this.#isolate(writer, units, error);
      }
    }
  }

  /** One bad row must not fail its neighbours: halves, until the units that fail stand alone. */
  async #isolate(writer: number, units: readonly Unit[], error: unknown): Promise<void> {
    const failure = classify(error);
    if (failure === 'lost' || units.length === 1) {
      for (const unit of units) unit.reject(failure === 'lost' ? unavailable(error) : refusal(error));
      return;
    }
    this.stats.bisections++;
    const half = units.length >> 1;
    await this.#flush(writer, units.slice(0, half));
    await this.#flush(writer, units.slice(half));
  }

  async #transact(writer: number, { lanes, plans, fault }: Flush): Promise<void> {
    if (fault) throw fault;
    const tx = await this.#connection(writer);
    const isWritten = plans !== undefined && (await this.#transactAtOnce(tx, lanes, plans));
    if (!isWritten) await this.#transactInTurn(tx, lanes);
    for (const { lane, items, results } of lanes) lane.committed?.(items, results);
    // Planned for the outcome of one that was made anew since, the next one would fail as well, and so on for as long as there always is a next one.
    if (!isWritten && this.#ahead?.plans) this.#ahead = flushOf(this.#ahead.units);
  }

  /** One round trip, sent as one packet. False when a statement failed: then nothing is written. */
  async #transactAtOnce(
    tx: DedicatedConnection,
    lanes: readonly LaneRows[],
    plans: readonly Planned[],
  ): Promise<boolean> {
    let rows: object[][];
    try {
      rows = await tx.transact(plans.flatMap(({ statements }) => statements));
    } catch (error) {
      if (classify(error) === 'lost') throw error;
      return false;
    }
    let at = 0;
    for (const [index, lane] of lanes.entries()) {
      const { statements, results } = plans[index]!;
      const found = results?.(rows.slice(at, at + statements.length));
      at += statements.length;
      if (found) settle(lane, found);
    }
    return true;
  }

  async #transactInTurn(tx: DedicatedConnection, lanes: readonly LaneRows[]): Promise<void> {
    const begun = tx.query('begin');
    begun.catch(() => {}); // reported by the first statement that awaits
    try {
      const gates = lanes.filter(({ lane }) => lane.gate);
      for (const gate of gates) await this.#writeLane(tx, gate);
      // The other lanes are sent without waiting for each other: one round trip for all of them.
      const writing = lanes.filter(({ lane }) => !lane.gate).map((rows) => this.#writeLane(tx, rows));
      await allEnded(writing);
      await tx.query('commit');
    } catch (error) {
      await tx.query('rollback').catch(() => {});
      throw error;
    }
  }

  async #writeLane(tx: Queryable, rows: LaneRows): Promise<void> {
    const results = await rows.lane.write(tx, rows.items);
    if (results) settle(rows, results);
  }

  async #connection(writer: number): Promise<DedicatedConnection> {
    let connection = this.#connections[writer];
    if (!connection || connection.lost) {
      connection = await this.#db.connect();
      this.#connections[writer] = connection;
    }
    return connection;
  }
}

/** In a tick of its own, behind the flush that comes next: the database would wait while callers go on (64 that post one event each: 6 % more of them a second). */
function tell(units: readonly Unit[]): void {
  for (const unit of units) unit.resolve(unit.results);
}

/** Gives each unit its results. @throws LeaveOut for those that a gate refused */
function settle(rows: LaneRows, results: readonly unknown[]): void {
  rows.results = results;
  const refused = new Map<Unit, Error>();
  const { units, positions } = rows;
  for (let index = 0; index < units.length; index++) {
    const unit = units[index]!;
    const result = results[index];
    if (result instanceof Refused) refused.set(unit, result.error);
    else unit.results[positions[index]!] = result;
  }
  if (refused.size > 0) throw new LeaveOut(refused);
}

/**
 * What lanes answer that write beside each other, once all of them have ended: a second statement that one sent after the rollback would be committed by itself.
 *
 * @throws what the first of them failed by
 */
export async function allEnded<T>(writing: readonly Promise<T>[]): Promise<T[]> {
  const failed = (await Promise.allSettled(writing)).filter((outcome) => outcome.status === 'rejected');
  if (failed.length > 0) throw firstCause(failed.map(({ reason }) => reason));
  return Promise.all(writing);
}

/** After the first failure the other lanes are told only that the transaction is over (25P02, `in_failed_sql_transaction`). */
function firstCause(reasons: readonly unknown[]): unknown {
  return reasons.find((reason) => (reason as { code?: unknown }).code !== '25P02') ?? reasons[0];
}

function refusal(error: unknown): AiosError {
  if (error instanceof AiosError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  if (classify(error) === 'race') return new AiosError('store.conflict', { detail, cause: error });
  if (classify(error) === 'refused') return new AiosError('store.refused_value', { detail, cause: error });
  return new AiosError('internal', { detail, cause: error });
}
