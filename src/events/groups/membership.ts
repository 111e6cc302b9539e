import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database, DedicatedConnection } from '../../store/database.ts';

interface Dependencies {
  db: Pick<Database, 'connect'>;
  limits: Pick<Limits, 'consumerLeaseMs'>;
  /** Another process appended. */
  onAppended: (appended: Appendix) => void;
  onError: (error: unknown) => void;
}

/** What a process tells the others of its appends: the next offset of each partition, and which types of events came, where they are few. */
export interface Appendix {
  readonly heads: Iterable<readonly [partition: number, next: number]>;
  readonly types: readonly string[] | null;
}

const CHANNEL = 'aios_events';
/** Appends of this time are told to the other members in one message: NOTIFY takes a lock of the whole server at its commit. */
const TELL_MS = 5;
/** Postgres takes messages below 8000 bytes. */
const MESSAGE_BYTES_MAX = 7999;

/**
 * What this process is to the consumer groups: a member with a lease, on a connection of its own. The lease ends when its time is over
 * (the process stands still) or with that connection (the process is dead: nobody waits for the time then).
 */
export class Membership {
  readonly id = newId('mem');
  readonly #dependencies: Dependencies;
  readonly #groups = new Set<string>();
  #heads = new Map<number, number>();
  #types = new Set<string>();
  #connection: DedicatedConnection | undefined;
  #opening: Promise<DedicatedConnection> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #telling: NodeJS.Timeout | undefined;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Takes part in a group from now on. */
  async join(group: string): Promise<void> {
    this.#groups.add(group);
    await this.#renew([group]);
    this.#timer ??= setInterval(() => {
      this.#renew([...this.#groups]).catch(this.#dependencies.onError);
    }, this.#dependencies.limits.consumerLeaseMs / 3).unref();
  }

  /** Leaves a group; what it held there must have been given up before. */
  async leave(group: string): Promise<void> {
    if (!this.#groups.delete(group)) return;
    const connection = await this.#connect();
    await connection.query('delete from event_group_members where consumer_group = $1 and member = $2', [
      group,
      this.id,
    ]);
  }

  /** Wakes the other members for what this process appended; lost messages cost them no more than their next look. */
  tell(heads: Appendix['heads'], types: readonly string[]): void {
    for (const [partition, next] of heads)
      if (next > (this.#heads.get(partition) ?? 0)) this.#heads.set(partition, next);
    for (const type of types) this.#types.add(type);
    this.#telling ??= setTimeout(() => this.#send(), TELL_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#telling);
    this.#timer = undefined;
    await this.#opening?.catch(() => {});
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close().catch(() => {});
  }

  /** Says that this process lives, and puts away members that have been dead for long. */
  async #renew(groups: readonly string[]): Promise<void> {
    const connection = await this.#connect();
    await connection.query(
      `with gone as (delete from event_group_members where lease_until < clock_timestamp() - interval '1 hour')
       insert into event_group_members (consumer_group, member, pid, backend_start, lease_until)
       select name, $2, pid, backend_start, clock_timestamp() + $3 * interval '1 ms'
       from unnest($1::text[]) as name cross join pg_stat_get_activity(pg_backend_pid())
       on conflict (consumer_group, member) do update
         set pid = excluded.pid, backend_start = excluded.backend_start, lease_until = excluded.lease_until`,
      [groups, this.id, this.#dependencies.limits.consumerLeaseMs],
    );
  }

  #send(): void {
    this.#telling = undefined;
    const told = (types: Appendix['types']) =>
      JSON.stringify({ from: this.id, heads: [...this.#heads], types });
    const whole = told([...this.#types]);
    const message = Buffer.byteLength(whole) <= MESSAGE_BYTES_MAX ? whole : told(null);
    this.#heads = new Map();
    this.#types = new Set();
    this.#connect()
      .then((connection) => connection.query('select pg_notify($1, $2)', [CHANNEL, message]))
      .catch(this.#dependencies.onError);
  }

  /** The one connection, whoever asks first. */
  #connect(): Promise<DedicatedConnection> {
    if (this.#connection && !this.#connection.lost) return Promise.resolve(this.#connection);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<DedicatedConnection> {
    const connection = await this.#dependencies.db.connect();
    await connection.listen(CHANNEL, (message) => {
      const { from, ...appended } = JSON.parse(message) as Appendix & { from: string };
      if (from !== this.id) this.#dependencies.onAppended(appended);
    });
    this.#connection = connection;
    return connection;
  }
}
