import { setTimeout as sleep } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import type { LoggedEvent, LogPosition } from '../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../kernel/errors.ts';
import { POLLED } from '../store/changes.ts';
import type { Database } from '../store/database.ts';
import type { ConsumerDefinition, ConsumerDependencies } from './consumer-definition.ts';
import { ConsumerRest } from './consumer-rest.ts';
import { buryEvent } from './dead-letters.ts';
import { passEvent, registerGroup } from './group-offsets.ts';
import type { Share } from './groups/batch.ts';
import { BatchTransaction, type Holding, Moved, Outdated } from './groups/batch-transaction.ts';
import { passDelivered } from './groups/delivering.ts';
import type { Membership } from './groups/membership.ts';
import { BatchReader } from './groups/reader.ts';
import { backOffMs, isOfTheStore, Retries } from './groups/retries.ts';
import { PartitionShare } from './groups/share.ts';
import { UndoList } from './groups/undo-list.ts';
import { Waiters } from './groups/waiters.ts';
import { PARTITIONS } from './partitions.ts';

const deadLetterCounter = metrics.getMeter('aios.events').createCounter('aios.events.dead_letters', {
  description: 'Events put aside because a consumer group could not handle them',
  unit: '{event}',
});

/** How often this process looks how far the others are, while a caller waits for one of their partitions. */
const AWAITING_MS = 10;

/**
 * One group in this process. The living processes share the partitions of a group (`groups/assignment.ts`): each works on its own, under an epoch
 * that its transaction checks, so that no event is handled by two and none is skipped, and a process that was replaced commits nothing. An
 * event that fails holds up its partition, so that the order of each key stays; after its tries it becomes a dead letter.
 */
export class Consumer {
  readonly definition: ConsumerDefinition;
  readonly #db: Database;
  readonly #reader: BatchReader;
  readonly #limits: ConsumerDependencies['limits'];
  /** How long it may sleep when there is nothing to do. */
  readonly #idleMs: () => number;
  readonly #onError: ConsumerDependencies['onError'];
  /** What this process knows: the next offset of the group, and of the log, per partition. */
  readonly #offsets: number[] = new Array(PARTITIONS).fill(0);
  readonly #heads: number[] = new Array(PARTITIONS).fill(0);
  readonly #waiters = new Waiters();
  readonly #rest = new ConsumerRest();
  #running: Promise<void> | undefined;
  #stopped = new AbortController();
  #lookedAtMs = 0;
  /** The partition that a batch of one was of. */
  #last = -1;
  /** Failures of the store in a row. */
  #failures = 0;
  readonly #share: PartitionShare;
  readonly #retries: Retries;
  readonly #holding: Holding;
  #continuity = 0;

