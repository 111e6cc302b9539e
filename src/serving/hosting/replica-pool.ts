import type { Replica } from '../runtimes/runtime.ts';
import type { Pending } from './request.ts';

const RESTART_MS_MIN = 50;
const RESTART_MS_MAX = 5_000;
const REFUSED_MS = 60_000; // bytes that are no model will hardly become one
const STARTS_FAILED_MAX = 3; // then who waits is told, instead of waiting for the next try

/** A batch that was sent to a replica. */
export interface Work {
  readonly batch: readonly Pending[];
  /** When the replica could begin with it: when it was sent, or when the batch before it was answered. */
  startedAtMs: number;
  timedOut: boolean;
}

/** A place for one replica: the process in it comes and goes. */
export interface Slot {
  replica: Replica | undefined;
  running: Work | undefined;
  /** Sent already, so that the replica has what to do while its last answer is on its way. */
  ahead: Work | undefined;
  /** Takes no batch any more and goes when it has none. */
  retired: boolean;
  startsFailed: number;
  /** Replicas that ended since the last answer: from the second on, the next one is held back, for longer each time. */
  endsUnanswered: number;
  retry: NodeJS.Timeout | undefined;
  /** The latest start: with the reason when it failed. */
  start: Promise<Error | undefined>;
}

export interface PoolEvents {
  /** Starts one replica, ready for traffic. */
  start(): Promise<Replica>;
  /** A replica is ready. */
  ready(): void;
  /** None is ready, and the tries to start one have failed. */
  broken(reason: Error): void;
  /** Says of a failure that the next try will fail too. */
  isFinal(reason: Error): boolean;
}

/** The replicas of one version: as many as wanted, each started again when it ends. */
export class ReplicaPool {
  readonly slots: Slot[] = [];
  restarts = 0;
  /** Why none can be started, while that is so. */
  brokenBy: Error | undefined;
  readonly #events: PoolEvents;
  #wanted = 0;

  constructor(events: PoolEvents) {
    this.#events = events;
  }

  get wanted(): number {
    return this.#wanted;
  }

  get ready(): number {
    let ready = 0;
    for (const { replica, retired } of this.slots) if (replica && !retired) ready++;
    return ready;
  }

  states(): Record<'starting' | 'idle' | 'busy' | 'waiting', number> {
    const states = { starting: 0, idle: 0, busy: 0, waiting: 0 };
    for (const { replica, running, retry } of this.slots) {
      if (replica) states[running ? 'busy' : 'idle']++;
      else states[retry ? 'waiting' : 'starting']++;
    }
    return states;
  }

  /** What replicas have been given and have not answered. */
  work(): Work[] {
    return this.slots.flatMap(({ running, ahead }) => [running, ahead].filter((work) => work !== undefined));
  }

  /**
   * Starts replicas, those that wait for their next try among them, or ends them: those that are not up yet first, then idle ones; one at work ends its batch. Resolves when none is
   * starting any more, with the reasons of the starts that failed.
   */
  async scale(wanted: number): Promise<Error[]> {
    this.#wanted = wanted;
    const staying = this.slots.filter(({ retired }) => !retired);
    const cost = ({ replica, running }: Slot) => (running ? 2 : replica ? 1 : 0);
    const leaving = staying.sort((a, b) => cost(a) - cost(b)).slice(0, Math.max(0, staying.length - wanted));
    for (const slot of leaving) {
      slot.retired = true;
      this.#leave(slot);
    }
    if (wanted === 0) this.brokenBy = undefined;
    for (const slot of staying) {
      if (slot.retired || !slot.retry) continue;
      clearTimeout(slot.retry); // who asks for replicas has a reason to try again now
      slot.start = this.#start(slot);
    }
    for (let missing = wanted - staying.length; missing > 0; missing--) {
      const slot: Slot = {
        replica: undefined,
        running: undefined,
        ahead: undefined,
        retired: false,
        startsFailed: 0,
        endsUnanswered: 0,
        retry: undefined,
        start: Promise.resolve(undefined),
      };
      this.slots.push(slot);
      slot.start = this.#start(slot);
    }
    const starts = this.slots.filter(({ retired }) => !retired).map(({ start }) => start);
    return (await Promise.all(starts)).filter((error) => error !== undefined);
  }

  /** The slot's batch has ended: the one that was sent ahead is next. */
  release(slot: Slot): void {
    const { ahead } = slot;
    slot.running = ahead;
    slot.ahead = undefined;
    if (ahead) ahead.startedAtMs = performance.now();
    else if (slot.retired) this.#leave(slot);
  }

  /** Ends every replica at once. */
  close(): void {
    this.#wanted = 0;
    for (const slot of [...this.slots]) {
      slot.retired = true;
      slot.running = slot.ahead = undefined;
      this.#leave(slot);
    }
  }

  /** Ends a retired slot unless it is at work; one that is starting sees that it is retired when it is up. */
  #leave(slot: Slot): void {
    if (slot.running && slot.replica) return;
    clearTimeout(slot.retry);
    slot.replica?.kill();
    const index = this.slots.indexOf(slot);
    if (index >= 0) this.slots.splice(index, 1);
  }

  /** Answers with the reason when the start failed, and tries again later by itself. */
  async #start(slot: Slot): Promise<Error | undefined> {
    slot.retry = undefined;
    let replica: Replica;
    try {
      replica = await this.#events.start();
    } catch (error) {
      if (slot.retired) return undefined;
      const isFinal = this.#events.isFinal(error as Error);
      slot.startsFailed = isFinal ? STARTS_FAILED_MAX : slot.startsFailed + 1;
      if (this.slots.every(({ startsFailed }) => startsFailed >= STARTS_FAILED_MAX)) {
        this.brokenBy = error as Error;
        this.#events.broken(error as Error);
      }
      const delayMs = Math.min(RESTART_MS_MAX, RESTART_MS_MIN * 2 ** slot.startsFailed);
      this.#restart(slot, isFinal ? REFUSED_MS : delayMs);
      return error as Error;
    }
    if (slot.retired) {
      replica.kill();
      return undefined;
    }
    slot.startsFailed = 0;
    this.brokenBy = undefined;
    slot.replica = replica;
    replica.onEnd(() => this.#ended(slot));
    if (slot.replica) this.#events.ready();
    return undefined;
  }

  #ended(slot: Slot): void {
    slot.replica = undefined;
    if (slot.retired) {
      this.#leave(slot);
      return;
    }
    slot.endsUnanswered++;
    const delayMs = slot.endsUnanswered < 2 ? 0 : RESTART_MS_MIN * 2 ** (slot.endsUnanswered - 2);
    this.#restart(slot, Math.min(RESTART_MS_MAX, delayMs));
  }

  #restart(slot: Slot, delayMs: number): void {
    this.restarts++;
    slot.retry = setTimeout(() => {
      slot.start = this.#start(slot);
    }, delayMs).unref();
  }
}
