import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Write } from '../store/group-commit.ts';
import { LiveBranch } from './branch.ts';
import type { Pin, Primitive, StepContext, WaitOutcome, WaitPrimitive } from './catalog/primitive.ts';
import type { Flow } from './flow.ts';
import { Abandoned, FlowError, toFlowError } from './flow-errors.ts';
import type { Branch, Journal, Listening } from './journal.ts';
import type { Entry, Origin, Signal, Subscription } from './run-store.ts';

/** What an execution asks of the engine that holds it. */
export interface ExecutionHost {
  nowMs(): number;
  monotonicMs(): number;
  /** Commits what is not yet written; everything is durable, and the lease was checked, when it resolves. */
  barrier(execution: Execution): Promise<void>;
  /** Starts to write what is not yet written, without waiting. */
  flushSoon(execution: Execution): void;
  /** Something waits: the run may leave memory if nothing else goes on. */
  waits(execution: Execution): void;
  /** The event as it will stand in the log, and the write that puts it there. */
  emit(execution: Execution, key: string, event: JsonObject): { event: Json; write: Write };
  /** The write that starts a run of another flow. */
  startChild(execution: Execution, key: string, workflow: string, input: Json, wait: boolean): string;
}

/** The identity of a run while a worker holds it. */
export interface RunIdentity {
  readonly id: string;
  readonly workflow: string;
  readonly version: number;
  readonly digest: string;
  readonly epoch: number;
  readonly origin: Origin;
  readonly idempotencyKey: string | null;
  readonly startedAtMs: number;
}

/** What is not yet written: taken at a barrier, all of it or nothing is committed. */
export interface Unwritten {
  entries: Entry[];
  writes: Write[];
  subscriptions: Subscription[];
  consumed: string[];
  unsubscribed: string[];
}

interface Waiter {
  readonly key: string;
  readonly label: string;
  readonly dueMs: number | undefined;
  readonly branch: LiveBranch;
  resolve(outcome: WaitOutcome): void;
  /** What closes the thing that was opened, when the wait is given up. */
  close?: () => readonly Write[];
}

/** How many entries may wait unwritten before they are flushed: bounds what a crash has to redo. */
const UNWRITTEN_MAX = 256;

/**
 * A run in memory: the journal that its interpreter writes to. Results of pure steps stay here until the next barrier; the engine
 * takes them with `take` and commits them together with the writes that the steps handed in.
 */
export class Execution implements Journal {
  readonly run: RunIdentity;
  readonly flow: Flow;
  readonly root = new LiveBranch(undefined);
  readonly pins = new Map<string, Pin>();
  readonly #host: ExecutionHost;
  readonly #recorded: Map<string, Entry> | undefined;
  readonly #signals = new Map<string, Json>();
  readonly #waiters = new Map<string, Waiter>();
  #unwritten: Unwritten = emptyUnwritten();
  /** Steps that are being performed now. */
  running = 0;
  /** When true no further step begins: the run is being put away. */
  holding = false;
  readonly #inFlight = new Map<string, { s: number; input: JsonObject }>();

