import type { Socket } from 'node:net';
import pg from 'pg';
import { AiosError } from '../kernel/errors.ts';
import { Packet, type RowReaders } from './packet.ts';
import { type Prepared, prepared } from './prepared.ts';
import { parseTimestamp } from './rows.ts';

/** Runs SQL. Every text is prepared once per connection, so texts must be constant; values go in `$n`. */
export interface Queryable {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
}

/**
 * One Postgres, embedded or given. `timestamptz` comes back as milliseconds since the epoch, `bigint` as a number
 * (both are exact below 2^53), `json` parsed.
 */
export interface Database extends Queryable {
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it throws. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** For texts built at run time (search filters): not prepared, so that they cannot pile up on the server. */
  queryDynamic<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** A connection of its own for a long-lived writer; the caller closes it. */
  connect(): Promise<DedicatedConnection>;
  close(): Promise<void>;
}

/** SQL with its values in `$n`. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

export interface DedicatedConnection extends Queryable {
  readonly lost: boolean;
  /** Commits the statements together, in one round trip, or none of them; answers with the rows of each. */
  transact(statements: readonly Prepared[]): Promise<object[][]>;
  /** Calls back with each message (NOTIFY) of a channel as long as the connection stands. */
  listen(channel: string, told: (message: string) => void): Promise<void>;
  close(): Promise<void>;
}

export type ConnectionTarget =
  | { connectionString: string }
  | { host: string; port: number; user: string; password: string; database: string };

/**
 * Statements are prepared once per connection, and a plan made while a table was small would go on reading all of it until Postgres
 * has analysed it (a minute or more: 261 durable runs/s with five effects where 4,700/s were possible). Every statement here is written
 * for an index, so a plan may read a whole table only where there is none. Compiling plans (jit) costs more than such statements take.
 *
 * Values are read here in the forms that Postgres has without settings of its operator's, and races are found as they are under its own isolation.
 */
const SESSION = {
  enable_seqscan: 'off',
  jit: 'off',
  timezone: 'UTC',
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  default_transaction_isolation: 'read\\ committed',
} as const;
const SESSION_OPTIONS = Object.entries(SESSION)
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ');

const types = new pg.TypeOverrides();
types.setTypeParser(20, Number); // int8
types.setTypeParser(1184, parseTimestamp); // timestamptz

/**
 * Opens a pool on a Postgres of version 14 or later. Its statements are given up after `statementMs`; without it, never.
 *
 * @throws AiosError `store.unavailable` when it does not answer or is too old
 * @example const db = await openDatabase({ connectionString: 'postgres://localhost/aios' }, 16)
 */
export async function openDatabase(
  target: ConnectionTarget,
  connectionsMax: number,
  statementMs?: number,
): Promise<Database> {
  // Pipelined: statements that do not need each other's answers travel together; a transaction of six is two round trips, not six.
  const config = { ...inSession(target), types, application_name: 'aios', pipeline: true } as pg.ClientConfig;
  const pool = new pg.Pool({
    ...config,
    // Of the pool only: a search that would read for minutes is given up, a writer's flush never is.
    ...(statementMs === undefined ? {} : { statement_timeout: statementMs }),
    max: connectionsMax,
    idleTimeoutMillis: 60_000,
    connectionTimeoutMillis: 10_000,
  });
  pool.on('error', () => {}); // an idle connection lost to a restart is replaced at the next query
  // One in use tells its caller through the failed statement; without a listener of its own it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  const [version] = await pool
    .query<{ number: number }>("select current_setting('server_version_num')::int as number")
    .then((result) => result.rows)
    .catch(async (error: unknown) => {
      await pool.end();
      throw unavailable(error);
    });
  if ((version?.number ?? 0) < 140_000) {
    await pool.end();
    throw new AiosError('store.unavailable', { detail: `Postgres ${version?.number} is older than 14.` });
  }
  return new PostgresDatabase(pool, config);
}

/** The settings of a session, behind those that the address itself asks for: pg would take one or the other. */
function inSession(target: ConnectionTarget): pg.ClientConfig {
  if (!('connectionString' in target) || !URL.canParse(target.connectionString))
    return { ...target, options: SESSION_OPTIONS };
  const address = new URL(target.connectionString);
  const theirs = address.searchParams.get('options') ?? '';
  address.searchParams.delete('options');
  return { connectionString: address.href, options: `${theirs} ${SESSION_OPTIONS}`.trim() };
}

