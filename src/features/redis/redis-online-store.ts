import { createHash, randomBytes } from 'node:crypto';
import { metrics } from '@opentelemetry/api';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import {
  type NewRow,
  type OnlineRow,
  type OnlineStore,
  PostgresOnlineStore,
  type Removed,
  type UnseenPage,
} from '../online-store.ts';
import { RedisConnection } from './redis-connection.ts';

type StoreLimits = Pick<
  Limits,
  | 'featureOnlineStaleMs'
  | 'featureRedisTtlMs'
  | 'featureRedisMarkMs'
  | 'featureRedisTimeoutMs'
  | 'featureRedisRetryMs'
>;

interface Dependencies {
  /** Where the rows are for good. */
  inner: OnlineStore;
  db: Queryable;
  /** `redis://` or `rediss://` (TLS), with user and password where the server wants them. */
  url: string;
  limits: StoreLimits;
  /** Told once when Redis goes away. */
  onError?: (error: unknown) => void;
}

/** Keys of one script: the server does nothing else meanwhile. */
const SCRIPT_KEYS_MAX = 500;

const reads = metrics.getMeter('aios.features').createCounter('aios.features.redis.rows', {
  description: 'Rows asked of Redis: hit, miss (read from Postgres and kept), bypass (Redis did not answer)',
  unit: '{row}',
});

/** Keys are those of one state of the database and one process of Redis: what was kept under others is never read again, and expires. */
interface Space {
  readonly of: string;
  readonly prefix: string;
  readonly runId: string;
}

/**
 * Rows in Redis (or Valkey) over Postgres, which stays the truth: what Redis does not have is read through, and where it is away every question goes to
 * Postgres. A write marks its rows before its transaction commits and settles them after: until then, and when the process dies
 * between, readers ask Postgres. A write that cannot mark begins a new epoch with its commit, which all processes see within `featureOnlineStaleMs`.
 *
 * @example new RedisOnlineStore({ inner: new PostgresOnlineStore(db), db, url: 'redis://127.0.0.1:6379', limits })
 */
export class RedisOnlineStore implements OnlineStore {
  readonly #inner: OnlineStore;
  readonly #db: Queryable;
  readonly #limits: StoreLimits;
  readonly #connection: RedisConnection;
  readonly #onError: (error: unknown) => void;
  #epoch = '';
  #space: Space | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  #looks = 0;
  #looked = 0;

  constructor({ inner, db, url, limits, onError = () => {} }: Dependencies) {
    this.#inner = inner;
    this.#db = db;
    this.#limits = limits;
    this.#onError = onError;
    this.#connection = new RedisConnection(url, limits, onError);
  }

  async read(view: string, entities: readonly string[]): Promise<readonly (OnlineRow | undefined)[]> {
    if (entities.length === 0) return [];
    if (performance.now() - this.#lookedAtMs > this.#limits.featureOnlineStaleMs) await this.#look();
    const space = this.#current();
    const keys = space ? keysOf(space, view, entities) : [];
    const begunMs = performance.now();
    const kept = await this.#connection.ask(space?.runId, (redis) => redis.mget(keys));
    if (!space || !kept) {
      reads.add(entities.length, { outcome: 'bypass' });
      return this.#inner.read(view, entities);
    }
    const rows = kept.map((text) => (text?.startsWith('=') ? unpacked(text) : undefined));
    const missing = kept.flatMap((text, at) => (text?.startsWith('=') || text === '-' ? [] : [at]));
    reads.add(entities.length - missing.length, { outcome: 'hit' });
    if (missing.length === 0) return rows;
    reads.add(missing.length, { outcome: 'miss' });
    const found = await this.#inner.read(
      view,
      missing.map((at) => entities[at]!),
    );
    for (const [index, at] of missing.entries()) rows[at] = found[index];
    // A mark that was set and gone meanwhile would not be noticed.
    if (performance.now() - begunMs < this.#limits.featureRedisMarkMs / 2) {
      const filled = missing.map((at, index) => ({
        key: keys[at]!,
        text: found[index] ? packed(found[index]) : '-',
      }));
      void this.#fill(space, filled);
    }
    return rows;
  }

  async write(tx: Queryable, view: string, rows: readonly NewRow[]): Promise<() => void> {
    const told = await this.#inner.write(tx, view, rows);
    return this.#changing(tx, view, [...new Set(rows.map(({ entity }) => entity))], told);
  }