  constructor(
    host: ExecutionHost,
    run: RunIdentity,
    flow: Flow,
    entries: readonly Entry[] = [],
    signals: readonly Signal[] = [],
  ) {
    this.#host = host;
    this.run = run;
    this.flow = flow;
    this.#recorded = entries.length > 0 ? new Map(entries.map((entry) => [entry.k, entry])) : undefined;
    for (const entry of entries) this.#pin(entry.p);
    for (const { key, payload } of signals) {
      // An answer that came after the one that stood.
      if (this.#recorded?.has(key)) this.#unwritten.consumed.push(key);
      else this.#signals.set(key, payload);
    }
  }

  get event(): LoggedEvent | undefined {
    return this.run.origin.event;
  }

  take(): Unwritten {
    const taken = this.#unwritten;
    this.#unwritten = emptyUnwritten();
    return taken;
  }

  get hasUnwritten(): boolean {
    const { entries, writes, subscriptions } = this.#unwritten;
    return entries.length > 0 || writes.length > 0 || subscriptions.length > 0;
  }

  add(writes: readonly Write[]): void {
    this.#unwritten.writes.push(...writes);
  }

  // ---- what the engine tells ----

  deliver(signals: readonly Signal[]): void {
    for (const { key, payload } of signals) {
      this.#signals.set(key, payload);
      this.#offer(key);
    }
  }

  /** Ends the waits that are due. */
  tick(nowMs: number): void {
    for (const waiter of [...this.#waiters.values()]) {
      if (waiter.dueMs !== undefined && waiter.dueMs <= nowMs) this.#settle(waiter, { kind: 'deadline' });
    }
  }

  get waiting(): boolean {
    return this.#waiters.size > 0;
  }

  /** The earliest deadline among the waits. */
  get dueMs(): number | undefined {
    let due: number | undefined;
    for (const { dueMs } of this.#waiters.values()) {
      if (dueMs !== undefined && (due === undefined || dueMs < due)) due = dueMs;
    }
    return due;
  }

  /** What the run waits for, for those who look at it. */
  get waitingFor(): string | null {
    let label: string | null = null;
    for (const waiter of this.#waiters.values())
      if (label === null || label === 'timer') label = waiter.label;
    return label;
  }

  /** Gives up what goes on; answers with the writes that close what was opened. */
  abandon(): Write[] {
    const closing = [...this.#waiters.values()].flatMap((waiter) => waiter.close?.() ?? []);
    this.#waiters.clear();
    this.root.abandon();
    return closing;
  }

  // ---- the journal ----

  step(key: string, primitive: Primitive, input: JsonObject, branch: Branch): Promise<Json> {
    const known = this.#recorded?.get(key);
    if (known) return settled(known);
    if (branch.abandoned) return Promise.reject(new Abandoned());
    // What is already opened may wait on, so that it can be closed.
    if (this.holding && !this.#recorded?.has(`${key}^open`)) return new Promise(() => {});
    if (primitive.kind === 'wait') return this.#openAndWait(key, primitive, input, branch as LiveBranch);
    return this.#perform(key, primitive, input, branch as LiveBranch);
  }

  async #perform(
    key: string,
    primitive: Exclude<Primitive, WaitPrimitive>,
    input: JsonObject,
    branch: LiveBranch,
  ): Promise<Json> {
    const { kind } = primitive;
    if (kind === 'effect') {
      this.running++;
      try {
        await this.#host.barrier(this);
      } finally {
        this.running--;
      }
      if (branch.abandoned) throw new Abandoned();
      if (this.holding) return new Promise(() => {});
    }
    const s = this.#host.nowMs();
    const from = this.#host.monotonicMs();
    this.running++;
    if (kind === 'effect') this.#inFlight.set(key, { s, input });
    try {
      const performed = primitive.run(input, this.#context(key, s, branch));
      const { output, writes, pins } = performed instanceof Promise ? await performed : performed;
      const entry: Entry = { k: key, s, d: this.#elapsed(from), o: output };
      if (kind === 'effect') entry.i = input;
      this.#record(entry, writes, pins);
      return output;
    } catch (thrown) {
      const error = this.#failure(thrown, key, kind, branch);
      this.#record({ k: key, s, d: this.#elapsed(from), e: error.body, i: input });
      throw error;
    } finally {
      this.running--;
      this.#inFlight.delete(key);
      if (kind !== 'pure') this.#host.flushSoon(this);
      this.#quiet();
    }
  }

  #failure(thrown: unknown, key: string, kind: string, branch: LiveBranch): FlowError {
    const error = toFlowError(thrown, key);
    return kind === 'effect' && branch.abandoned ? outcomeUnknown(error.message, key) : error;
  }

  /** Effects that did not end in time after the run was given up are recorded as what they are: of unknown outcome. */
  recordUnknownOutcomes(): void {
    for (const [key, { s, input }] of this.#inFlight) {
      this.#record({ k: key, s, e: outcomeUnknown('no answer came', key).body, i: input });
    }
    this.#inFlight.clear();
  }

  async #openAndWait(
    key: string,
    primitive: WaitPrimitive,
    input: JsonObject,
    branch: LiveBranch,
  ): Promise<Json> {
    const openKey = `${key}^open`;
    let opened = this.#recorded?.get(openKey);
    if (!opened) {
      const s = this.#host.nowMs();
      this.running++;
      try {
        const { state, deadlineMs, writes, pins } = await primitive.open(
          input,
          this.#context(key, s, branch),
        );
        opened =
          deadlineMs === undefined ? { k: openKey, s, o: state } : { k: openKey, s, o: state, n: deadlineMs };
        this.#record(opened, writes, pins);
      } catch (thrown) {
        const error = toFlowError(thrown, key);
        this.#record({ k: key, s, e: error.body, i: input });
        throw error;
      } finally {
        this.running--;
      }
    }
    const state = opened.o ?? null;
    const outcome = await this.#wait(key, primitive.name, opened.n, branch, () => primitive.cancel(state));
    const nowMs = this.#host.nowMs();
    const s = opened.s ?? nowMs;
    this.running++;
    try {
      const result = await primitive.complete(outcome, state, input, this.#context(key, nowMs, branch));
      this.#record({ k: key, s, d: nowMs - s, o: result.output }, result.writes, result.pins);
      return result.output;
    } catch (thrown) {
      const error = toFlowError(thrown, key);
      this.#record({ k: key, s, d: nowMs - s, e: error.body });
      throw error;
    } finally {
      this.running--;
    }
  }

  emit(key: string, event: JsonObject): Json {
    const known = this.#recorded?.get(key);
    if (known) return known.o ?? null;
    const emitted = this.#host.emit(this, key, event);
    this.#record({ k: key, s: this.#host.nowMs(), d: 0, o: emitted.event }, [emitted.write]);
    return emitted.event;
  }

  async timer(key: string, dueMs: number, branch: Branch): Promise<void> {
    if (this.#recorded?.get(key)) return;
    const s = this.#host.nowMs();
    await this.#wait(key, 'timer', dueMs, branch as LiveBranch);
    this.#record({ k: key, s, d: this.#host.nowMs() - s });
  }

  async listen(key: string, listening: Listening, branch: Branch): Promise<Json> {
    const known = this.#recorded?.get(key);
    if (known) return settled(known);
    const { mode, filters, read } = listening;
    const openKey = `${key}^open`;
    const s = this.#recorded?.get(openKey)?.s ?? this.#host.nowMs();
    const keys = mode === 'all' ? filters.map((_, index) => `${key}^${index}`) : [key];
    if (!this.#recorded?.has(openKey)) {
      this.#record({ k: openKey, s });
      this.#unwritten.subscriptions.push(
        ...filters.map(
          ({ filter, attributes, correlate }, filterIndex): Subscription => ({
            runId: this.run.id,
            key: mode === 'all' ? `${key}^${filterIndex}` : key,
            type: filter.type,
            workflow: this.run.workflow,
            version: this.run.version,
            stepId: key,
            filterIndex,
            attributes,
            correlate,
          }),
        ),
      );
    }
    const events: Json[] = [];
    for (const each of keys) {
      const outcome = await this.#wait(each, 'listen', undefined, branch as LiveBranch);
      if (outcome.kind === 'signal') events.push(outcome.payload);
    }
    const output = events.map((event) => (read === 'data' ? ((event as JsonObject).data ?? null) : event));
    this.#unwritten.unsubscribed.push(...new Set(keys));
    this.#record({ k: key, s, d: this.#host.nowMs() - s, o: output });
    return output;
  }

  async child(key: string, workflow: string, input: Json, wait: boolean, branch: Branch): Promise<Json> {
    const known = this.#recorded?.get(key);
    if (known) return settled(known);
    const openKey = `${key}^open`;
    let opened = this.#recorded?.get(openKey);
    if (!opened) {
      const s = this.#host.nowMs();
      opened = { k: openKey, s, o: this.#host.startChild(this, key, workflow, input, wait) };
      this.#record(opened);
      this.#host.flushSoon(this);
    }
    const s = opened.s ?? 0;
    if (!wait) {
      this.#record({ k: key, s, d: 0, o: { runId: opened.o ?? null } });
      return { runId: opened.o ?? null };
    }
    const outcome = await this.#wait(key, workflow, undefined, branch as LiveBranch);
    const { output, error } = (outcome.kind === 'signal' ? outcome.payload : {}) as {
      output?: Json;
      error?: FlowError['body'];
    };
    const d = this.#host.nowMs() - s;
    this.#record(error ? { k: key, s, d, e: error } : { k: key, s, d, o: output ?? null });
    if (error) throw new FlowError(error);
    return output ?? null;
  }

  async race(
    key: string,
    parent: Branch,
    branches: readonly ((branch: Branch) => Promise<Json>)[],
  ): Promise<{ winner: number; value: Json }> {
    const chosen = this.#recorded?.get(key)?.n;
    const own = new LiveBranch(parent as LiveBranch);
    if (chosen !== undefined) return { winner: chosen, value: await branches[chosen]!(own) };
    const runners = branches.map(() => new LiveBranch(own));
    let winner = -1;
    try {
      const value = await Promise.race(
        branches.map(async (body, index) => {
          try {
            return await body(runners[index]!);
          } finally {
            if (winner === -1) {
              winner = index;
              this.#record({ k: key, n: index });
            }
          }
        }),
      );
      return { winner, value };
    } finally {
      this.#giveUp(runners.filter((_, index) => index !== winner));
    }
  }

  async all(
    key: string,
    parent: Branch,
    branches: readonly ((branch: Branch) => Promise<Json>)[],
  ): Promise<Json[]> {
    const runners = branches.map(() => new LiveBranch(parent as LiveBranch));
    // A replay must not go further in the other branches than the first time: only the one that failed is run.
    const failed = this.#recorded?.get(key)?.n;
    if (failed !== undefined) return [await branches[failed]!(runners[failed]!)];
    let first = true;
    try {
      return await Promise.all(
        branches.map(async (body, index) => {
          try {
            return await body(runners[index]!);
          } catch (error) {
            if (first && !(error instanceof Abandoned)) this.#record({ k: key, n: index });
            first = false;
            throw error;
          }
        }),
      );
    } catch (error) {
      this.#giveUp(runners);
      throw error;
    }
  }

  now(key: string): number {
    const known = this.#recorded?.get(key)?.n;
    if (known !== undefined) return known;
    const n = this.#host.nowMs();
    this.#record({ k: key, n });
    return n;
  }

  random(key: string): number {
    const known = this.#recorded?.get(key)?.n;
    if (known !== undefined) return known;
    const n = Math.random();
    this.#record({ k: key, n });
    return n;
  }

  trace(key: string, choice = ''): void {
    if (this.#recorded?.has(key)) return;
    this.#unwritten.entries.push({ k: key, s: this.#host.nowMs(), c: choice });
  }

  // ---- inside ----

  #context(stepKey: string, nowMs: number, branch: LiveBranch): StepContext {
    return new LiveContext(this.run, stepKey, nowMs, branch);
  }

  #elapsed(from: number): number {
    return Math.round((this.#host.monotonicMs() - from) * 100) / 100;
  }

  #record(entry: Entry, writes?: readonly Write[], pins?: readonly Pin[]): void {
    if (pins && pins.length > 0) {
      entry.p = pins;
      this.#pin(pins);
    }
    this.#unwritten.entries.push(entry);
    if (writes && writes.length > 0) this.#unwritten.writes.push(...writes);
    if (this.#unwritten.entries.length >= UNWRITTEN_MAX) this.#host.flushSoon(this);
  }

  #pin(pins: readonly Pin[] | undefined): void {
    if (pins) for (const pin of pins) this.pins.set(`${pin.kind}/${pin.name}/${pin.version}`, pin);
  }

  #wait(
    key: string,
    label: string,
    dueMs: number | undefined,
    branch: LiveBranch,
    close?: () => readonly Write[],
  ): Promise<WaitOutcome> {
    return new Promise((resolve, reject) => {
      if (branch.abandoned) return reject(new Abandoned());
      const waiter: Waiter = { key, label, dueMs, branch, resolve, ...(close ? { close } : {}) };
      this.#waiters.set(key, waiter);
      branch.onAbandon(() => {
        if (!this.#waiters.delete(key)) return;
        if (close) this.#unwritten.writes.push(...close());
        reject(new Abandoned());
      });
      if (this.#offer(key)) return;
      if (dueMs !== undefined && dueMs <= this.#host.nowMs()) this.#settle(waiter, { kind: 'deadline' });
      else this.#quiet();
    });
  }

  #offer(key: string): boolean {
    const waiter = this.#waiters.get(key);
    const payload = this.#signals.get(key);
    if (!waiter || payload === undefined) return false;
    this.#signals.delete(key);
    this.#unwritten.consumed.push(key);
    this.#settle(waiter, { kind: 'signal', payload });
    return true;
  }

  #settle(waiter: Waiter, outcome: WaitOutcome): void {
    if (this.#waiters.delete(waiter.key)) waiter.resolve(outcome);
  }

  #giveUp(branches: readonly LiveBranch[]): void {
    for (const branch of branches) branch.abandon();
  }

  #quiet(): void {
    if (this.#waiters.size > 0) this.#host.waits(this);
  }
}

function emptyUnwritten(): Unwritten {
  return { entries: [], writes: [], subscriptions: [], consumed: [], unsubscribed: [] };
}

function settled(entry: Entry): Promise<Json> {
  return entry.e ? Promise.reject(new FlowError(entry.e)) : Promise.resolve(entry.o ?? null);
}

/** The call was cut off: whether the world changed is not known, and the journal says so. */
function outcomeUnknown(detail: string, instance: string): FlowError {
  return toFlowError(
    new AiosError('workflow.outcome_unknown', { detail: `Given up while it was under way: ${detail}` }),
    instance,
  );
}

/** Made for each step: its AbortSignal only when the step asks for it (an AbortController costs as much as a small step). */
class LiveContext implements StepContext {
  readonly #run: RunIdentity;
  readonly #branch: LiveBranch;
  readonly stepKey: string;
  readonly nowMs: number;

  constructor(run: RunIdentity, stepKey: string, nowMs: number, branch: LiveBranch) {
    this.#run = run;
    this.stepKey = stepKey;
    this.nowMs = nowMs;
    this.#branch = branch;
  }

  get runId(): string {
    return this.#run.id;
  }

  get idempotencyKey(): string {
    return `${this.#run.id}/${this.stepKey}`;
  }

  get workflow(): string {
    return this.#run.workflow;
  }

  get event(): LoggedEvent | undefined {
    return this.#run.origin.event;
  }

  get signal(): AbortSignal {
    return this.#branch.signal;
  }
}
