import type { Json, JsonObject } from '../../kernel/json.ts';
import { Abandoned, toFlowError } from '../catalog/flow-errors.ts';
import type { Primitive, WaitPrimitive } from '../catalog/primitive.ts';
import { withoutAttempts } from '../language/flow.ts';
import type { LiveBranch } from './branch.ts';
import type { Execution } from './execution.ts';
import { AWAY_PAUSE_MS, type ExecutionHost, isAway } from './execution-host.ts';
import { outcomeUnknown } from './outcome-unknown.ts';
import { LiveContext } from './step-context.ts';
import type { Entry } from './stored-run.ts';

type PerformedPrimitive = Exclude<Primitive, WaitPrimitive>;
type Performed = Awaited<ReturnType<PerformedPrimitive['run']>>;

/** A step that is being performed. */
interface Performing {
  readonly key: string;
  readonly primitive: PerformedPrimitive;
  readonly input: JsonObject;
  readonly branch: LiveBranch;
  /** When it began, by the clock and by the monotonic one. */
  readonly s: number;
  readonly from: number;
  /** When it began first, of one that is done again since the store is away; monotonic. */
  readonly since: number;
}

/** Performs the steps of a run that nobody outside has to answer: those that change nothing at once, effects behind a barrier. */
export class Performer {
  readonly #execution: Execution;
  readonly #host: ExecutionHost;
  /** Effects under way. */
  #inFlight: Set<Performing> | undefined;

  constructor(execution: Execution, host: ExecutionHost) {
    this.#execution = execution;
    this.#host = host;
  }

  perform(key: string, primitive: PerformedPrimitive, input: JsonObject, branch: LiveBranch): Promise<Json> {
    return primitive.kind === 'effect'
      ? this.#afterBarrier(key, primitive, input, branch)
      : this.#begin(key, primitive, input, branch);
  }

  /** Effects still under way when the run ends, in branches that were given up, are recorded as what they are: of unknown outcome. */
  recordUnknownOutcomes(): void {
    for (const { key, s, input } of this.#inFlight ?? [])
      this.#execution.recorder.record({
        k: key,
        s,
        e: outcomeUnknown('no answer came', key).body,
        i: input,
      });
    this.#inFlight?.clear();
  }

  async #afterBarrier(
    key: string,
    primitive: PerformedPrimitive,
    input: JsonObject,
    branch: LiveBranch,
  ): Promise<Json> {
    const execution = this.#execution;
    execution.running++;
    try {
      await this.#host.barrier(execution);
    } finally {
      execution.running--;
    }
    if (branch.abandoned) {
      execution.quiet(); // the run may have come to wait in the meantime
      throw new Abandoned();
    }
    return execution.holding ? new Promise(() => {}) : this.#begin(key, primitive, input, branch);
  }

  /** Not an async function: the frame of one is kept for each step, 1 KB, and most steps answer at once. */
  #begin(
    key: string,
    primitive: PerformedPrimitive,
    input: JsonObject,
    branch: LiveBranch,
    awaySinceMs?: number,
  ): Promise<Json> {
    const from = this.#host.monotonicMs();
    const s = this.#host.nowMs();
    const step: Performing = { key, primitive, input, branch, s, from, since: awaySinceMs ?? from };
    this.#execution.running++;
    let performed: Performed | Promise<Performed>;
    try {
      if (primitive.kind === 'effect') {
        this.#inFlight ??= new Set();
        this.#inFlight.add(step);
      }
      performed = primitive.run(input, this.#context(step));
    } catch (thrown) {
      return this.#failed(step, thrown);
    }
    if (performed instanceof Promise)
      return performed.then(
        (answer) => this.#done(step, answer),
        (thrown) => this.#failed(step, thrown),
      );
    try {
      return Promise.resolve(this.#done(step, performed));
    } catch (abandoned) {
      return Promise.reject(abandoned);
    }
  }

  #context({ key, primitive, input, branch, s }: Performing): LiveContext {
    const { run, sent, recorder } = this.#execution;
    const suffix = primitive.kind === 'effect' ? sent?.suffix(withoutAttempts(key), input) : '';
    return new LiveContext(run, { stepKey: key, nowMs: s, branch, suffix: suffix ?? '' }, recorder.pins);
  }

  #done(step: Performing, { output, writes, pins }: Performed): Json {
    const { key, primitive, input, branch, s } = step;
    try {
      const entry: Entry = { k: key, s, d: this.#elapsed(step), o: output };
      if (primitive.kind === 'effect') entry.i = input;
      if (!this.#isTold(step)) this.#execution.recorder.record(entry, writes, pins);
      if (branch.abandoned) throw new Abandoned();
      return output;
    } finally {
      this.#ended(step);
    }
  }

  async #failed(step: Performing, thrown: unknown): Promise<Json> {
    const { key, primitive, input, branch, s, since } = step;
    const { kind } = primitive;
    const execution = this.#execution;
    try {
      if (thrown instanceof Abandoned) throw thrown;
      // That the store is away says nothing about the run: what changes nothing is done again until it is back.
      if (kind !== 'effect' && isAway(thrown) && !branch.abandoned && !execution.holding) {
        if (this.#host.monotonicMs() - since < this.#host.storeAwayMs) {
          await new Promise((resolve) => setTimeout(resolve, AWAY_PAUSE_MS));
          return this.#begin(key, primitive, input, branch, since);
        }
      }
      const failure = toFlowError(thrown, key);
      const error = kind === 'effect' && branch.abandoned ? outcomeUnknown(failure.message, key) : failure;
      const entry: Entry = { k: key, s, d: this.#elapsed(step), e: error.body, i: input };
      if (!this.#isTold(step)) execution.recorder.record(entry);
      throw branch.abandoned ? new Abandoned() : error;
    } finally {
      this.#ended(step);
    }
  }

  #ended(step: Performing): void {
    const execution = this.#execution;
    execution.running--;
    this.#inFlight?.delete(step);
    if (step.primitive.kind !== 'pure') this.#host.flushSoon(execution);
    execution.quiet();
  }

  /** The run has ended meanwhile, and its record says that the outcome is unknown. */
  #isTold(step: Performing): boolean {
    return step.primitive.kind === 'effect' && !this.#inFlight?.has(step);
  }

  #elapsed({ from }: Performing): number {
    return Math.round((this.#host.monotonicMs() - from) * 100) / 100;
  }
}
