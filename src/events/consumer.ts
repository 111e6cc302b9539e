import { setTimeout as sleep } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { classify, type Database, type Queryable } from '../store/database.ts';
import type { Definitions } from '../store/definitions.ts';
import { buryEvent } from './dead-letters.ts';
import { lockOffsets, moveOffsets, passEvent, readOffsets, registerGroup } from './group-offsets.ts';
import type { EventLog } from './log.ts';
import { PARTITIONS } from './partitions.ts';

/** Who reads the log, and what it does with a batch. */
export interface ConsumerDefinition {
  /** Each group sees every event once; its offsets are kept under this name. */
  readonly group: string;
  /** The event types wanted; all when left out. The offset moves over the others. */
  readonly types?: readonly string[] | (() => readonly string[] | undefined);
  /** The event types that it is woken for at once, where it takes others too; the others wait for its next look. */
  readonly wakesOn?: () => readonly string[] | undefined;
  /** What decides which events it wants: a batch that was worked on under older definitions than its events were sent under is worked on again. */
  readonly definitions?: Pick<Definitions, 'revision' | 'reload'>;
  /** Where a group that is new begins. */
  readonly from?: 'earliest' | 'latest';
  /** Milliseconds from one batch to the next while nobody waits; `consumerPauseMs` when left out. */
  readonly pauseMs?: () => number;
  /** How many events may be taken now; asked before each batch. At 0 the group waits until it is woken. */
  readonly room?: () => number;
  /**
   * Works on events in the order of their partitions, writing through `tx`: its writes and the group's offsets are committed together.
   * A function that it returns runs after that commit.
   */
  handle(events: LoggedEvent[], tx: Queryable): Promise<(() => void) | undefined>;
}

export interface ConsumerDependencies {
  db: Database;
  log: EventLog;
  limits: Pick<Limits, 'consumerBatchMax' | 'consumerPauseMs' | 'consumerPollMs' | 'consumerAttemptsMax'>;
  onError?: (group: string, error: AiosError) => void;
}

const deadLetterCounter = metrics.getMeter('aios.events').createCounter('aios.events.dead_letters', {
  description: 'Events put aside because a consumer group could not handle them',
  unit: '{event}',
});

const BACK_OFF_MS = 20;
const BACK_OFF_MAX_MS = 2000;
/** An error that says "later" (a model that is loading) gets ten times the tries: about 100 s at the longest back-off. */
const RETRYABLE_FACTOR = 10;

interface Waiter {
  position: LogPosition;
  resolve(): void;
  reject(error: AiosError): void;
}

