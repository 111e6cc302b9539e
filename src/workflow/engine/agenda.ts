import type { Clock } from '../../kernel/clock.ts';
import { POLLED } from '../../store/changes.ts';
import { Admissions } from './admissions.ts';
import { Claims } from './claims.ts';
import type { Held } from './held.ts';
import { Retention } from './retention.ts';
import type { Scheduler } from './scheduler.ts';
import type { ClaimedRun } from './stored-run.ts';
import type { Worker } from './worker.ts';

/** How many runs one look at the store takes up. */
const CLAIM_MAX = 200;

/**
 * When a worker looks at what: its lease, waits that are due by the business clock, runs of dead workers, signals and requests that other
 * processes wrote. Only the earliest due time is kept in memory; the store has the others.
 */
export class Agenda {
  readonly #worker: Worker;
  readonly #perform: (held: Held) => void;
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  readonly #retention: Retention;
  readonly #claims = new Claims();
  #alarmMs = Number.POSITIVE_INFINITY;
  #alarm: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #stopClock: (() => void) | undefined;
  #ringing: Promise<void> | undefined;
  #polling = false;
  #lookedAtMs = 0;
  /** Something happened here that a look may have to follow, since the last one. */
  #isStirred = true;
  #stirredAtMs = 0;
  #unfollow: (() => void) | undefined;
  #stopped = false;
  #renewedAtMs = 0;
  #sweptAtMs = 0;
  readonly #toWake = new Set<string>();
  subscribedTypes: readonly string[] = [];
  /** Called at each look at the store. */
  onLook: () => void = () => {};

  readonly admissions: Admissions;

