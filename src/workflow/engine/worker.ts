import type { Clock } from '../../kernel/clock.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Write } from '../../store/lane.ts';
import { Abandoned, canceledError, type FlowErrorBody, toFlowError } from '../catalog/flow-errors.ts';
import { mayCleanUp } from '../interpreter/canceling.ts';
import { interpret } from '../interpreter/interpreter.ts';
import { Barriers, type LineagePort, RUNNING } from './barriers.ts';
import { startChild } from './child-start.ts';
import { emittedEvent } from './emitted-event.ts';
import { CANCELED, Execution } from './execution.ts';
import { type ExecutionHost, isAway, isPutOff, whileAway } from './execution-host.ts';
import type { Flows, LoadedFlow } from './flows.ts';
import { givenBack } from './given-back.ts';
import { Held, type Patch } from './held.ts';
import type { EventOutlet } from './lifecycle-steps.ts';
import type { QueuePlaces } from './queue-places.ts';
import type { RunStore } from './run-store.ts';
import { shownOf } from './shown.ts';
import { countRun, traceRun } from './spans.ts';
import type { ClaimedRun, Origin, PayloadRef, RunChange, RunResult, RunStatus } from './stored-run.ts';
import { turnsOf } from './turns.ts';

/** What the worker needs from the rest of AIOS. */
export interface WorkerDeps {
  readonly store: RunStore;
  readonly flows: Flows;
  readonly places: QueuePlaces;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly changes: Changes | undefined;
  /** The write that appends an event to the log; `isWritten` is one that a flow makes, of whatever form. */
  readonly emit: ((event: CloudEvent, isWritten?: boolean) => Write) | undefined;
  readonly lineage: LineagePort | undefined;
  readonly onError: (error: unknown, runId: string) => void;
}

/**
 * Runs in the memory of this process: performs them, writes their barriers, puts those that wait away. It holds each under an epoch; a
 * run whose epoch has moved on is dropped here at the next write.
 */
export class Worker implements ExecutionHost {
  readonly id = newId('wrk');
  readonly held = new Map<string, Held>();
  readonly deps: WorkerDeps;
  /** Called after each commit that changed a run's state. */
  onChange: (change: RunChange) => void = () => {};
  /** Called when a wait that stays in memory, or that was put away, is to be looked at at this time. */
  onDue: (dueMs: number) => void = () => {};
  /** Called when a run left memory: a place is free. */
  onReleased: () => void = () => {};
  /** When the lease of this worker runs out, on the monotonic clock. */
  leaseUntilMs = 0;

  /** Runs in the store that this worker let go because it could not write: they are still its own. */
  readonly letGo = new Set<string>();

  readonly #barriers: Barriers;

