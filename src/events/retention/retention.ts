import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Database, Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import { aloneWithLog, putKeysAway, putKeysAwayBefore } from '../keys.ts';
import { beginAt, drop, groupsBehind, openFirst, readSegments, roll, type Segment } from './segments.ts';

/** What of the log was dropped. */
export interface Dropped {
  readonly segment: number;
  readonly bytes: number;
  /** The offset at which each partition begins from now on. */
  readonly first: readonly number[];
  /** Groups that had not read all of it; none under the policy `keep`. */
  readonly unread: readonly string[];
}

interface Dependencies {
  db: Database;
  clock: Clock;
  limits: Pick<
    Limits,
    | 'eventRetentionMs'
    | 'eventLogBytesMax'
    | 'eventDedupeMs'
    | 'eventKeysBytesMax'
    | 'eventKeysRecentMax'
    | 'eventRetentionPassMs'
    | 'eventDropWaitMs'
  >;
  /** Whether events that a group has not read are kept past their time and the bound of bytes, or dropped with the others. */
  unread: 'keep' | 'drop';
  /** Who else reads the log, by itself, and has not passed all before these offsets: feature views that are being built. */
  othersBehind?: (tx: Queryable, ends: readonly number[]) => Promise<readonly string[]>;
  /** The audit entry that is committed with a drop. */
  record: (dropped: Dropped) => Write;
  onError: (error: unknown) => void;
}

/** The log is dropped by so many parts: more would cost every read that goes over all of it, fewer keep more than is asked for. */
const PARTS = 16;

/** Somebody has come to read what was to be dropped. */
class InUse extends Error {}

function unlessInUse(error: unknown): undefined {
  if (!(error instanceof InUse)) throw error;
}

/**
 * Bounds the log by age and by size. The log is written into segments (`migrations.ts`), and a segment that is over is dropped whole.
 *
 * @example const retention = new Retention({ db, clock, limits, unread: 'keep', record, onError }); await retention.start();
 */
export class Retention {
  readonly #dependencies: Dependencies;
  #timer: NodeJS.Timeout | undefined;
  #passing: Promise<unknown> = Promise.resolve();

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  async start(): Promise<void> {
    const { limits, onError } = this.#dependencies;
    await openFirst(this.#dependencies.db, this.#dependencies.clock.now());
    this.#timer = setInterval(() => {
      this.#passing = this.pass().catch(onError);
    }, limits.eventRetentionPassMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#passing;
  }

  /** The segments of the log, the oldest first, and which groups have not passed each. */
  async segments(): Promise<(Segment & { behind: string[] })[]> {
    const { db } = this.#dependencies;
    const segments = await readSegments(db, 'events');
    return Promise.all(
      segments.map(async (segment) => ({
        ...segment,
        behind: segment.ends ? await this.#behind(db, segment.ends) : [],
      })),
    );
  }

  async #behind(tx: Queryable, ends: readonly number[]): Promise<string[]> {
    const others = await this.#dependencies.othersBehind?.(tx, ends);
    return [...(await groupsBehind(tx, ends)), ...(others ?? [])];
  }

  /** Closes what is old or large enough, and drops what is over. Answers what was dropped. */
  async pass(): Promise<Dropped[]> {
    await this.#alone((tx) => this.#rollEvents(tx));
    await putKeysAway(this.#dependencies.db, this.#dependencies.limits.eventKeysRecentMax);
    await this.#alone((tx) => this.#rollKeys(tx));
    const dropped: Dropped[] = [];
    for (;;) {
      const one = await this.#alone((tx) => this.#dropEvents(tx)).catch(unlessInUse);
      if (!one) break;
      dropped.push(one);
    }
    await this.#alone((tx) => this.#dropKeys(tx));
    return dropped;
  }

  #alone<T>(work: (tx: Queryable) => Promise<T>): Promise<T | undefined> {
    return aloneWithLog(this.#dependencies.db, work);
  }

  async #rollEvents(tx: Queryable): Promise<void> {
    const { clock, limits } = this.#dependencies;
    const current = (await readSegments(tx, 'events')).at(-1);
    if (!current) return;
    const ageMs = clock.now() - current.openedAt;
    const isFull = current.bytes >= limits.eventLogBytesMax / PARTS;
    if (isFull || ageMs >= limits.eventRetentionMs / PARTS)
      await roll(tx, 'events', current.number, clock.now());
  }

  /** Two generations are kept, so that what came in the last `eventDedupeMs` is always in one of them, as long as they fit. */
  async #rollKeys(tx: Queryable): Promise<void> {
    const { clock, limits } = this.#dependencies;
    const current = (await readSegments(tx, 'keys')).at(-1);
    if (!current) return;
    const isOld = clock.now() - current.openedAt >= limits.eventDedupeMs;
    if (isOld || current.bytes >= limits.eventKeysBytesMax / 2)
      await roll(tx, 'keys', current.number, clock.now());
  }

  async #dropKeys(tx: Queryable): Promise<void> {
    const { clock, limits } = this.#dependencies;
    const generations = await readSegments(tx, 'keys');
    const [oldest] = generations;
    if (oldest?.closedAt == null) return;
    const bytes = generations.reduce((sum, generation) => sum + generation.bytes, 0);
    const isOver = clock.now() - oldest.closedAt >= limits.eventDedupeMs;
    if (isOver || bytes > limits.eventKeysBytesMax)
      await drop(tx, 'keys', oldest.number, limits.eventDropWaitMs);
  }

  /** The oldest segment, when it is over. */
  async #dropEvents(tx: Queryable): Promise<Dropped | undefined> {
    const { clock, limits, unread, record } = this.#dependencies;
    const segments = await readSegments(tx, 'events');
    const [oldest] = segments;
    if (oldest?.closedAt == null || !oldest.ends) return undefined;
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const isOld = clock.now() - oldest.closedAt >= limits.eventRetentionMs;
    if (!isOld && bytes <= limits.eventLogBytesMax) return undefined;
    const behind = await this.#behind(tx, oldest.ends);
    if (behind.length > 0 && unread === 'keep') return undefined;
    await putKeysAwayBefore(tx, oldest.ends); // which outlive the events
    await drop(tx, 'events', oldest.number, limits.eventDropWaitMs);
    // Who began to read it since, as a replay does, had to come before the drop, which keeps the others waiting.
    if (unread === 'keep' && (await this.#behind(tx, oldest.ends)).length > 0) throw new InUse();
    await beginAt(tx, oldest.ends);
    const dropped = { segment: oldest.number, bytes: oldest.bytes, first: oldest.ends, unread: behind };
    await writeInTransaction(tx, [record(dropped)]);
    return dropped;
  }
}