  /** Without `takesRuns` it takes up nothing. */
  constructor(worker: Worker, perform: (held: Held) => void, scheduler: Scheduler, takesRuns: boolean) {
    this.#stopped = !takesRuns;
    this.#worker = worker;
    this.#scheduler = scheduler;
    this.#perform = perform;
    this.admissions = new Admissions(worker, this.#claims, (runs) => this.#take(runs));
    this.#clock = worker.deps.clock;
    this.#retention = new Retention(worker.deps);
    worker.onDue = (dueMs) => {
      this.stir();
      this.#arm(dueMs);
    };
    worker.deps.store.onSignal((runIds) => this.#wakeSoon(runIds));
    worker.deps.store.queues.onChange(() => this.stir());
    scheduler.onChange = () => this.stir();
  }

  async begin(): Promise<void> {
    const { store, limits } = this.#worker.deps;
    await this.#renew();
    // A clock that is moved by hand tells when; the other one is asked by a timer.
    const clock = this.#clock as Clock & { onAdvance?: (listener: (nowMs: number) => void) => () => void };
    this.#stopClock = clock.onAdvance?.((nowMs) => nowMs >= this.#alarmMs && this.#ring());
    this.subscribedTypes = await store.subscribedTypes();
    await this.#takeOver();
    await this.#scheduler.tell();
    this.admissions.begin();
    this.#arm((await store.nextDueMs()) ?? Number.POSITIVE_INFINITY);
    this.#unfollow = this.#worker.deps.changes?.follow([], () => this.stir());
    this.#poll = setInterval(() => void this.#tick(), limits.runPollMs);
  }

  // ---- due times ----

  #arm(dueMs: number): void {
    if (dueMs >= this.#alarmMs || this.#stopped) return;
    this.#alarmMs = dueMs;
    clearTimeout(this.#alarm);
    if (this.#stopClock) {
      if (dueMs <= this.#clock.now()) this.#ring();
      return;
    }
    // setTimeout takes 2^31 - 1 ms at most; the next look arms it again.
    const inMs = Math.min(Math.max(0, dueMs - this.#clock.now()), 0x7fffffff);
    this.#alarm = setTimeout(() => this.#ring(), inMs);
  }

  #ring(): void {
    this.#alarmMs = Number.POSITIVE_INFINITY;
    const previous = this.#ringing ?? Promise.resolve();
    this.#ringing = previous.then(() => this.#takeUpDue()).catch(() => {});
  }

  async #takeUpDue(): Promise<void> {
    const { store } = this.#worker.deps;
    const nowMs = this.#clock.now();
    for (const held of this.#worker.held.values()) {
      held.execution.waiters.tick(nowMs);
      const { dueMs } = held.execution.waiters;
      if (dueMs !== undefined) this.#arm(dueMs);
    }
    // The runs that schedules start are due at once: they are taken up below.
    await this.#scheduler.look(nowMs);
    for (;;) {
      const count = Math.min(CLAIM_MAX, this.#room);
      const ids = count > 0 ? await store.due(nowMs, count) : [];
      const claimed = ids.length > 0 ? await this.#takeUp(() => store.claim(this.#worker.id, ids)) : 0;
      // Those that another process holds locked are its own to take up; those that have no room here wait for the next look.
      if (claimed === 0 || ids.length < count) break;
    }
    const nextMs = await store.nextDueMs();
    // Due and not claimed: another process is about to; the next poll looks again.
    if (nextMs !== undefined && nextMs > nowMs) this.#arm(nextMs);
  }

  // ---- polling ----

  /** What this process does may leave something to be found by a look: until a lease has passed since, each tick looks. */
  stir(): void {
    this.#isStirred = true;
  }

  /** A transaction that inserted runs may have been committed, though this process was not told: the next look asks for runs of its own that it does not know. */
  doubt(): void {
    this.#claims.doubt();
    this.stir();
  }

  /** Nobody else is there and nothing happened here for as long as a dead process keeps its runs: it looks seldom. */
  async #tick(): Promise<void> {
    const { held, letGo, deps } = this.#worker;
    const {
      limits: { runPollMs, runLeaseMs },
      changes = POLLED,
    } = deps;
    const nowMs = this.#worker.monotonicMs();
    if (this.#isStirred || held.size > 0 || letGo.size > 0) this.#stirredAtMs = nowMs;
    const pauseMs =
      nowMs - this.#stirredAtMs < runLeaseMs
        ? 0
        : Math.min(changes.pauseMs({ pollMs: runPollMs, isLeftByOthers: true }), runLeaseMs / 3);
    if (pauseMs > runPollMs && nowMs - this.#lookedAtMs < pauseMs) return;
    this.#isStirred = false;
    this.#lookedAtMs = nowMs;
    await this.#look();
  }

  async #look(): Promise<void> {
    if (this.#polling || this.#stopped) return;
    this.#polling = true;
    this.onLook();
    const { store, limits } = this.#worker.deps;
    try {
      if (this.#worker.monotonicMs() - this.#renewedAtMs >= limits.runLeaseMs / 3) await this.#renew();
      await this.#takeOver();
      await this.#takeAgain();
      const signaled = await store.signaled(this.#worker.id, CLAIM_MAX);
      if (signaled.length > 0) {
        this.stir();
        await this.#wake(signaled);
      }
      await this.admissions.look();
      for (const { id, requested } of await store.requested(this.#worker.id))
        await this.#carryOut(id, requested);
      await this.#scheduler.tell();
      const nextMs = await store.nextDueMs();
      if (nextMs !== undefined) this.#arm(nextMs);
      await this.#sweep();
      if (await this.#retention.look()) this.stir();
    } catch {
      this.stir();
      // The database is away: the next look tries again, and the lease says whether runs may still act.
    } finally {
      this.#polling = false;
    }
  }

  /** Large values that no run refers to any more, now and then. */
  async #sweep(): Promise<void> {
    const { store, limits } = this.#worker.deps;
    const nowMs = this.#worker.monotonicMs();
    if (nowMs - this.#sweptAtMs < limits.payloadSweepMs) return;
    this.#sweptAtMs = nowMs;
    await store.sweepPayloads();
  }

  async #renew(): Promise<void> {
    const { store, limits } = this.#worker.deps;
    const atMs = this.#worker.monotonicMs();
    if (!(await store.renew(this.#worker.id, limits.runLeaseMs))) this.#worker.leaseLapsed();
    this.#renewedAtMs = atMs;
    // Counted from before the question, so that this side never believes longer than the database does.
    this.#worker.leaseUntilMs = atMs + limits.runLeaseMs;
  }

  async #takeOver(): Promise<void> {
    const count = Math.min(CLAIM_MAX, this.#room);
    if (count <= 0) return;
    await this.#takeUp(() => this.#worker.deps.store.takeOver(this.#worker.id, count));
  }

  /** How many more runs this process may hold. */
  get #room(): number {
    return this.#worker.deps.limits.runsActiveMax - this.#worker.held.size;
  }

  async #takeAgain(): Promise<void> {
    const { letGo, held, id, deps } = this.#worker;
    const isHere = (runId: string) => held.has(runId);
    for (const runId of await this.#claims.lost(() => deps.store.heldBy(id), isHere)) letGo.add(runId);
    if (letGo.size === 0) return;
    const ids = [...letGo].filter((runId) => !held.has(runId));
    await this.#takeUp(async () => {
      const claimed = await deps.store.takeAgain(id, ids);
      letGo.clear();
      return claimed;
    });
  }

  // ---- taking runs up ----

  /** Signals of one commit, and of those that follow at once, are taken up together. */
  #wakeSoon(runIds: readonly string[]): void {
    if (this.#stopped) return;
    this.stir();
    if (this.#toWake.size === 0) {
      setImmediate(() => {
        const woken = [...this.#toWake];
        this.#toWake.clear();
        // What fails here is found again by the next look.
        this.#wake(woken).catch(() => {});
      });
    }
    for (const runId of runIds) this.#toWake.add(runId);
  }

  /** Brings runs that have a signal on: those in memory get it, the others are taken up. */
  async #wake(runIds: readonly string[]): Promise<void> {
    if (this.#stopped) return;
    const { store } = this.#worker.deps;
    const away: string[] = [];
    for (const runId of runIds) {
      const held = this.#worker.held.get(runId);
      if (!held) {
        away.push(runId);
        continue;
      }
      const signals = await store.signalsOf(runId);
      if (held.ending) {
        // On its way out of memory without them. Should the claim that follows fail, the next look finds them: nobody has seen them.
        held.onLeft(() => this.#wakeSoon([runId]));
        continue;
      }
      const early = held.execution.waiters.deliver(signals);
      if (early.length > 0) await store.offered(this.#worker.id, runId, early);
    }
    if (away.length > 0) await this.#takeUp(() => store.claim(this.#worker.id, away));
  }

  /** @returns how many the store gave */
  #takeUp(claim: () => Promise<readonly ClaimedRun[]>): Promise<number> {
    return this.#claims.during(async () => {
      const claimed = await claim();
      await this.#take(await this.admissions.withSlot(claimed));
      return claimed.length;
    });
  }

  async #take(claimed: readonly ClaimedRun[]): Promise<void> {
    for (const run of claimed) {
      if (run.requested === 'cancel') {
        await this.#cancelClaimed(run);
        continue;
      }
      const held = await this.#worker.adopt(run);
      if (!held) continue;
      this.#perform(held);
      if (run.requested) await this.#carryOut(run.id, run.requested);
    }
  }

  // ---- requests ----

  /** Carries out what has just been asked of runs: of those in this memory, and of those that wait. */
  async take(runIds: readonly string[]): Promise<void> {
    if (this.#stopped) return;
    this.stir();
    const { store } = this.#worker.deps;
    if (runIds.some((id) => this.#worker.held.has(id))) {
      for (const { id, requested } of await store.requested(this.#worker.id))
        await this.#carryOut(id, requested);
    }
    const away = runIds.filter((id) => !this.#worker.held.has(id));
    if (away.length > 0) await this.#takeUp(() => store.claim(this.#worker.id, away));
  }

  async #carryOut(runId: string, requested: 'cancel' | 'pause'): Promise<void> {
    const held = this.#worker.held.get(runId);
    if (!held) return; // its worker sees the request at its next look
    if (requested === 'cancel') await this.#worker.cancel(held);
    else await this.#worker.putAway(held, 'paused', this.#worker.deps.limits.runCancelMs);
  }

  /** Cancels a run that was in no memory: brought back to where it waits, so that what it opened is closed. */
  async #cancelClaimed(run: ClaimedRun): Promise<void> {
    const held = await this.#worker.adopt(run);
    if (!held) return;
    // One that waited in a queue, and never began, has opened nothing.
    if (run.entries.length > 0) {
      held.execution.holding = true; // it may come to its wait, and not beyond
      this.#perform(held);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#worker.cancel(held);
  }

  /** Stops: runs get `graceMs` to end, then they are put behind a barrier, and the lease ends. */
  async drain(graceMs: number): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    this.#unfollow?.();
    clearTimeout(this.#alarm);
    this.#stopClock?.();
    await this.#ringing;
    await this.admissions.stop();
    const { held, deps } = this.#worker;
    // Their transactions are over or will not come to be: what they start is started by the next consumer.
    this.#worker.dropUnconfirmed();
    const until = this.#worker.monotonicMs() + graceMs;
    const busy = () =>
      [...held.values()].filter(({ execution }) => execution.running > 0 || execution.waiters.size === 0);
    while (busy().length > 0 && this.#worker.monotonicMs() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.allSettled([...held.values()].map((run) => this.#worker.putAway(run, 'running', 0)));
    await deps.store.leave(this.#worker.id);
  }
}
