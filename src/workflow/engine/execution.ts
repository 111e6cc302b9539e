import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { Abandoned, FlowError, toFlowError } from '../catalog/flow-errors.ts';
import type {
  CallPrimitive,
  Primitive,
  StepContext,
  WaitOutcome,
  WaitPrimitive,
} from '../catalog/primitive.ts';
import type { Branch } from '../interpreter/branch.ts';
import type { Journal, ListenFilter, MessageStream, TakenEvent } from '../interpreter/journal.ts';
import type { Flow, FlowReference } from '../language/flow.ts';
import { Attributes } from './attributes.ts';
import { LiveBranch } from './branch.ts';
import { all, type Bodies, race } from './branching.ts';
import { childOf } from './child-wait.ts';
import { EventStreams } from './event-stream.ts';
import type { ExecutionHost } from './execution-host.ts';
import { SENT, SentBefore, sentEvent } from './idempotency.ts';
import { StepTelling } from './lifecycle-steps.ts';
import { LiveMessages } from './message-stream.ts';
import { wasCutOff } from './outcome-unknown.ts';
import { Performer } from './performer.ts';
import { Recorder } from './recorder.ts';
import type { RunTrace } from './spans.ts';
import { LiveContext, type RunIdentity } from './step-context.ts';
import type { Entry, Signal } from './stored-run.ts';
import { TIMER, Waiters } from './waiters.ts';

/**
 * A run in memory: the journal that its interpreter writes to. Results of pure steps stay here until the next barrier; the engine
 * takes them with `take` and commits them together with the writes that the steps handed in.
 */
export class Execution implements Journal {
  readonly run: RunIdentity;
  readonly flow: Flow;
  readonly root = new LiveBranch(undefined);
  readonly recorder: Recorder;
  readonly waiters: Waiters;
  readonly listener: StepTelling | undefined;
  readonly #listening: EventStreams;
  readonly #streams: LiveMessages[] = [];
  readonly #host: ExecutionHost;
  /** Steps that are being performed now. */
  running = 0;
  /** No further step begins: the run is being put away. */
  holding = false;
  /** What the run is found by, when its flow declares that. */
  readonly attributes: Attributes | undefined;
  /** What earlier attempts of the run sent out. */
  readonly sent: SentBefore | undefined;
  /** The run was canceled in an earlier life: nothing new begins but what cleans up. */
  readonly canceling: boolean;
  /** The first fault of a handler of cancellation. */
  cleanUpError: FlowError | undefined;
  #cleanUpBranch: LiveBranch | undefined;
  /** Set when the run is traced. */
  spans: RunTrace | undefined;
  readonly #performer: Performer;

  constructor(
    host: ExecutionHost,
    run: RunIdentity,
    flow: Flow,
    entries: readonly Entry[] = [],
    signals: readonly Signal[] = [],
  ) {
    this.#host = host;
    this.#performer = new Performer(this, host);
    this.run = run;
    this.flow = flow;
    this.recorder = new Recorder(entries, () => host.flushSoon(this));
    this.waiters = new Waiters(
      this.recorder,
      signals,
      () => host.nowMs(),
      () => host.waits(this),
    );
    const { outlet } = host;
    if (flow.lifecycle?.steps && outlet) {
      const told = { runId: run.id, attempt: run.attempt, flow };
      this.listener = new StepTelling(told, this.recorder, outlet, entries);
    }
    const scope = { input: run.origin.input, event: run.origin.event?.event ?? null };
    if (flow.attributes.length > 0)
      this.attributes = new Attributes(flow.attributes, scope, entries.length === 0);
    const sent = this.recorder.find(SENT);
    if (run.attempt > 1) this.sent = new SentBefore(sent?.o, run.attempt);
    this.canceling = this.recorder.find(CANCELED) !== undefined;
    if (this.canceling) this.root.abandon();
    this.#listening = new EventStreams(run, this.recorder, this.waiters, () => host.nowMs());
  }

  get event(): LoggedEvent | undefined {
    return this.run.origin.event;
  }

  recordUnknownOutcomes(): void {
    this.#performer.recordUnknownOutcomes();
  }

  // ---- the journal ----