/** Definitions were changed by another process, and are not yet known here. */
class Outdated extends Error {}

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
  /** Ends the pause between two batches. */
  #hurry: (() => void) | undefined;
  #woken = false;
  #running: Promise<void> | undefined;
  #stopped = new AbortController();
  #lookedAtMs = 0;
  /** Failures in a row. */
  #failures = 0;
  /** Where a failed batch ends, per partition: it is halved until the event that fails stands alone. Empty when all is well. */
  readonly #suspects = new Map<number, number>();
  /** The event that fails alone, and how often it did. */
  #alone: (LogPosition & { tries: number }) | undefined;
  #continuity = 0;

  constructor(definition: ConsumerDefinition, { db, log, limits, onError }: ConsumerDependencies) {
    this.definition = definition;
    this.#db = db;
    this.#log = log;
    this.#limits = limits;
    this.#onError = onError;
  }

  /** Gives a new group its offsets; nothing is read yet. */
  async register(): Promise<void> {
    const { group, from = 'earliest' } = this.definition;
    await registerGroup(this.#db, group, from);
  }

  async start(): Promise<void> {
    await this.register();
    await this.#refresh();
    this.#stopped = new AbortController();
    this.#running = this.#run(this.#stopped.signal);
  }

  /** Finishes the batch under way. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.wake();
    this.#hurry?.();
    await this.#running;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters)
      reject(
        new AiosError('store.unavailable', { detail: `The consumer ${this.definition.group} was stopped.` }),
      );
  }

  /** Events were committed; `next` is the offset after the last one of the partition. */
  notice(partition: number, next: number): void {
    if (next > this.#heads[partition]!) this.#heads[partition] = next;
  }

  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  wantsAny(events: readonly LoggedEvent[]): boolean {
    const { wakesOn } = this.definition;
    const names = wakesOn ? wakesOn() : this.#types();
    return !names || events.some(({ event }) => names.includes(event.type));
  }

  /** Events of the log that the group has not passed, as far as this process knows. */
  lag(): number {
    return this.#heads.reduce(
      (sum, head, partition) => sum + Math.max(0, head - this.#offsets[partition]!),
      0,
    );
  }

  /** The offset of a partition before which the group has committed everything, as far as this process knows. */
  offset(partition: number): number {
    return this.#offsets[partition]!;
  }

  /** Changes whenever another process turns out to have worked on the group's events: what a handler keeps in memory may miss them. */
  continuity(): number {
    return this.#continuity;
  }

  /**
   * Resolves once the group has committed past a position, in whichever process.
   *
   * @throws AiosError `store.unavailable` when this consumer is stopped before
   */
  passed(position: LogPosition): Promise<void> {
    if (this.#offsets[position.partition]! > position.offset) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ position, resolve, reject });
      this.#hurry?.();
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken = false;
      try {
        // By the clock and not only when idle: a process that is always busy must see what others append, too.
        if (performance.now() - this.#lookedAtMs >= this.#limits.consumerPollMs) await this.#refresh();
        if (await this.#round()) {
          await this.#gather();
          continue;
        }
        if (!this.#woken) await this.#sleep(this.#limits.consumerPollMs);
      } catch (error) {
        this.#failures++;
        this.#onError?.(this.definition.group, toAiosError(error));
        await this.#backOff(this.#failures);
      }
    }
  }

  /** Batches grow while nobody waits for them: a batch of one costs about 0.5 ms of CPU, one of forty hardly more. */
  async #gather(): Promise<void> {
    if (this.#waiters.length > 0 || this.#stopped.signal.aborted || this.#suspects.size > 0) return;
    if (this.lag() >= this.#limits.consumerBatchMax) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#hurry = resolve;
      timer = setTimeout(resolve, this.definition.pauseMs?.() ?? this.#limits.consumerPauseMs);
    });
    clearTimeout(timer);
    this.#hurry = undefined;
  }

  /** Works on one batch; false when there was none. */
  async #round(): Promise<boolean> {
    const isolating = this.#suspects.size > 0;
    const behind = isolating
      ? [...this.#suspects.keys()]
      : this.#heads.flatMap((head, partition) => (head > this.#offsets[partition]! ? [partition] : []));
    const countMax = Math.min(
      this.#limits.consumerBatchMax,
      this.definition.room?.() ?? Number.POSITIVE_INFINITY,
    );
    if (behind.length === 0 || countMax <= 0) return false;
    let shares: Share[] = [];
    let after: (() => void) | undefined;
    try {
      await this.#db.transaction(async (tx) => {
        shares = await this.#take(tx, behind, countMax);
        after = await this.#work(shares, tx);
      });
    } catch (error) {
      if (error instanceof Outdated) await this.definition.definitions!.reload();
      else await this.#failed(error, shares);
      return true;
    }
    this.#failures = 0;
    const count = shares.reduce((sum, { events }) => sum + events.length, 0);
    if (count === 0) this.#suspects.clear(); // passed, or in the hands of another process, which will find the bad event itself
    for (const { partition, offset, events } of shares) {
      if (offset !== this.#offsets[partition]) this.#continuity++; // others, or a commit whose answer was lost, moved it meanwhile
      this.#offsets[partition] = offset + events.length;
    }
    this.#settle();
    after?.();
    return isolating || count > 0;
  }

  /** Locks the group's rows and reads what comes next; rows that another process holds are left to it. */
  async #take(tx: Queryable, partitions: readonly number[], batchMax: number): Promise<Share[]> {
    const rows = await lockOffsets(tx, this.definition.group, partitions);
    const suspected = rows.map((row) =>
      Math.max(0, (this.#suspects.get(row.partition) ?? 0) - row.log_offset),
    );
    let half = Math.ceil(suspected.reduce((sum, count) => sum + count, 0) / 2);
    const evenly = Math.ceil(batchMax / Math.max(1, rows.length));
    const shares: Share[] = [];
    for (const [index, { partition, log_offset: offset }] of rows.entries()) {
      const countMax = this.#suspects.size > 0 ? Math.min(half, suspected[index]!) : evenly;
      const events = countMax > 0 ? await this.#log.read(partition, offset, countMax, tx) : [];
      half -= events.length;
      shares.push({ partition, offset, events });
    }
    return shares;
  }

  async #work(shares: readonly Share[], tx: Queryable): Promise<(() => void) | undefined> {
    const moved = shares.filter(({ events }) => events.length > 0);
    if (moved.length === 0) return undefined;
    const known = this.definition.definitions?.revision;
    const wanted = this.#wanted(moved.flatMap(({ events }) => events));
    const after = wanted.length > 0 ? await this.definition.handle(wanted, tx) : undefined;
    const revision = await moveOffsets(tx, this.definition.group, moved);
    if (known !== undefined && revision > known) throw new Outdated();
    return after ?? undefined;
  }

  #wanted(events: LoggedEvent[]): LoggedEvent[] {
    const names = this.#types();
    return names ? events.filter(({ event }) => names.includes(event.type)) : events;
  }

  #types(): readonly string[] | undefined {
    const { types } = this.definition;
    return typeof types === 'function' ? types() : types;
  }

  async #failed(error: unknown, shares: readonly Share[]): Promise<void> {
    this.#failures++;
    const problem = toAiosError(error);
    this.#onError?.(this.definition.group, problem);
    const taken = shares.filter(({ events }) => events.length > 0);
    const [share] = taken;
    if (!share || isOfTheStore(error, problem)) return this.#backOff(this.#failures);
    if (taken.length > 1 || share.events.length > 1) {
      // The first failure may be a passing one: the batch is tried again whole.
      if (this.#failures === 1 && this.#suspects.size === 0) return this.#backOff(1);
      this.#suspects.clear();
      for (const { partition, offset, events } of taken)
        this.#suspects.set(partition, offset + events.length);
      return this.#backOff(1);
    }
    const [event] = share.events as [LoggedEvent];
    const { partition, offset } = event;
    const same = this.#alone?.partition === partition && this.#alone.offset === offset;
    const tries = same ? this.#alone!.tries + 1 : 1;
    this.#alone = { partition, offset, tries };
    this.#suspects.clear();
    this.#suspects.set(partition, offset + 1);
    const triesMax = this.#limits.consumerAttemptsMax * (problem.retryable ? RETRYABLE_FACTOR : 1);
    if (tries < triesMax) return this.#backOff(tries);
    await this.#bury(event, problem, tries);
  }

  /** Puts an event aside and moves over it, unless another process has done either meanwhile. */
  async #bury(event: LoggedEvent, problem: AiosError, tries: number): Promise<void> {
    const { group } = this.definition;
    const { partition, offset } = event;
    const buried = await this.#db.transaction(async (tx) => {
      const passed = await passEvent(tx, group, event);
      if (passed) await buryEvent(tx, group, event, problem, tries);
      return passed;
    });
    this.#failures = 0;
    this.#alone = undefined;
    this.#suspects.clear();
    if (!buried) return this.#refresh();
    deadLetterCounter.add(1, { group });
    this.#offsets[partition] = offset + 1;
    this.#settle();
  }

  /** Ends early when the consumer is stopped. */
  async #backOff(failures: number): Promise<void> {
    const ms = Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** Math.min(failures - 1, 8));
    await sleep(ms, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }

  /** Reads what other processes have appended and consumed. */
  async #refresh(): Promise<void> {
    this.#lookedAtMs = performance.now();
    const rows = await readOffsets(this.#db, this.definition.group);
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

/** The database being away, or a lost race, says nothing about the event: it is tried for as long as that lasts. */
function isOfTheStore(error: unknown, problem: AiosError): boolean {
  const failure = classify(error);
  return failure === 'lost' || failure === 'race' || (problem.code.startsWith('store.') && problem.retryable);
}