  constructor(
    definition: ConsumerDefinition,
    { db, log, limits, changes = POLLED, onError }: ConsumerDependencies,
    membership: Membership,
  ) {
    const { group, takesPart = true } = definition;
    this.#retries = new Retries(limits.consumerAttemptsMax);
    this.#share = new PartitionShare({
      db,
      group,
      membership: takesPart ? membership : undefined,
      onLost: (partition) => this.#retries.forget(partition),
    });
    const epochOf = (partition: number) => this.#share.epoch(partition);
    this.#holding = { group, leaseMs: limits.consumerLeaseMs, epochOf };
    this.definition = definition;
    this.#db = db;
    this.#reader = new BatchReader(log, definition.until);
    this.#limits = limits;
    const followed = { pollMs: limits.consumerPollMs, isLeftByOthers: true };
    this.#idleMs = () => changes.pauseMs(followed);
    this.#onError = onError;
  }

  /** Gives a new group its offsets; nothing is read yet. */
  async register(): Promise<void> {
    const { group, from = 'earliest' } = this.definition;
    // One with an end was given its offsets when it was made.
    if (!this.definition.until) await registerGroup(this.#db, group, from);
  }

  async start(): Promise<void> {
    await this.register();
    await this.#share.join();
    await this.#refresh();
    this.#stopped = new AbortController();
    this.#running = this.#run(this.#stopped.signal);
  }

  /** Finishes the batch under way, and leaves its partitions to the others. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.wake();
    this.#rest.hurry();
    await this.#running;
    await this.#share
      .leave()
      .catch((error: unknown) => this.#onError?.(this.definition.group, toAiosError(error)));
    this.#waiters.refuse(
      new AiosError('store.unavailable', { detail: `The consumer ${this.definition.group} was stopped.` }),
    );
  }

  /** Events were committed; `next` is the offset after the last one of the partition. */
  notice(partition: number, head: number): void {
    const next = Math.min(head, this.definition.until?.[partition] ?? head);
    if (next > this.#heads[partition]!) this.#heads[partition] = next;
  }

  wake(): void {
    this.#rest.wake();
  }

  /** Passes over what it does not want soon: each batch is a transaction. */
  wakeLater(): void {
    this.#rest.wakeIn(this.#limits.consumerPollMs);
  }

  /** The group, or the processes that share it, may have changed. */
  lookAgain(): void {
    this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    this.wake();
  }

  /** Whether it is to be woken for events of these types; null are any. */
  wantsAny(types: readonly string[] | null): boolean {
    const { wakesOn } = this.definition;
    const names = wakesOn ? wakesOn() : this.#types();
    return !names || !types || types.some((type) => names.includes(type));
  }

  /** The partitions of this process, in their order. */
  partitions(): number[] {
    return this.#share.partitions();
  }

  /** Whether other processes work on the group, too. */
  isShared(): boolean {
    return this.#share.isShared;
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
    const passed = this.#waiters.wait(position);
    this.#rest.hurry();
    if (!this.#share.owns(position.partition)) this.wake();
    return passed;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#rest.begin();
      try {
        // By the clock and not only when idle: a process that is always busy must see what others append, too.
        if (performance.now() - this.#lookedAtMs >= this.#lookMs()) await this.#refresh();
        if (await this.#round()) {
          await this.#gather();
          continue;
        }
        const retryMs = this.#retries.waitMs(performance.now()) ?? Number.POSITIVE_INFINITY;
        // A partition to be tried again may be locked for a moment: then it is due all the while.
        await this.#rest.sleep(Math.min(this.#lookMs(), Math.max(AWAITING_MS, retryMs)));
      } catch (error) {
        this.#failures++;
        this.#onError?.(this.definition.group, toAiosError(error));
        await this.#backOff(this.#failures);
      }
    }
  }

  #lookMs(): number {
    const awaits = this.#waiters.waitsBeyond((partition) => this.#share.owns(partition));
    const pollMs = this.#limits.consumerPollMs;
    if (awaits) return Math.min(AWAITING_MS, pollMs);
    // What it could not take, or does not want, is there all the same; otherwise only other processes could leave it something untold.
    return this.lag() > 0 ? pollMs : this.#idleMs();
  }

  /** Batches grow while nobody waits for them: a batch of one costs about 0.5 ms of CPU, one of forty hardly more. */
  async #gather(): Promise<void> {
    if (!this.#waiters.isEmpty || this.#stopped.signal.aborted) return;
    if (this.lag() >= this.#limits.consumerBatchMax) return;
    await this.#rest.pause(this.definition.pauseMs?.() ?? this.#limits.consumerPauseMs);
  }

  /** Works on one batch of all partitions that are well, and on one of each that is to be tried again; false when there was nothing. */
  async #round(): Promise<boolean> {
    const batchMax = this.definition.batchMax ?? this.#limits.consumerBatchMax;
    const countMax = Math.min(batchMax, this.definition.room?.() ?? batchMax);
    if (countMax <= 0) return false;
    const behind = this.partitions().filter(
      (partition) => this.#heads[partition]! > this.#offsets[partition]! && !this.#retries.holds(partition),
    );
    let isWorked =
      behind.length > 0 &&
      (await this.#batch(this.definition.deliver ? behind : this.#together(behind, countMax), countMax));
    for (const { partition, countMax: few } of this.#retries.due(performance.now()))
      isWorked = (await this.#batch([partition], Math.min(few, countMax))) || isWorked;
    return isWorked;
  }

  /** Far behind in all of them, one after the other: a batch of one partition is one question to the database, one of eight is eight. */
  #together(behind: readonly number[], countMax: number): readonly number[] {
    const next = this.#isFar(behind, countMax) ? this.#nextOf(behind) : undefined;
    if (next === undefined) return behind;
    this.#last = next;
    return [next];
  }

  #isFar(behind: readonly number[], countMax: number): boolean {
    return behind.every((partition) => this.#heads[partition]! - this.#offsets[partition]! >= countMax);
  }

  #nextOf(behind: readonly number[]): number | undefined {
    return behind.find((partition) => partition > this.#last) ?? behind[0];
  }

  /** While a batch of one partition is worked on, the one that comes after it is read. */
  #readAhead(shares: readonly Share[], countMax: number): void {
    const [share] = shares;
    if (shares.length !== 1 || !share || share.partition !== this.#last) return;
    const behind = this.partitions().filter((partition) => {
      const offset = partition === share.partition ? share.next : this.#offsets[partition]!;
      return this.#heads[partition]! - offset >= countMax && !this.#retries.holds(partition);
    });
    const next = this.#nextOf(behind);
    if (next === undefined) return;
    const offset = next === share.partition ? share.next : this.#offsets[next]!;
    this.#reader.readAhead(next, offset, countMax, this.#db);
  }

  async #batch(partitions: readonly number[], countMax: number): Promise<boolean> {
    let shares: Share[] = [];
    let after: (() => void) | undefined;
    try {
      shares = await this.#read(partitions, countMax);
      if (this.definition.deliver) shares = await this.#handOver(shares);
      else {
        this.#readAhead(shares, countMax);
        after = await this.#work(shares.filter(({ events }) => events.length > 0));
      }
    } catch (error) {
      await this.#recover(error, shares);
      return true;
    }
    this.#failures = 0;
    let count = 0;
    for (const { partition, events, next } of shares) {
      this.#offsets[partition] = next;
      this.#retries.passed(partition, next);
      count += events.length;
    }
    this.#waiters.settle(this.#offsets);
    after?.();
    return count > 0;
  }

  /** What this process knows to come next. */
  #read(partitions: readonly number[], countMax: number): Promise<Share[]> {
    const evenly = Math.ceil(countMax / partitions.length);
    return Promise.all(
      partitions.map((partition) =>
        this.#reader.read(partition, this.#offsets[partition]!, evenly, this.#db),
      ),
    );
  }

  /** The batch of a sink: outside any transaction; a partition that was lost or moved meanwhile stays where it is. */
  async #handOver(shares: Share[]): Promise<Share[]> {
    const wanted = this.#wanted(shares.flatMap(({ events }) => events));
    const delivery = wanted.length > 0 ? await this.definition.deliver!(wanted) : undefined;
    const passed = await this.#db.transaction((tx) => passDelivered(tx, shares, delivery, this.#holding));
    // The rest is somebody else's, or has moved: it looks before it hands the same over again.
    if (passed.length < shares.length) this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    return passed;
  }

  async #work(shares: readonly Share[]): Promise<(() => void) | undefined> {
    if (shares.length === 0) return undefined;
    const revision = this.definition.definitions?.revision;
    const wanted = this.#wanted(shares.flatMap(({ events }) => events));
    const transaction = new BatchTransaction(this.#db, this.#holding, shares);
    const undoing = new UndoList();
    const handle = () => this.definition.handle(wanted, transaction.tx, undoing.add);
    try {
      const after = wanted.length > 0 ? await handle() : undefined;
      await transaction.commit(revision);
      return after;
    } catch (error) {
      const reason = await transaction.rollback(error);
      undoing.undo();
      throw reason;
    }
  }

  #wanted(events: LoggedEvent[]): LoggedEvent[] {
    const names = this.#types();
    return names ? events.filter(({ event }) => names.includes(event.type)) : events;
  }

  #types(): readonly string[] | undefined {
    const { types } = this.definition;
    return typeof types === 'function' ? types() : types;
  }

  async #recover(error: unknown, shares: readonly Share[]): Promise<void> {
    if (error instanceof Outdated) return this.definition.definitions!.reload();
    if (!(error instanceof Moved)) return this.#failed(error, shares);
    await this.#refresh();
    await this.#backOff(1);
  }

  async #failed(error: unknown, shares: readonly Share[]): Promise<void> {
    const problem = toAiosError(error);
    this.#onError?.(this.definition.group, problem);
    const taken = shares.filter(({ events }) => events.length > 0);
    if (taken.length === 0 || isOfTheStore(error, problem)) return this.#backOff(++this.#failures);
    for (const { partition, offset, events } of taken) {
      const batch = { partition, offset, count: events.length, isAll: taken.length === 1 };
      const tries = this.#retries.failed(batch, problem, performance.now());
      if (tries !== undefined) await this.#bury(events[0]!, problem, tries);
    }
  }

  /** Puts an event aside and moves over it, unless another process has done either meanwhile. */
  async #bury(event: LoggedEvent, problem: AiosError, tries: number): Promise<void> {
    const { group } = this.definition;
    const { partition, offset } = event;
    const epoch = this.#share.epoch(partition)!;
    const buried = await this.#db.transaction(async (tx) => {
      const passed = await passEvent(tx, group, { partition, offset, epoch });
      if (passed) await buryEvent(tx, group, event, problem, tries);
      return passed;
    });
    if (!buried) return this.#refresh();
    deadLetterCounter.add(1, { group });
    this.#offsets[partition] = offset + 1;
    this.#retries.passed(partition, offset + 1);
    this.#waiters.settle(this.#offsets);
  }

  /** Ends early when the consumer is stopped. */
  async #backOff(failures: number): Promise<void> {
    await sleep(backOffMs(failures), undefined, { signal: this.#stopped.signal }).catch(() => {});
  }

  /** Reads what other processes have appended and consumed, and takes or gives what the sharing of the group asks for. */
  async #refresh(): Promise<void> {
    this.#lookedAtMs = performance.now();
    for (const { partition, log_offset: offset, next_offset: head } of await this.#share.look()) {
      this.#follow(partition, offset);
      this.notice(partition, head);
    }
    this.#waiters.settle(this.#offsets);
  }

  /** It may go back, too: a group can be reset. */
  #follow(partition: number, offset: number): void {
    if (offset === this.#offsets[partition]) return;
    this.#offsets[partition] = offset;
    this.#continuity++;
  }
}