  step(key: string, primitive: Primitive, input: JsonObject, branch: Branch): Promise<Json> {
    const known = this.recorder.find(key);
    if (known)
      return branch.abandoned && wasCutOff(known) ? Promise.reject(new Abandoned()) : this.#settled(known);
    if (branch.abandoned) return Promise.reject(new Abandoned());
    // What is already opened may wait on, so that it can be closed.
    if (this.holding && !this.recorder.find(`${key}^open`)) return new Promise(() => {});
    if (primitive.kind === 'wait') return this.#openAndWait(key, primitive, input, branch as LiveBranch);
    const { spans } = this;
    if (!spans) return this.#performer.perform(key, primitive, input, branch as LiveBranch);
    return spans.step(key, primitive.name, () =>
      this.#performer.perform(key, primitive, input, branch as LiveBranch),
    );
  }

  async #openAndWait(
    key: string,
    primitive: WaitPrimitive,
    input: JsonObject,
    branch: LiveBranch,
  ): Promise<Json> {
    const openKey = `${key}^open`;
    let opened = this.recorder.find(openKey);
    if (!opened) {
      const s = this.#host.nowMs();
      this.running++;
      try {
        const begun = await primitive.open(input, this.#context(key, s, branch));
        if ('output' in begun) {
          const { output, writes, pins } = begun;
          this.recorder.record({ k: key, s, d: 0, o: output }, writes, pins);
          return output;
        }
        const { state, deadlineMs, writes, pins } = begun;
        opened =
          deadlineMs === undefined ? { k: openKey, s, o: state } : { k: openKey, s, o: state, n: deadlineMs };
        this.recorder.record(opened, writes, pins);
      } catch (thrown) {
        const error = toFlowError(thrown, key);
        this.recorder.record({ k: key, s, e: error.body, i: input });
        throw error;
      } finally {
        this.running--;
      }
    }
    const state = opened.o ?? null;
    const outcome = await this.waiters.wait({
      key,
      label: primitive.name,
      dueMs: opened.n,
      branch,
      close: () => primitive.cancel(state),
    });
    this.running++;
    try {
      // Ending what was opened is seen outside: the lease is checked first, and what was opened is there.
      if (outcome.kind === 'deadline') {
        await this.#host.barrier(this);
        if (branch.abandoned) throw new Abandoned();
      }
    } finally {
      this.running--;
      if (branch.abandoned) this.quiet();
    }
    if (this.holding && outcome.kind === 'deadline') return new Promise(() => {});
    return this.#complete(key, primitive, { outcome, opened, input }, branch);
  }

  async #complete(
    key: string,
    primitive: WaitPrimitive,
    { outcome, opened, input }: { outcome: WaitOutcome; opened: Entry; input: JsonObject },
    branch: LiveBranch,
  ): Promise<Json> {
    const nowMs = this.#host.nowMs();
    const s = opened.s ?? nowMs;
    const state = opened.o ?? null;
    this.running++;
    try {
      const result = await primitive.complete(outcome, state, input, this.#context(key, nowMs, branch));
      this.recorder.record({ k: key, s, d: nowMs - s, o: result.output }, result.writes, result.pins);
      return result.output;
    } catch (thrown) {
      const error = toFlowError(thrown, key);
      this.recorder.record({ k: key, s, d: nowMs - s, e: error.body });
      throw error;
    } finally {
      this.running--;
    }
  }

  emit(key: string, event: JsonObject, branch: Branch): Json | Promise<Json> {
    const known = this.recorder.find(key);
    if (known) return this.#settled(known);
    if (branch.abandoned) throw new Abandoned();
    const emitted = this.#host.emit(this, key, event);
    this.recorder.record({ k: key, s: this.#host.nowMs(), d: 0, o: emitted.event }, [emitted.write]);
    return emitted.event;
  }

  async timer(key: string, dueMs: number, branch: Branch): Promise<void> {
    if (this.recorder.find(key)) return;
    // Taken up after a wait, or a crash, it has waited since it began in an earlier life.
    const s = this.recorder.find(`${key}^from`)?.n ?? this.#host.nowMs();
    await this.waiters.wait({ key, label: TIMER, dueMs, branch: branch as LiveBranch });
    this.recorder.record({ k: key, s, d: this.#host.nowMs() - s });
  }

  subscribe(
    key: string,
    filters: readonly ListenFilter[],
    branch: Branch,
  ): (() => Promise<Json>) | undefined {
    const known = this.recorder.find(key);
    if (known) return () => this.#settled(known);
    return this.#listening.subscribe(key, filters, branch as LiveBranch);
  }

  nextEvent(key: string, n: number, branch: Branch): Promise<TakenEvent> {
    return this.#listening.event(key, n, branch as LiveBranch);
  }

  listened(key: string, output: Json, keys: () => JsonObject): void {
    this.#listening.listened(key, output, this.flow.lifecycle && keys);
  }

  messages(key: string, primitive: Primitive, input: JsonObject, branch: Branch): MessageStream {
    const context = this.#context(key, this.#host.nowMs(), branch as LiveBranch);
    const call = { primitive: primitive as CallPrimitive, input, context };
    const stream = new LiveMessages(this, key, call, branch as LiveBranch, () => this.#host.nowMs());
    this.#streams.push(stream);
    return stream;
  }

  async child(
    key: string,
    workflow: FlowReference,
    input: Json,
    wait: boolean,
    branch: Branch,
  ): Promise<Json> {
    const known = this.recorder.find(key);
    if (known) return this.#settled(known);
    return childOf(this, this.#host, { key, workflow, input, wait }, branch as LiveBranch);
  }

  race(key: string, parent: Branch, bodies: Bodies): Promise<{ winner: number; value: Json }> {
    return race(this, key, parent as LiveBranch, bodies);
  }

  all(key: string, parent: Branch, bodies: Bodies): Promise<Json[]> {
    return all(this, key, parent as LiveBranch, bodies);
  }

  now(key: string): number {
    const known = this.recorder.find(key)?.n;
    if (known !== undefined) return known;
    const n = this.#host.nowMs();
    this.recorder.record({ k: key, n });
    return n;
  }

  random(key: string): number {
    const known = this.recorder.find(key)?.n;
    if (known !== undefined) return known;
    const n = Math.random();
    this.recorder.record({ k: key, n });
    return n;
  }

  trace(key: string, branch: Branch, choice = ''): void {
    if (this.recorder.find(key)) return;
    if (branch.abandoned) throw new Abandoned();
    this.recorder.record({ k: key, s: this.#host.nowMs(), c: choice });
  }

  exported(context: Json): void {
    this.attributes?.exported(context);
  }

  edited(key: string): Json | undefined {
    return this.recorder.edits.size > 0 ? this.recorder.edits.get(key) : undefined;
  }

  cleanUp(): Branch | undefined {
    if (this.canceling) this.#cleanUpBranch ??= new LiveBranch(undefined);
    return this.#cleanUpBranch;
  }

  cleanUpFailed(error: FlowError): void {
    this.cleanUpError ??= error;
  }

  /** What follows the id of an event that an earlier attempt has already emitted, if this one says something else. */
  suffixOf(key: string, event: JsonObject): string {
    return this.sent?.suffix(key, sentEvent(event)) ?? '';
  }

  /** Begins nothing more: the run is being put away. What it subscribes to it subscribes to anew when it goes on. */
  hold(): void {
    this.holding = true;
    for (const stream of this.#streams) stream.close();
  }

  /** Gives up what goes on, its clean-up included. */
  abandon(): void {
    this.root.abandon();
    this.#cleanUpBranch?.abandon();
  }

  /** What was recorded; a value that lies apart is read now that it is asked for. */
  #settled({ e, o, or }: Entry): Promise<Json> {
    if (e) return Promise.reject(new FlowError(e));
    return or ? this.#host.payload(this, or) : Promise.resolve(o ?? null);
  }

  #context(stepKey: string, nowMs: number, branch: LiveBranch, suffix = ''): StepContext {
    return new LiveContext(this.run, { stepKey, nowMs, branch, suffix }, this.recorder.pins);
  }

  /** After a step: what may have come to wait is put away. */
  quiet(): void {
    if (this.waiters.size > 0) this.#host.waits(this);
  }
}

/** The key under which a journal says that its run was canceled, and that what follows is its clean-up. */
export const CANCELED = '^canceled';
