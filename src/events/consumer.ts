import { setTimeout as sleep } from 'node:timers/promises';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { type AiosError, toAiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { classify, type Database, type Queryable } from '../store/database.ts';
import { buryEvent } from './dead-letters.ts';
import { type EventLog, PARTITIONS } from './log.ts';

/** Who reads the log, and what it does with a batch. */
export interface ConsumerDefinition {
  /** Each group sees every event once; its offsets are kept under this name. */
  readonly group: string;
  /** The event types wanted; all when left out. The offset moves over the others. */
  readonly types?: readonly string[] | (() => readonly string[]);
  /** Where a group that is new begins. */
  readonly from?: 'earliest' | 'latest';
  /**
   * Works on events in the order of their partitions, writing through `tx`: its writes and the group's offsets are committed together.
   * A function that it returns runs after that commit.
   */
  handle(events: LoggedEvent[], tx: Queryable): Promise<(() => void) | undefined>;
}

export interface ConsumerDependencies {
  db: Database;
  log: EventLog;
  limits: Pick<Limits, 'consumerBatchMax' | 'consumerPollMs' | 'consumerAttemptsMax'>;
  onError?: (group: string, error: AiosError) => void;
}

const BACK_OFF_MS = 20;
const BACK_OFF_MAX_MS = 2000;

interface Waiter {
  position: LogPosition;
  resolve(): void;
}

interface Share {
  partition: number;
  offset: number;
  events: LoggedEvent[];
}

/**
 * One group in this process. Its offset rows are locked while it works, so several processes share a group without a coordinator and
 * the order within a partition holds. An event that fails again and again alone becomes a dead letter; its neighbours go on.
 */
export class Consumer {
  readonly definition: ConsumerDefinition;
  readonly #db: Database;
  readonly #log: EventLog;
  readonly #limits: ConsumerDependencies['limits'];
  readonly #onError: ConsumerDependencies['onError'];
  /** What this process knows: the next offset of the group, and of the log, per partition. */
  readonly #offsets: number[] = new Array(PARTITIONS).fill(0);
  readonly #heads: number[] = new Array(PARTITIONS).fill(0);
  #waiters: Waiter[] = [];
  #wake: (() => void) | undefined;
  #woken = false;
  #running: Promise<void> | undefined;
  #stopping = false;
  /** Failures in a row; from the second on events are taken one by one until the bad one is found. */
  #failures = 0;
  #continuity = 0;

  constructor(definition: ConsumerDefinition, { db, log, limits, onError }: ConsumerDependencies) {
    this.definition = definition;
    this.#db = db;
    this.#log = log;
    this.#limits = limits;
    this.#onError = onError;
  }

  async start(): Promise<void> {
    const { group, from = 'earliest' } = this.definition;
    await this.#db.query(
      `insert into event_consumers select $1, partition, case when $2 then next_offset else 0 end from event_partitions on conflict do nothing`,
      [group, from === 'latest'],
    );
    await this.#refresh();
    this.#stopping = false;
    this.#running = this.#run();
  }

  /** Finishes the batch under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.wake();
    await this.#running;
  }

  /** Events were committed; `next` is the offset after the last one of the partition. */
  notice(partition: number, next: number): void {
    if (next > this.#heads[partition]!) this.#heads[partition] = next;
  }

  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  /** Events of the log that the group has not passed, as far as this process knows. */
  lag(): number {
    return this.#heads.reduce(
      (sum, head, partition) => sum + Math.max(0, head - this.#offsets[partition]!),
      0,
    );
  }

  /** Changes whenever another process turns out to have worked on the group's events: what a handler keeps in memory may miss them. */
  continuity(): number {
    return this.#continuity;
  }

  /** Resolves once the group has committed past a position, in whichever process. A position before the log begins is passed. */
  passed(position: LogPosition): Promise<void> {
    if (this.#offsets[position.partition]! > position.offset) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ position, resolve });
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#woken = false;
      try {
        if (await this.#round()) continue;
        if (!this.#woken) await this.#sleep(this.#limits.consumerPollMs);
        if (!this.#woken) await this.#refresh();
      } catch (error) {
        const failure = toAiosError(error);
        this.#onError?.(this.definition.group, failure);
        await sleep(Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** Math.min(this.#failures, 8)));
      }
    }
  }

  /** Works on one batch; false when there was none. */
  async #round(): Promise<boolean> {
    const behind = this.#heads.flatMap((head, partition) =>
      head > this.#offsets[partition]! ? [partition] : [],
    );
    if (behind.length === 0) return false;
    let shares: Share[] = [];
    let after: (() => void) | undefined;
    try {
      await this.#db.transaction(async (tx) => {
        shares = await this.#take(tx, behind);
        after = await this.#work(shares, tx);
      });
    } catch (error) {
      await this.#failed(error, shares);
      return true;
    }
    this.#failures = 0;
    for (const { partition, offset, events } of shares) this.#offsets[partition] = offset + events.length;
    after?.();
    this.#settle();
    return shares.some(({ events }) => events.length > 0);
  }

  /** Locks the group's rows and reads what comes next; rows that another process holds are left to it. */
  async #take(tx: Queryable, partitions: readonly number[]): Promise<Share[]> {
    const rows = await tx.query<{ partition: number; log_offset: number }>(
      `select partition, log_offset from event_consumers where consumer_group = $1 and partition = any($2::smallint[])
       order by partition for update skip locked`,
      [this.definition.group, partitions],
    );
    const countMax =
      this.#failures > 1 ? 1 : Math.ceil(this.#limits.consumerBatchMax / Math.max(1, rows.length));
    const shares: Share[] = [];
    for (const { partition, log_offset: offset } of rows) {
      if (offset > this.#offsets[partition]!) this.#continuity++;
      shares.push({ partition, offset, events: await this.#log.read(partition, offset, countMax, tx) });
    }
    return shares;
  }

  async #work(shares: readonly Share[], tx: Queryable): Promise<(() => void) | undefined> {
    const moved = shares.filter(({ events }) => events.length > 0);
    if (moved.length === 0) return undefined;
    const wanted = this.#wanted(moved.flatMap(({ events }) => events));
    const after = wanted.length > 0 ? await this.definition.handle(wanted, tx) : undefined;
    await moveOffsets(tx, this.definition.group, moved);
    return after ?? undefined;
  }

  #wanted(events: LoggedEvent[]): LoggedEvent[] {
    const { types } = this.definition;
    if (!types) return events;
    const names = typeof types === 'function' ? types() : types;
    return events.filter(({ event }) => names.includes(event.type));
  }

  async #failed(error: unknown, shares: readonly Share[]): Promise<void> {
    this.#failures++;
    const problem = toAiosError(error);
    this.#onError?.(this.definition.group, problem);
    const events = shares.flatMap((share) => share.events);
    const alone = events.length === 1 ? events[0] : undefined;
    // The database being away says nothing about the event; anything else that fails alone, often enough, is the event's fault.
    const ours = classify(error) === 'lost' || problem.code === 'store.unavailable';
    if (alone && !ours && this.#failures > this.#limits.consumerAttemptsMax) {
      const { group } = this.definition;
      await this.#db.transaction(async (tx) => {
        await buryEvent(tx, group, alone, problem, this.#failures);
        await moveOffsets(tx, group, shares);
      });
      this.#offsets[alone.partition] = alone.offset + 1;
      this.#failures = 0;
      this.#settle();
      return;
    }
    await sleep(Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** Math.min(this.#failures, 8)));
  }

  /** Reads what other processes have appended and consumed. */
  async #refresh(): Promise<void> {
    const rows = await this.#db.query<{ partition: number; log_offset: number; next_offset: number }>(
      `select partition, log_offset, next_offset from event_consumers join event_partitions using (partition) where consumer_group = $1`,
      [this.definition.group],
    );
    for (const { partition, log_offset: offset, next_offset: head } of rows) {
      if (offset > this.#offsets[partition]!) {
        this.#offsets[partition] = offset;
        this.#continuity++;
      }
      this.notice(partition, head);
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#waiters.length === 0) return;
    const waiting: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (this.#offsets[waiter.position.partition]! > waiter.position.offset) waiter.resolve();
      else waiting.push(waiter);
    }
    this.#waiters = waiting;
  }

  async #sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

async function moveOffsets(tx: Queryable, group: string, shares: readonly Share[]): Promise<void> {
  await tx.query(
    `update event_consumers c set log_offset = t.log_offset from unnest($2::smallint[], $3::bigint[]) as t(partition, log_offset)
     where c.consumer_group = $1 and c.partition = t.partition`,
    [
      group,
      shares.map(({ partition }) => partition),
      shares.map(({ offset, events }) => offset + events.length),
    ],
  );
}