  constructor(deps: WorkerDeps) {
    this.deps = deps;
    this.#barriers = new Barriers(this.id, deps, {
      written: (change) => {
        // Its schedule may start the next one.
        if (change.result && change.origin.scheduledMs !== undefined) this.onDue(change.updatedAtMs);
        this.onChange(change);
      },
      release: (held) => this.release(held),
      drop: (held, reason) => this.drop(held, reason),
    });
  }

  /** The writes of a run's barrier, for a transaction of somebody else's. */
  collect(held: Held, patch: Patch): Write[] {
    return this.#barriers.collect(held, patch);
  }

  get storeAwayMs(): number {
    return this.deps.limits.commitRetryMs;
  }

  get outlet(): EventOutlet | undefined {
    const { emit, clock, limits } = this.deps;
    return emit && { emit, nowMs: () => clock.now(), outputBytesMax: limits.payloadInlineBytesMax };
  }

  nowMs(): number {
    return this.deps.clock.now();
  }

  monotonicMs(): number {
    return this.deps.clock.monotonicMs();
  }

  // ---- beginning ----

  /** Makes a new run; nothing is performed or written yet. */
  create(
    loaded: LoadedFlow,
    id: string,
    origin: Origin,
    idempotencyKey: string | null,
    startedAtMs: number,
  ): Held {
    const execution = new Execution(
      this,
      {
        id,
        workflow: loaded.name,
        version: loaded.version,
        digest: loaded.digest,
        // Random, so that a new row can be told from that of another process which had the same id.
        attempt: 1,
        epoch: 1 + Math.floor(Math.random() * 0x3fffffff),
        origin,
        idempotencyKey,
        startedAtMs,
      },
      loaded.flow,
    );
    return this.#hold(new Held(execution, 0));
  }

  /** Takes a claimed run into memory, to go on from its journal; one whose definition is gone fails, and its neighbours go on. */
  async adopt(claimed: ClaimedRun): Promise<Held | undefined> {
    let loaded: LoadedFlow;
    try {
      loaded = await this.deps.flows.version(claimed.workflow, claimed.version);
    } catch (error) {
      await this.#giveBack(claimed, toAiosError(error));
      return undefined;
    }
    const execution = new Execution(
      this,
      { ...claimed, digest: loaded.digest },
      loaded.flow,
      claimed.entries,
      claimed.signals,
    );
    const held = new Held(execution, claimed.nextSeq);
    held.durable = true;
    return this.#hold(held);
  }

  async #giveBack(claimed: ClaimedRun, error: AiosError): Promise<void> {
    this.deps.onError(error, claimed.id);
    const change = givenBack(claimed, error, this.nowMs());
    const { store } = this.deps;
    const { queue } = claimed.origin;
    const left = queue ? [store.queues.leave(claimed.id, queue.name)] : [];
    await store.commit.commit([...store.save(change), ...left]);
  }

  #hold(held: Held): Held {
    this.held.set(held.id, held);
    return held;
  }

  /** Performs the run until it ends, waits or is lost; resolves then. */
  async perform(held: Held): Promise<void> {
    const { execution } = held;
    const { run, flow } = execution;
    execution.spans = traceRun(run.id, run.workflow, run.version, execution.event?.event.traceparent);
    try {
      const event = (execution.event?.event ?? null) as Json;
      const start = { runId: run.id, startedAtMs: run.startedAtMs, input: run.origin.input };
      const output = await interpret(flow, start, event, execution, turnsOf(execution, this.deps.limits));
      // A run that is being canceled is ended by that, however far it came meanwhile.
      if (execution.root.abandoned) throw new Abandoned();
      await this.#finish(held, 'completed', { output });
    } catch (error) {
      // What fails in a run that is being canceled fails by that: the cancellation ends it.
      if (held.gone || (held.ending && execution.root.abandoned)) return;
      if (!(error instanceof Abandoned)) return this.#fail(held, toFlowError(error, '').body);
      if (!execution.canceling || held.ending) return;
      const failed = execution.cleanUpError?.body;
      if (failed) await this.#fail(held, failed);
      else await this.#finishCanceled(held).catch((reason) => this.drop(held, reason));
    }
  }

  /** Ends a run as failed with what is known; if even that cannot be written, lets it go. */
  async #fail(held: Held, error: FlowErrorBody): Promise<void> {
    try {
      await this.#finish(held, 'failed', { error });
    } catch (reason) {
      this.drop(held, reason);
    }
  }

  async #finish(held: Held, status: RunStatus, result: RunResult): Promise<void> {
    const { execution } = held;
    held.ending = true;
    if (status !== 'completed') execution.abandon(); // closes what other branches had opened
    execution.recordUnknownOutcomes();
    const { parent } = execution.run.origin;
    if (parent) {
      const { output = null, error } = result;
      const payload = error ? { error: error as unknown as JsonObject } : { output };
      execution.recorder.unwritten.writes.push(
        this.deps.store.signal({ runId: parent.runId, key: parent.stepKey, payload }),
      );
    }
    countRun(execution.run.workflow, status);
    execution.spans?.end(result.error);
    await this.#barriers.commit(held, {
      status,
      result,
      wakeAtMs: null,
      waitingFor: null,
      ...shownOf(held.execution, result),
    });
    this.release(held);
  }

  // ---- what executions ask ----

  async barrier(execution: Execution): Promise<void> {
    const held = this.held.get(execution.run.id);
    if (!held || held.execution !== execution) throw new Abandoned();
    // A worker that was frozen past its lease must not act before a write has shown that the run is still its own.
    const isOwn = () => held.durable && !held.doubted && this.monotonicMs() < this.leaseUntilMs;
    if (isOwn() && !execution.recorder.hasUnwritten) await held.written;
    if (!isOwn() || execution.recorder.hasUnwritten) {
      held.doubted = false;
      await this.#barriers.commit(held, RUNNING);
    }
    if (held.gone) throw new Abandoned();
  }

  /** The lease had run out before it was renewed: others may have taken runs over, and each has to be shown to be still this worker's own. */
  leaseLapsed(): void {
    for (const held of this.held.values()) held.doubted = true;
  }

  flushSoon(execution: Execution): void {
    const held = this.held.get(execution.run.id);
    if (!held || held.execution !== execution || held.flushing || held.ending || held.inline) return;
    held.flushing = true;
    // After all microtasks: the flow has then come to its next effect, or to its end, and one commit holds what two would have held.
    setImmediate(() => {
      if (held.gone || held.ending || !execution.recorder.hasUnwritten) held.flushing = false;
      else this.#barriers.commit(held, RUNNING).catch(() => {}); // its failure has dropped the run
    });
  }

  waits(execution: Execution): void {
    const held = this.held.get(execution.run.id);
    if (!held || held.execution !== execution || held.parkScheduled) return;
    held.parkScheduled = true;
    // After all microtasks: what the interpreter does next is then begun.
    setImmediate(() => {
      held.parkScheduled = false;
      this.#considerPark(held);
    });
  }

  #considerPark(held: Held): void {
    const { execution } = held;
    if (held.gone || held.ending || execution.holding || execution.waiters.size === 0) return;
    const dueMs = execution.waiters.dueMs;
    const soon = dueMs !== undefined && dueMs - this.nowMs() <= this.deps.limits.runParkMs;
    const stays = execution.running > 0 || soon;
    // A time limit around a step that is being performed has to ring too.
    if (stays && dueMs !== undefined) this.onDue(dueMs);
    if (stays) this.flushSoon(execution);
    else this.#park(held, 'waiting').catch(() => {}); // its failure has dropped the run
  }

  async #park(held: Held, status: 'waiting' | 'paused'): Promise<void> {
    const { execution } = held;
    held.ending = true;
    const wakeAtMs = execution.waiters.dueMs ?? null;
    const waitingFor = execution.waiters.label;
    execution.spans?.end();
    await this.#barriers.commit(held, {
      status,
      wakeAtMs,
      waitingFor,
      result: null,
      ...shownOf(held.execution, {}),
    });
    this.release(held);
    if (wakeAtMs !== null) this.onDue(wakeAtMs);
  }

  emit(execution: Execution, key: string, event: JsonObject): { event: Json; write: Write } {
    const { emit } = this.deps;
    if (!emit) throw new AiosError('workflow.no_event_log');
    const full = emittedEvent(execution, key, event, this.nowMs(), this.deps.flows.train);
    return { event: full as unknown as Json, write: emit(full, true) };
  }

  async payload({ run }: Execution, { digest }: PayloadRef): Promise<Json> {
    try {
      const value = await whileAway(this, () => this.deps.store.payload(run.id, digest));
      if (value !== undefined) return value;
    } catch (error) {
      const held = this.held.get(run.id);
      if (!isAway(error) || !held) throw error;
      this.drop(held, error); // not the run's fault: it is taken again
      throw new Abandoned();
    }
    throw new AiosError('workflow.payload_missing', { detail: `${run.id} refers to ${digest}.` });
  }

  startChild(execution: Execution, key: string, flow: LoadedFlow, input: Json, wait: boolean): string {
    return startChild(this, execution, key, flow, input, wait);
  }

  cancelChild(runId: string): readonly Write[] {
    return [this.deps.store.operations.cancelChild(runId, this.nowMs())];
  }

  /** Lets a run go without a write: another holds it, or it never was. */
  drop(held: Held, reason: unknown): void {
    if (held.gone) return;
    held.lostBy = reason;
    this.release(held);
    if (held.durable && isPutOff(reason)) this.letGo.add(held.id);
    held.execution.root.abandon();
    if (
      reason instanceof AiosError &&
      reason.code !== 'workflow.exists' &&
      reason.code !== 'workflow.fenced'
    ) {
      this.deps.onError(reason, held.id);
    }
  }

  /** Lets runs go whose consumer has not told whether it committed. */
  dropUnconfirmed(): void {
    for (const held of this.held.values()) if (held.inline) this.drop(held, new AiosError('workflow.exists'));
  }

  release(held: Held): void {
    held.gone = true;
    if (this.held.get(held.id) === held) this.held.delete(held.id);
    held.left();
    this.onReleased();
  }

  /**
   * Cancels a run: aborts what goes on, waits for it a little, records what is known. With handlers of cancellation in its flow it then leaves memory,
   * and whoever takes it up replays it to where it stood and runs them: the same way after a crash. Asked a second time, it ends at once.
   */
  async cancel(held: Held): Promise<void> {
    if (held.ending || held.gone) return;
    held.ending = true;
    const { execution } = held;
    execution.abandon();
    await this.#settle(held, this.deps.limits.runCancelMs);
    execution.recordUnknownOutcomes();
    if (execution.canceling || !mayCleanUp(execution.flow)) return this.#finishCanceled(held);
    const nowMs = this.nowMs();
    execution.recorder.record({ k: CANCELED, s: nowMs }, [this.deps.store.operations.acknowledge(held.id)]);
    execution.spans?.end();
    await this.#barriers.commit(held, { ...RUNNING, status: 'waiting', wakeAtMs: nowMs });
    this.release(held);
    this.onDue(nowMs);
  }

  #finishCanceled(held: Held): Promise<void> {
    return this.#finish(held, 'canceled', { error: canceledError('').body });
  }

  /** Puts a run away where it stands, once the steps under way have ended; `running` leaves it to be taken over. */
  async putAway(held: Held, status: 'paused' | 'running', graceMs: number): Promise<void> {
    if (held.ending || held.gone) return;
    held.execution.hold();
    await this.#settle(held, graceMs);
    if (held.ending || held.gone) return;
    if (status === 'paused') return this.#park(held, 'paused');
    held.ending = true;
    await this.#barriers.commit(held, RUNNING);
    this.release(held);
  }

  async #settle(held: Held, graceMs: number): Promise<void> {
    const until = this.monotonicMs() + graceMs;
    while (held.execution.running > 0 && this.monotonicMs() < until) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}
