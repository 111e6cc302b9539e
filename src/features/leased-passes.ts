import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { ErrorCode } from '../kernel/error-codes.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Changes } from '../store/changes.ts';
import { classify, type Database } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../store/lane.ts';
import { Poller } from '../store/poller.ts';
import { timestamp } from '../store/rows.ts';
import type { Pass, PassTable } from './passes.ts';

/** A pass that one process works on until its end, or until it dies. */
export interface LeasedPass extends Pass {
  /** Rows so far, and all there are (null until they were counted). */
  readonly rows: number;
  readonly total: number | null;
  readonly canceledBy: string | null;
}

/** The columns of every table of these, as SQL. */
export const LEASED_COLUMNS = 'done as "rows", total, canceled_by as "canceledBy"';

/** What the work on a pass is told, and tells. */
export interface PassWatch {
  /** The pass was canceled, another process has it, or this one stops. */
  readonly signal: AbortSignal;
  progress(rows: number, total: number | null): void;
  /** The end of the pass, for the commit of what it made: refused when another process has it or it was canceled. `columns` of its row are set with it. */
  end(columns?: Readonly<Record<string, string | number | boolean>>): Write;
}

interface Cancelation {
  readonly table: string;
  readonly id: string;
  readonly at: number;
  readonly by: string;
  readonly ended: ErrorCode;
}

/** A gate: one that has ended is not canceled. */
const canceling: Lane<Cancelation> = {
  name: 'cancelations of passes',
  order: 49,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { table, id, at, by, ended } of items) {
      const rows = await tx.query(
        `update ${table} set status = 'canceled', ended_at = $2, canceled_by = $3
         where id = $1 and (status = 'running' or status = 'canceled' and ended_at = $2 and canceled_by = $3) returning id`,
        [id, timestamp(at), by],
      );
      results.push(rows.length > 0 ? undefined : new Refused(endedError(ended, id)));
    }
    return results as Refused[];
  },
};

function endedError(code: ErrorCode, id: string): AiosError {
  return new AiosError(code, { detail: `${id} is not running.` });
}

interface Ending {
  readonly table: string;
  readonly id: string;
  readonly owner: string;
  readonly rows: number;
  readonly total: number | null;
  readonly at: number;
  readonly columns: Readonly<Record<string, string | number | boolean>>;
}

/** A gate: what a pass made counts only while it runs, in the hands of who made it. */
const ending: Lane<Ending> = {
  name: 'ends of passes',
  order: 49,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { table, id, owner, rows, total, at, columns } of items) {
      const also = Object.keys(columns).map((name, index) => `, ${name} = $${index + 6}`);
      const ended = await tx.query(
        `update ${table} set status = 'done', done = $3, total = $4, ended_at = $5, lease_until = null ${also.join('')}
         where id = $1 and owner = $2 and status in ('running', 'done') returning id`,
        [id, owner, rows, total, timestamp(at), ...Object.values(columns)],
      );
      const detail = `${id} was canceled, or another process works on it.`;
      results.push(
        ended.length > 0 ? undefined : new Refused(new AiosError('features.offline_canceled', { detail })),
      );
    }
    return results as Refused[];
  },
};

interface Options<Row extends LeasedPass> {
  readonly db: Database;
  readonly table: PassTable<Row>;
  readonly commit: Committer;
  readonly clock: Pick<Clock, 'now'>;
  /** What is thrown when one is to be canceled that has ended. */
  readonly endedCode: ErrorCode;
  readonly limits: Pick<
    Limits,
    'featureMaterializePollMs' | 'passLeaseMs' | 'passProgressMs' | 'passAttemptsMax'
  >;
  readonly changes?: Changes | undefined;
  /** Passes that one process works on at a time. */
  readonly atOnce?: number;
  /** Works on a pass to its end, and commits that: `watch.end()`. What it throws is why the pass failed. */
  work(pass: Row, watch: PassWatch): Promise<void>;
  /** After one has ended, in whatever way: what was kept for it may go. Not called when a process dies in between. */
  cleanUp?(id: string): Promise<void>;
  onError?: ((error: unknown) => void) | undefined;
}

/** How long until the first look at a pass that somebody waits for, doubled with each, and the longest. */
const LOOK_MS = 10;
const LOOK_MS_MAX = 500;

/**
 * Works on passes under leases. When a process dies another takes its passes over and begins them anew, and gives one up that has cost too many
 * processes their lives.
 *
 * @example const passes = new LeasedPasses({ db, table, clock, limits, work }); passes.begin(); passes.wake(); await passes.stop()
 */
export class LeasedPasses<Row extends LeasedPass> {
  readonly #options: Options<Row>;
  /** Who holds a lease. */
  readonly #owner = newId('wrk');
  readonly #poller: Poller;
  readonly #active = new Set<Promise<void>>();

