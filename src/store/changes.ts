import type { Limits } from '../kernel/limits.ts';
import type { Database, DedicatedConnection, Queryable } from './database.ts';

const CHANNEL = 'aios_changes';
/** By this name the sessions of the other processes are found. */
const SESSION = 'aios changes';
/** The topic of processes that come. */
const PROCESSES = 'processes';
/** How soon a connection that was lost is noticed (a look at a variable) and opened again. */
const WATCH_MS = 500;

/**
 * SQL for a migration: a table whose changes wake the loops that follow it, in every process, once they are committed. For tables that change now and
 * then: NOTIFY takes a lock of the whole server at its commit. Each changed row counts, so that a statement that finds nothing tells nothing.
 *
 * @example tells('webhooks'); tells('feature_views', 'insert or update of status')
 */
export function tells(table: string, on = 'insert or update or delete'): string {
  return `
    create or replace function tell_change() returns trigger language plpgsql as $tell$
      begin perform pg_notify('${CHANNEL}', tg_table_name); return null; end $tell$;
    create trigger ${table}_told after ${on} on ${table} for each row execute function tell_change();`;
}

/** Tells of a change once the transaction is committed, as a trigger of `tells` does. */
export async function tellChange(tx: Queryable, topic: string): Promise<void> {
  await tx.query('select pg_notify($1, $2)', [CHANNEL, topic]);
}

/** How a loop follows what it works on. */
export interface Followed {
  /** How often it looks itself while it is not told: the connection is away, or what it looks for is not only in those tables and other processes write it. */
  readonly pollMs: number;
  /** Other processes may leave it what no table tells: a table that changes with every run or event. */
  readonly isLeftByOthers: boolean;
}

/** What the database tells of changes, for those who would ask again and again otherwise. */
export interface Changes {
  /** Calls back with each change, and whenever some may have been missed. Returns how to stop. */
  follow(tables: readonly string[], wake: () => void): () => void;
  /** How long a loop may wait until it looks by itself. */
  pauseMs(followed: Followed): number;
}

/** For what is put together without such a connection: every loop looks at its own pace. */
export const POLLED: Changes = {
  follow: () => () => {},
  pauseMs: ({ pollMs }) => pollMs,
};

interface Dependencies {
  db: Pick<Database, 'connect'>;
  limits: Pick<Limits, 'changesPollMs'>;
  /** Told of each try to open the connection that failed. */
  onError: (error: unknown) => void;
  /** Told when it stands again after that. */
  onBack?: () => void;
}

/**
 * Tells the loops of this process what any process changed, over one connection that listens, so that an idle server asks seldom. It knows, too, whether
 * other processes work over the same database: what no table tells need not be looked for while there are none. While the connection is away nothing is known,
 * and every loop looks at its own pace; when it is back, all look once.
 *
 * @example const changes = new DatabaseChanges({ db, limits, onError }); await changes.start(); changes.follow(['webhooks'], () => look())
 */
export class DatabaseChanges implements Changes {
  readonly #dependencies: Dependencies;
  readonly #followers = new Set<{ tables: readonly string[]; wake: () => void }>();
  #connection: DedicatedConnection | undefined;
  #opening: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Whether there are other processes; undefined while that is not known. */
  #peers: boolean | undefined;
  #peersAtMs = 0;
  #looking: Promise<void> | undefined;
  #isFailing = false;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** It may fail without harm: the loops look by themselves until it stands. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => this.#watch(), WATCH_MS).unref();
    await this.#reopen();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#opening;
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close().catch(() => {});
    await this.#looking;
  }

  follow(tables: readonly string[], wake: () => void): () => void {
    const follower = { tables, wake };
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  pauseMs({ pollMs, isLeftByOthers }: Followed): number {
    const { changesPollMs } = this.#dependencies.limits;
    return this.#peers === undefined || (this.#peers && isLeftByOthers)
      ? pollMs
      : Math.max(pollMs, changesPollMs);
  }

  /** Looked at often, since it asks nobody: the connection, and now and then whether processes are gone. */
  #watch(): void {
    if (!this.#connection || this.#connection.lost) {
      if (this.#peers !== undefined) {
        this.#peers = undefined;
        this.#wakeAll();
      }
      void this.#reopen();
    } else if (this.#peers && performance.now() - this.#peersAtMs >= this.#dependencies.limits.changesPollMs)
      void this.#look();
  }

  #reopen(): Promise<void> {
    this.#opening ??= this.#open()
      .then(() => {
        if (this.#isFailing) this.#dependencies.onBack?.();
        this.#isFailing = false;
      })
      .catch((error: unknown) => {
        this.#dependencies.onError(error);
        this.#isFailing = true;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  async #open(): Promise<void> {
    const lost = this.#connection;
    this.#connection = undefined;
    await lost?.close().catch(() => {});
    const connection = await this.#dependencies.db.connect();
    try {
      await connection.query(`select set_config('application_name', $1, false)`, [SESSION]);
      await connection.listen(CHANNEL, (topic) => this.#told(topic));
      await tellChange(connection, PROCESSES);
    } catch (error) {
      await connection.close().catch(() => {});
      throw error;
    }
    this.#connection = connection;
    await this.#look();
    this.#wakeAll(); // what was told before it listened was told to nobody
  }

  #told(topic: string): void {
    if (topic === PROCESSES) void this.#look();
    for (const { tables, wake } of this.#followers) if (tables.includes(topic)) wake();
  }

  #wakeAll(): void {
    for (const { wake } of this.#followers) wake();
  }

  /** One after the other: an answer that is older must not come last. */
  #look(): Promise<void> {
    this.#looking = (this.#looking ?? Promise.resolve()).then(() => this.#countPeers()).catch(() => {});
    return this.#looking;
  }

  async #countPeers(): Promise<void> {
    const connection = this.#connection;
    if (!connection) return;
    const rows = await connection.query(
      `select from pg_stat_get_activity(null) a, pg_database d
       where d.datname = current_database() and a.datid = d.oid and a.application_name = $1 and a.pid <> pg_backend_pid() limit 1`,
      [SESSION],
    );
    if (connection !== this.#connection) return;
    const before = this.#peers;
    this.#peers = rows.length > 0;
    this.#peersAtMs = performance.now();
    if (before !== undefined && before !== this.#peers) this.#wakeAll(); // they look at another pace now
  }
}