  async removeUnseen(tx: Queryable, view: string, page: UnseenPage): Promise<Removed> {
    const removed = await this.#inner.removeUnseen(tx, view, page);
    return { ...removed, told: await this.#changing(tx, view, removed.entities, removed.told) };
  }

  /** Rows that the caller's transaction has changed. */
  async #changing(
    tx: Queryable,
    view: string,
    entities: readonly string[],
    told: () => void,
  ): Promise<() => void> {
    if (entities.length === 0) return told;
    // The rows that were written are locked until the commit: what the transaction reads now is what all will read then.
    const [newest] = await Promise.all([new PostgresOnlineStore(tx).read(view, entities), this.refresh()]);
    const space = this.#current();
    const keys = space ? keysOf(space, view, entities) : [];
    const token = randomBytes(9).toString('base64url');
    if (!space || !(await this.#mark(space, keys, token))) {
      await beginEpoch(tx);
      return () => {
        told();
        this.#lookedAtMs = Number.NEGATIVE_INFINITY;
      };
    }
    return () => {
      told();
      const settled = keys.map((key, at) => ({ key, text: newest[at] ? packed(newest[at]) : '-' }));
      void this.#settle(space, token, settled).catch(this.#onError);
    };
  }

  /** Sees the epochs that others have begun before the call. */
  async refresh(): Promise<void> {
    const look = ++this.#looks;
    const askedAtMs = performance.now();
    const [epoch] = await Promise.all([readEpoch(this.#db), this.#connection.opened()]);
    if (look < this.#looked) return; // one that began later has ended
    this.#looked = look;
    this.#epoch = epoch;
    this.#lookedAtMs = askedAtMs;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** One look for all that wait for one. */
  #look(): Promise<void> {
    this.#looking ??= this.refresh().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  #current(): Space | undefined {
    const { runId } = this.#connection;
    if (runId === undefined) return undefined;
    const of = `${this.#epoch} ${runId}`;
    if (this.#space?.of !== of) {
      const digest = createHash('sha256').update(of).digest('base64url');
      this.#space = { of, runId, prefix: `aios:${digest.slice(0, 16)}` };
    }
    return this.#space;
  }

  async #fill({ runId }: Space, rows: readonly { key: string; text: string }[]): Promise<void> {
    const ttlMs = this.#limits.featureRedisTtlMs;
    for (const part of chunks(rows)) {
      const keys = part.map(({ key }) => key);
      const texts = part.map(({ text }) => text);
      await this.#connection.ask(runId, (redis) => redis.fillRows(keys.length, ...keys, ttlMs, ...texts));
    }
  }

  async #mark({ runId }: Space, keys: readonly string[], token: string): Promise<boolean> {
    const { featureRedisMarkMs, featureRedisTtlMs } = this.#limits;
    for (const part of chunks(keys)) {
      const marked = await this.#connection.ask(runId, async (redis) => {
        await redis.markRows(part.length, ...part, token, featureRedisMarkMs, featureRedisTtlMs);
        return true;
      });
      if (!marked) return false;
    }
    return true;
  }

  /** When the space changed meanwhile, others may have read from Postgres into the new one before the commit: it ends, too. */
  async #settle(space: Space, token: string, rows: readonly { key: string; text: string }[]): Promise<void> {
    await this.refresh();
    if (this.#current()?.prefix !== space.prefix) {
      await beginEpoch(this.#db);
      this.#lookedAtMs = Number.NEGATIVE_INFINITY;
      return;
    }
    const ttlMs = this.#limits.featureRedisTtlMs;
    for (const part of chunks(rows)) {
      const keys = part.map(({ key }) => key);
      const texts = part.map(({ text }) => text);
      await this.#connection.ask(space.runId, (redis) =>
        redis.settleRows(keys.length, ...keys, token, ttlMs, ...texts),
      );
    }
  }
}

function keysOf({ prefix }: Space, view: string, entities: readonly string[]): string[] {
  return entities.map((entity) => `${prefix}:${view}:${entity}`);
}

function chunks<T>(list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / SCRIPT_KEYS_MAX) }, (_, at) =>
    list.slice(at * SCRIPT_KEYS_MAX, (at + 1) * SCRIPT_KEYS_MAX),
  );
}

function packed({ pass = 0, timeMs, createdMs, validToMs, values }: OnlineRow): string {
  return `=${pass} ${timeMs} ${createdMs} ${validToMs ?? '-'} ${JSON.stringify(values)}`;
}

function unpacked(text: string): OnlineRow {
  const ends = [0];
  for (let n = 0; n < 4; n++) ends.push(text.indexOf(' ', ends[n]! + 1));
  const [pass, time, created, until] = ends.slice(1).map((end, n) => text.slice(ends[n]! + 1, end));
  return {
    pass: Number(pass),
    timeMs: Number(time),
    createdMs: Number(created),
    validToMs: until === '-' ? null : Number(until),
    values: JSON.parse(text.slice(ends[4]! + 1)),
  };
}

/** With the commit of the caller's transaction. Two that begin at once both count; connections have slots of their own, as far as 256 go round. */
async function beginEpoch(tx: Queryable): Promise<void> {
  await tx.query(
    `insert into feature_online_epochs as e (slot) values (pg_backend_pid() % 256)
     on conflict (slot) do update set begun = e.begun + 1, space = excluded.space`,
  );
}

async function readEpoch(db: Queryable): Promise<string> {
  const [row] = await db.query<{ epoch: string }>(
    `select sum(begun) || ' ' || md5(string_agg(space::text, '' order by slot)) as epoch from feature_online_epochs`,
  );
  return row!.epoch;
}