  constructor(options: Options<Row>) {
    this.#options = options;
    const { table, limits, changes, onError } = options;
    this.#poller = new Poller({
      // At the bound there is nothing to look for: the end of a pass wakes it.
      look: async () => !this.#isFull && ((await this.#next()) || this.#lapsesInMs()),
      pollMs: limits.featureMaterializePollMs,
      changes,
      tables: [table.name],
      onError,
    });
  }

  /** There is something to work on. */
  wake(): void {
    this.#poller.wake();
  }

  /** Works on what is asked for, in this process or another, until `stop`. */
  begin(): void {
    this.#poller.begin();
  }

  /** What is under way goes to another process at once. */
  async stop(): Promise<void> {
    await this.#poller.stop();
    await Promise.all(this.#active);
  }

  /** Works on one pass to its end; false when there is none to work on. */
  async step(): Promise<boolean> {
    const pass = await this.#take();
    if (pass) await this.#work(pass);
    return pass !== undefined;
  }

  /** Ends one that runs, committed with `records`; its process notices within a third of the lease. @throws AiosError that there is none, or that it has ended */
  async cancel(id: string, by: string, records: readonly Write[]): Promise<void> {
    const { table, commit, clock, endedCode } = this.#options;
    const { status } = await table.get(id);
    if (status !== 'running') throw endedError(endedCode, id);
    await commit.commit([
      write(canceling, { table: table.name, id, at: clock.now(), by, ended: endedCode }),
      ...records,
    ]);
    await this.#options.cleanUp?.(id);
  }

  /** The pass when it has ended, or as it is when the time is over. @throws AiosError that there is none */
  async wait(id: string, waitMs: number, signal?: AbortSignal): Promise<Row> {
    const untilMs = systemClock.monotonicMs() + waitMs;
    for (let pauseMs = LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, LOOK_MS_MAX)) {
      const pass = await this.#options.table.get(id);
      const leftMs = untilMs - systemClock.monotonicMs();
      if (pass.status !== 'running' || leftMs <= 0 || signal?.aborted) return pass;
      await sleep(Math.min(pauseMs, leftMs), undefined, { signal }).catch(() => {});
    }
  }

  get #isFull(): boolean {
    return this.#active.size >= (this.#options.atOnce ?? 1);
  }

  /** Begins with the next pass, if there is one. */
  async #next(): Promise<boolean> {
    const pass = await this.#take();
    if (!pass) return false;
    const working: Promise<void> = this.#work(pass)
      .catch((error: unknown) => this.#options.onError?.(error))
      .finally(() => {
        this.#active.delete(working);
        this.#poller.wake();
      });
    this.#active.add(working);
    return true;
  }

  /** When the lease of a process that does not renew it is over. */
  async #lapsesInMs(): Promise<number | undefined> {
    const { db, table, limits } = this.#options;
    const [row] = await db.query<{ inMs: number | null }>(
      `select extract(epoch from min(lease_until) - clock_timestamp())::float8 * 1000 as "inMs" from ${table.name} where status = 'running'`,
    );
    if (row?.inMs == null) return undefined;
    return row.inMs > 0 ? row.inMs : limits.featureMaterializePollMs; // another process has its row locked
  }

  async #take(): Promise<(Row & { attempts: number }) | undefined> {
    const { db, table, limits } = this.#options;
    const [pass] = await db.query<Row & { attempts: number }>(
      `update ${table.name} set owner = $1, lease_until = clock_timestamp() + $2 * interval '1 millisecond', done = 0, total = null, attempts = attempts + 1
       where id = (select id from ${table.name} where status = 'running' and (lease_until is null or lease_until < clock_timestamp())
         order by requested_at, id limit 1 for update skip locked) returning ${table.columns}, attempts`,
      [this.#owner, limits.passLeaseMs],
    );
    return pass;
  }

  async #work(pass: Row & { attempts: number }): Promise<void> {
    const { work, limits } = this.#options;
    const { id, attempts } = pass;
    if (attempts > limits.passAttemptsMax) {
      const detail = `Its process has ended ${limits.passAttemptsMax} times before it did.`;
      return this.#fail(id, new AiosError('features.pass_given_up', { detail }));
    }
    const lost = new AbortController();
    const signal = AbortSignal.any([lost.signal, this.#poller.signal]);
    const seen = { rows: 0, total: null as number | null };
    const renewing = setInterval(
      () => {
        this.#renew(id, seen).then(
          (isKept) => isKept || lost.abort(), // canceled, or another process has taken it
          (error: unknown) => this.#options.onError?.(error),
        );
      },
      Math.min(limits.passLeaseMs / 3, limits.passProgressMs),
    );
    try {
      await work(pass, {
        signal,
        progress: (rows, total) => {
          seen.rows = rows;
          seen.total = total;
        },
        end: (columns = {}) => this.#end(id, seen, columns),
      });
      await this.#options.cleanUp?.(id);
    } catch (error) {
      const failure = classify(error);
      if (signal.aborted) await this.#release(id);
      else if ((failure === 'lost' || failure === 'race') && attempts < limits.passAttemptsMax)
        this.#options.onError?.(error); // the lease ends, and it is begun anew
      else await this.#fail(id, error);
    } finally {
      clearInterval(renewing);
    }
  }

  async #renew(id: string, { rows, total }: { rows: number; total: number | null }): Promise<boolean> {
    const { db, table, limits } = this.#options;
    const kept = await db.query(
      `update ${table.name} set lease_until = clock_timestamp() + $3 * interval '1 millisecond', done = $4, total = $5
       where id = $1 and owner = $2 and status = 'running' returning id`,
      [id, this.#owner, limits.passLeaseMs, rows, total],
    );
    return kept.length > 0;
  }

  #end(id: string, seen: { rows: number; total: number | null }, columns: Ending['columns']): Write {
    const { table, clock } = this.#options;
    return write(ending, { table: table.name, id, owner: this.#owner, ...seen, at: clock.now(), columns });
  }

  async #fail(id: string, error: unknown): Promise<void> {
    const { table, clock, cleanUp } = this.#options;
    await table.fail(id, toAiosError(error).toProblem(), clock.now(), this.#owner);
    await cleanUp?.(id);
  }

  /** Another process may take it at once. */
  async #release(id: string): Promise<void> {
    const { db, table } = this.#options;
    await db.query(
      `update ${table.name} set owner = null, lease_until = null, done = 0, attempts = attempts - 1 where id = $1 and owner = $2 and status = 'running'`,
      [id, this.#owner],
    );
  }
}
