import type { Redis } from 'ioredis';
import type { Limits } from '../../kernel/limits.ts';
import { FILL, MARK, SETTLE } from './scripts.ts';

/** Redis with the scripts of the online store: the number of keys, the keys, and what the script takes. */
interface ScriptedRedis extends Redis {
  fillRows(count: number, ...rest: (string | number)[]): Promise<unknown>;
  markRows(count: number, ...rest: (string | number)[]): Promise<unknown>;
  settleRows(count: number, ...rest: (string | number)[]): Promise<unknown>;
}

export type RedisLimits = Pick<Limits, 'featureRedisTimeoutMs' | 'featureRedisRetryMs'>;

/**
 * A connection that is never waited for longer than `featureRedisTimeoutMs`: where Redis is away or slow, `ask` answers undefined, at once for the next
 * `featureRedisRetryMs`. The library is loaded, and the connection opened, by the first question.
 */
export class RedisConnection {
  readonly #url: string;
  readonly #limits: RedisLimits;
  readonly #onError: (error: unknown) => void;
  #redis: Promise<ScriptedRedis> | undefined;
  #runId: string | undefined;
  #openUntilMs = Number.NEGATIVE_INFINITY;
  #isDown = false;
  #closed = false;

  constructor(url: string, limits: RedisLimits, onError: (error: unknown) => void) {
    this.#url = url;
    this.#limits = limits;
    this.#onError = onError;
  }

  /** Of the server process that answers: another one may hold what an old snapshot held. Undefined while it is not connected. */
  get runId(): string | undefined {
    return this.#runId;
  }

  /** Resolves when the first try to connect has ended, however. */
  async opened(): Promise<void> {
    if (performance.now() >= this.#openUntilMs)
      await this.#open().catch((error: unknown) => this.#fail(error));
  }

  /** What `work` answers of the process that `runId` names; undefined when it cannot be asked. `work` must send before it returns. */
  async ask<T>(
    runId: string | undefined,
    work: (redis: ScriptedRedis) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.#redis === undefined || performance.now() < this.#openUntilMs) return undefined;
    try {
      const redis = await this.#redis;
      if (runId === undefined || runId !== this.#runId) return undefined;
      const answer = await work(redis);
      this.#isDown = false;
      return answer;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const redis = await this.#redis?.catch(() => undefined);
    redis?.disconnect();
  }

  /** Told once until it answers again. */
  #fail(error: unknown): void {
    this.#openUntilMs = performance.now() + this.#limits.featureRedisRetryMs;
    if (!this.#isDown && !this.#closed) this.#onError(error);
    this.#isDown = true;
  }

  #open(): Promise<ScriptedRedis> {
    this.#redis ??= this.#connect();
    return this.#redis;
  }

  async #connect(): Promise<ScriptedRedis> {
    const { Redis } = await import('ioredis');
    const timeoutMs = this.#limits.featureRedisTimeoutMs;
    const redis = new Redis(this.#url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      retryStrategy: (tries) => Math.min(tries * 100, this.#limits.featureRedisRetryMs),
      scripts: {
        fillRows: { lua: FILL },
        markRows: { lua: MARK },
        settleRows: { lua: SETTLE },
      },
    }) as ScriptedRedis;
    redis.on('error', (error: unknown) => this.#fail(error));
    redis.on('close', () => {
      this.#runId = undefined;
    });
    const identified = new Promise<void>((resolve) => {
      redis.on('ready', () => void this.#identify(redis).finally(resolve));
      redis.once('close', resolve);
    });
    await redis.connect().catch((error: unknown) => this.#fail(error)); // it goes on trying
    await identified;
    return redis;
  }

  async #identify(redis: Redis): Promise<void> {
    try {
      const [, runId] = /^run_id:(\S+)/m.exec(await redis.info('server')) ?? [];
      this.#runId = runId ?? 'unnamed';
      this.#openUntilMs = Number.NEGATIVE_INFINITY;
    } catch (error) {
      this.#fail(error);
    }
  }
}