function socketOf(client: pg.Client | pg.PoolClient): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}

/**
 * What is asked in one turn of the event loop leaves in one packet. A write to the socket wakes the server's process, which costs 15 to 60 µs whatever its size: a
 * consumer's transaction was five of them.
 */
function gather(client: pg.PoolClient): void {
  const stream = socketOf(client);
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

class PostgresDatabase implements Database {
  readonly #pool: pg.Pool;
  readonly #config: pg.ClientConfig;

  constructor(pool: pg.Pool, config: pg.ClientConfig) {
    this.#pool = pool;
    this.#config = config;
  }

  async query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    return (await this.#pool.query<Row>(prepared(text, values)).catch(told)).rows;
  }

  async queryDynamic<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values as unknown[]).catch(told)).rows;
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch(told);
    let broken: Error | undefined;
    try {
      gather(client);
      const begun = client.query('begin');
      begun.catch(() => {}); // the first statement of `work` tells
      const result = await work({
        query: async (text, values) => {
          gather(client);
          return (await client.query(prepared(text, values)).catch(told)).rows;
        },
      });
      gather(client);
      await client.query('commit').catch(told);
      return result;
    } catch (error) {
      await client.query('rollback').catch((reason: Error) => {
        broken = reason;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async connect(): Promise<DedicatedConnection> {
    const client = new pg.Client(this.#config);
    let lost = false;
    const readers: RowReaders = new Map();
    client.on('error', () => {
      lost = true;
    });
    client.on('end', () => {
      lost = true;
    });
    await client.connect().catch(told);
    return {
      get lost() {
        return lost;
      },
      query: async (text, values) => (await client.query(prepared(text, values))).rows,
      async transact(statements) {
        if (statements.length === 0) return [];
        const packet = new Packet(statements, readers, types);
        client.query(packet as unknown as pg.Submittable);
        return packet.done;
      },
      async listen(channel, told) {
        client.on('notification', (notice) => {
          if (notice.channel === channel) told(notice.payload ?? '');
        });
        await client.query(`listen ${client.escapeIdentifier(channel)}`);
      },
      close: () => client.end(),
    };
  }

  close(): Promise<void> {
    return this.#pool.end();
  }
}

/** What callers of the pool can act on: its time was over (SQLSTATE 57014, `query_canceled`), or the database is away. The rest stays as it is. */
function told(error: unknown): never {
  if ((error as { code?: unknown }).code === '57014')
    throw new AiosError('store.too_slow', { extensions: { limitName: 'statementMs' }, cause: error });
  throw classify(error) === 'lost' && !(error instanceof AiosError) ? unavailable(error) : error;
}

/** Whether something failed because the database does not answer, and not by what it was asked. */
export function isDatabaseAway(error: unknown): error is AiosError {
  return error instanceof AiosError && error.code === 'store.unavailable' && error.cause !== undefined;
}

/** How a failed statement is to be treated. */
export type Failure = 'lost' | 'race' | 'refused' | 'fault';

/**
 * Sorts a database error: the connection is `lost`, the transaction lost a `race` (both: try again), a value was
 * `refused` (SQLSTATE classes 22 and 23, 54), or it is a `fault` of ours.
 */
export function classify(error: unknown): Failure {
  if (error instanceof AiosError) return error.code === 'store.unavailable' ? 'lost' : 'fault';
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') {
    return /terminated|not queryable|Connection|timeout exceeded/i.test(String(error)) ? 'lost' : 'fault';
  }
  if (code === '40001' || code === '40P01' || code === '55P03') return 'race';
  if (/^(22|23|54)/.test(code)) return 'refused';
  // 25P03: the transaction stood still for longer than it may, and its session was ended.
  if (/^(08|57P|53|25P03)/.test(code) || /^E[A-Z]+$/.test(code)) return 'lost';
  return 'fault';
}

export function unavailable(error: unknown): AiosError {
  const detail =
    error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
  return new AiosError('store.unavailable', { detail: `Postgres: ${detail}`, cause: error });
}
