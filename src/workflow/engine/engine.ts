import type { Clock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import type { Catalog } from '../catalog/primitive.ts';
import type { AuditPort } from '../catalog/records.ts';
import { ANY_TYPE } from '../language/flow.ts';
import { Agenda } from './agenda.ts';
import { Background } from './background.ts';
import type { LineagePort } from './barriers.ts';
import { BulkOperations } from './bulk.ts';
import { deliverEvents, type StartOptions, startAhead, startFromEvents } from './event-start.ts';
import { type FindDefinition, Flows, startsFlow, type WorkflowDefinition } from './flows.ts';
import type { Held } from './held.ts';
import { RunOperations } from './operations.ts';
import { originOf, type StartRequest } from './origin.ts';
import { QueuePlaces } from './queue-places.ts';
import { RunReader } from './reading.ts';
import { RunQueues } from './run-queues.ts';
import { type RunState, stateOf } from './run-state.ts';
import type { RunStore } from './run-store.ts';
import { goesOn, RunWatch } from './run-watch.ts';
import { Scheduler } from './scheduler.ts';
import type { Signal, StoredRun } from './stored-run.ts';
import { Worker } from './worker.ts';

/** How often the winner of two starts with one key is looked for, 10 ms apart. */
const WINNER_TRIES = 100;

export interface EngineOptions {
  readonly store: RunStore;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly changes?: Changes;
  /** Finds old versions that runs are pinned to. */
  readonly findDefinition: FindDefinition;
  /** The write that appends an event to the log, `isWritten` one that a flow makes, of whatever form; without it `emit` fails. */
  readonly emit?: (event: CloudEvent, isWritten?: boolean) => Write;
  /** The write that records what a run was made with. */
  readonly lineage?: LineagePort;
  /** The write of an audit entry: what operators do to runs is recorded with it. */
  readonly audit?: AuditPort;
  /** False in a process that starts runs and acts on them, and performs none: it leaves them to other processes over the same store. */
  readonly takesRuns?: boolean;
  /** Told of runs that this process had to let go: it is no answer to anybody. */
  readonly onError?: (error: unknown, runId: string) => void;
}

/**
 * Runs flows durably (DESIGN §2): pure steps in memory, a barrier before what changes the world and before time passes. Over the memory store
 * for tests and embedding, over the Postgres store for any number of processes on one database.
 *
 * @example
 * const engine = new WorkflowEngine({ store: new PostgresRunStore(db, commit, limits.payloadInlineBytesMax), catalog, clock, limits, findDefinition });
 * engine.put({ name: 'returns', version: 1, digest, body });
 * await engine.begin();
 * const run = await engine.run({ workflow: 'returns', input: { order: 'o-1' } }, 30_000);
 */
export class WorkflowEngine {
  readonly runs: RunReader;
  readonly operations: RunOperations;
  readonly schedules: Scheduler;
  readonly bulk: BulkOperations;
  readonly runQueues: RunQueues;
  readonly #store: RunStore;
  readonly #flows: Flows;
  readonly #places: QueuePlaces;
  readonly #worker: Worker;
  readonly #agenda: Agenda;
  readonly #background: Background;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #watch: RunWatch;
  #queue: (() => void)[] = [];
  readonly #takesRuns: boolean;
  #stopping = false;

  constructor(options: EngineOptions) {
    const { store, clock, limits, emit, audit, takesRuns = true, onError = () => {} } = options;
    this.#store = store;
    this.#clock = clock;
    this.#limits = limits;
    this.#places = new QueuePlaces(!takesRuns);
    this.#takesRuns = takesRuns;
    this.#flows = new Flows(options.catalog, options.findDefinition);
    const shared = { store, flows: this.#flows, places: this.#places, clock, limits, onError };
    this.#worker = new Worker({ ...shared, emit, lineage: options.lineage, changes: options.changes });
    this.schedules = new Scheduler({ ...shared, cancel: (runId) => this.operations.cancel(runId) });
    const perform = (claimed: Held) => this.#perform(claimed);
    this.#agenda = new Agenda(this.#worker, perform, this.schedules, takesRuns);
    this.#background = new Background(
      limits,
      () => clock.monotonicMs(),
      () => this.#worker.held.size,
    );
    this.runs = new RunReader(store, this.#flows);
    const flows = this.#flows;
    const placed = { places: this.#places, agenda: this.#agenda };
    this.operations = new RunOperations({ ...placed, store, flows, emit, clock, audit });
    this.bulk = new BulkOperations({
      ...{ store, clock, limits, audit, operations: this.operations, worker: this.#worker.id },
      carryOut: (runIds) => this.#agenda.take(runIds),
    });
    this.#agenda.onLook = () => this.bulk.look();
    this.runQueues = new RunQueues(store, this.#places);
    const isHeld = (runId: string) => this.#worker.held.has(runId);
    this.#watch = new RunWatch({ store, pollMs: limits.runPollMs, isHeld, takesRuns });
    this.#worker.onChange = (change) => this.#watch.changed(change);
    this.#worker.onReleased = () => {
      this.#queue.shift()?.();
      this.#agenda.admissions.released();
    };
  }

  /** Whether an event has to say who posted it: what it starts may train a model. */
  get keepsPosters(): boolean {
    return this.#flows.train;
  }

  /** The id under which this process holds its runs. */
  get workerId(): string {
    return this.#worker.id;
  }

  /** How many runs are in the memory of this process. */
  get active(): number {
    return this.#worker.held.size;
  }

  /** Takes a new version of a flow. @throws AiosError when it does not compile */
  put(definition: WorkflowDefinition): void {
    this.#flows.put(definition);
    this.#agenda.stir();
  }

  /** Takes a new version of a queue of runs, as the kind `run-queue` has it. */
  putQueue(body: JsonObject): void {
    this.#places.put(body);
    this.#agenda.stir();
  }

  /** Takes a lease, takes over what dead workers left, and begins to look at what is due. */
  async begin(): Promise<void> {
    if (this.#takesRuns) await this.#agenda.begin();
  }

  /** Stops taking work, lets short runs end, puts the others away, gives up the lease. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.bulk.stop();
    this.#queue = [];
    await this.#agenda.drain(this.#limits.runDrainMs);
  }

  // ---- starting ----

  /** Starts a run: it is durable when this resolves, and goes on by itself. @throws AiosError `workflow.not_found`, `request.overloaded` */
  async start(request: StartRequest): Promise<{ runId: string; created: boolean }> {
    if (this.isQueued(request.workflow)) return this.#enqueue(request);
    const held = await this.#create(request);
    try {
      await this.#worker.barrier(held.execution);
    } catch {
      const winner = await this.#winner(held.lostBy, request);
      return { runId: winner.id, created: false };
    }
    void this.#worker.perform(held);
    return { runId: held.id, created: true };
  }

  /**
   * Runs a flow and waits for its end, or until it waits itself (for more than another run), or until `waitMs` have passed. Its result is durable when this resolves.
   *
   * @throws AiosError `workflow.not_found`, `request.overloaded`, or why the result could not be written
   */
  async run(request: StartRequest, waitMs: number): Promise<RunState> {
    this.#background.giveWay();
    if (this.isQueued(request.workflow)) {
      const { runId } = await this.#enqueue(request);
      return (await this.waitFor(runId, waitMs)) ?? stateOf(await this.#existing(runId));
    }
    const untilMs = performance.now() + waitMs;
    const held = await this.#create(request);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      held.onLeft(() => {
        clearTimeout(timer);
        resolve();
      });
      void this.#worker.perform(held);
    });
    if (held.gone && held.lostBy === undefined && held.lastChange) {
      if (!goesOn(held.lastChange)) return stateOf(held.lastChange);
      const ended = await this.waitFor(held.id, Math.max(0, untilMs - performance.now()));
      return ended ?? stateOf(await this.#existing(held.id));
    }
    if (held.lostBy !== undefined) {
      const winner = await this.#winner(held.lostBy, request);
      return (await this.waitFor(winner.id, waitMs)) ?? stateOf(winner);
    }
    // Not ended in time: durable nevertheless, unless it ends just now.
    if (!held.durable) await this.#worker.barrier(held.execution).catch(() => held.written);
    return stateOf(await this.#existing(held.id));
  }

  /** Whether the runs of a flow begin in a queue. @throws AiosError `workflow.not_found` */
  isQueued(workflow: string): boolean {
    return this.#places.isQueued(this.#flows.latest(workflow));
  }

  /** Puts a new run into its flow's queue, durable when this resolves. */
  async #enqueue(request: StartRequest): Promise<{ runId: string; created: boolean }> {
    const { workflow, idempotencyKey = null } = request;
    const loaded = this.#flows.latest(workflow);
    if (this.#stopping) throw new AiosError('store.unavailable', { detail: 'This process is stopping.' });
    const startedAtMs = this.#clock.now();
    const run = {
      loaded,
      id: newId('run', startedAtMs),
      origin: originOf(request),
      idempotencyKey,
      startedAtMs,
    };
    const { change, queued } = this.#places.pending(run, startedAtMs)!;
    try {
      await this.#store.commit.commit([...this.#store.save(change), this.#store.queues.enqueue(queued)]);
    } catch (error) {
      return { runId: (await this.#winner(error, request)).id, created: false };
    }
    this.#watch.changed(change);
    return { runId: run.id, created: true };
  }

  async #create(request: StartRequest): Promise<Held> {
    if (this.#stopping) throw new AiosError('store.unavailable', { detail: 'This process is stopping.' });
    const loaded = this.#flows.latest(request.workflow);
    const { runsActiveMax, runsQueuedMax } = this.#limits;
    if (this.#worker.held.size >= runsActiveMax) {
      if (this.#queue.length >= runsQueuedMax) {
        throw new AiosError('request.overloaded', {
          detail: `${this.#queue.length} runs wait to begin.`,
          extensions: { limitName: 'runsQueuedMax', limit: runsQueuedMax },
        });
      }
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    }
    const nowMs = this.#clock.now();
    return this.#worker.create(
      loaded,
      newId('run', nowMs),
      originOf(request),
      request.idempotencyKey ?? null,
      nowMs,
    );
  }

  /** The run that another start with the same key has made; its commit may still be on its way. */
  async #winner(reason: unknown, { workflow, idempotencyKey }: StartRequest): Promise<StoredRun> {
    const lost = reason instanceof AiosError ? reason : new AiosError('store.conflict');
    if (idempotencyKey === undefined || lost.code !== 'workflow.exists') throw lost;
    for (let tries = 0; tries < WINNER_TRIES; tries++) {
      const found = await this.#store.findByKey(workflow, idempotencyKey);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new AiosError('store.conflict', { cause: lost });
  }

  /**
   * Starts the runs of events inside the transaction of their consumer; call what it answers with after the commit. `room` tells the consumer how
   * many events it may hand over, `onRoom` when to ask again.
   *
   * @example createConsumer({ group: 'workflows', types: () => engine.startTypes(), room: () => engine.room(), handle: (events, tx, onRollback) => engine.startFromEvents(events, tx, { onRollback }) })
   */
  startFromEvents(
    events: readonly LoggedEvent[],
    tx: Queryable,
    { into, onRollback }: StartOptions = {},
  ): Promise<() => void> {
    return startFromEvents(this.#worker, events, tx, {
      into,
      onBegun: (held) => this.#background.begun(held),
      onRollback: (undo) =>
        onRollback?.(() => {
          undo();
          this.#agenda.doubt();
        }),
    });
  }

  room(): number {
    return this.#background.room();
  }

  /** How long the consumer pauses between two batches. */
  startPauseMs(): number {
    return this.#background.pauseMs();
  }

  onRoom(listener: () => void): void {
    this.#background.onRoom = listener;
  }

  /**
   * Starts the run of an event that this process has just committed, under its `eventRunId`, for a caller who waits for it. Without a place in memory the event's consumer
   * starts it. @throws AiosError `workflow.not_found`
   */
  startAhead(workflow: string, runId: string, event: LoggedEvent): void {
    if (this.#stopping || this.#worker.held.size >= this.#limits.runsActiveMax) return;
    const loaded = this.#flows.latest(workflow);
    if (!this.#places.isQueued(loaded)) startAhead(this.#worker, loaded, runId, event);
  }

  /** Gives events to the `listen` steps of waiting runs, inside the transaction of their consumer. */
  deliver(events: readonly LoggedEvent[], tx: Queryable): Promise<() => void> {
    return deliverEvents(this.#worker.deps, events, tx);
  }

  /** Whether an event starts a run of this flow. @throws AiosError `workflow.not_found` */
  startsOn(workflow: string, event: CloudEvent): boolean {
    return startsFlow(this.#flows.latest(workflow), event as unknown as JsonObject);
  }

  /** Types of events that start runs. */
  startTypes(): string[] {
    return this.#flows.startTypes();
  }

  /** Types of events that a `listen` step names, old versions with waiting runs included once `begin` has read them; `undefined` is every type. */
  listenTypes(): string[] | undefined {
    const types = new Set([...this.#flows.listenTypes(), ...this.#agenda.subscribedTypes]);
    return types.has(ANY_TYPE) ? undefined : [...types];
  }

  // ---- acting on runs ----

  /**
   * The write that answers a waiting step, to be committed with what the answer came from; the run goes on after the commit. The first answer
   * stands, and a run that has ended takes none.
   */
  signal({ runId, stepKey, payload }: { runId: string; stepKey: string; payload: Json }): Write {
    return this.#store.signal({ runId, key: stepKey, payload } satisfies Signal);
  }

  async #existing(runId: string): Promise<StoredRun> {
    const run = await this.#store.find(runId);
    if (run) return run;
    throw new AiosError('workflow.run_not_found', { detail: runId });
  }

  // ---- watching ----

  /** Calls the listener at each change of a run that this process makes; returns how to stop. */
  onRunChanged(listener: (state: RunState) => void): () => void {
    return this.#watch.onRunChanged(listener);
  }

  /**
   * Waits until a run has ended, waits (for a person, an event or a time; not for another run) or is paused; `undefined` when it does not come to that within `waitMs`. The run need not exist yet:
   * `eventRunId` tells the id of a run before its event is consumed. With `isNew` the first look at the store is left out (48 µs of CPU, a fifth of
   * a small run): for a caller who watches before it starts the run.
   */
  waitFor(runId: string, waitMs: number, isNew = false): Promise<RunState | undefined> {
    if (isNew) this.#background.giveWay();
    return this.#watch.waitFor(runId, waitMs, isNew);
  }

  #perform(held: Held): void {
    void this.#worker.perform(held);
  }
}
