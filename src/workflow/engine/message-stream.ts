import type { Json, JsonObject } from '../../kernel/json.ts';
import { Abandoned, FlowError, toFlowError } from '../catalog/flow-errors.ts';
import { fixedOf, withFixed } from '../catalog/outgoing.ts';
import type { CallPrimitive, StepContext } from '../catalog/primitive.ts';
import type { MessageStream } from '../interpreter/journal.ts';
import type { LiveBranch } from './branch.ts';
import type { Recorder } from './recorder.ts';

/** What a subscription needs of the run that holds it. */
export interface StreamHolder {
  readonly recorder: Recorder;
  /** The run stays in memory while this is not 0. */
  running: number;
  /** No further message is taken: the run is being put away. */
  readonly holding: boolean;
}

/**
 * The messages of one subscription: opened when the first is asked for that no earlier life recorded, held in memory until it is closed. What came and was not taken is lost with the
 * process, and the subscription begins anew; what was taken is in the journal.
 */
export class LiveMessages implements MessageStream {
  readonly #run: StreamHolder;
  readonly #key: string;
  readonly #primitive: CallPrimitive;
  readonly #input: JsonObject;
  readonly #context: StepContext;
  readonly #branch: LiveBranch;
  readonly #nowMs: () => number;
  readonly #end = new AbortController();
  readonly #queue: Json[] = [];
  #subscribed: Promise<void> | undefined;
  #failure: FlowError | undefined;
  #isOver = false;
  #arrived: () => void = () => {};

  constructor(
    run: StreamHolder,
    key: string,
    call: { primitive: CallPrimitive; input: JsonObject; context: StepContext },
    branch: LiveBranch,
    nowMs: () => number,
  ) {
    this.#run = run;
    this.#key = key;
    this.#primitive = call.primitive;
    this.#input = call.input;
    this.#context = call.context;
    this.#branch = branch;
    this.#nowMs = nowMs;
  }

  async next(n: number): Promise<Json | undefined> {
    const { recorder } = this.#run;
    const k = `${this.#key}^e${n}`;
    const known = recorder.find(k);
    if (known?.e) throw new FlowError(known.e);
    if (known) return known.c === OVER ? undefined : (known.o ?? null);
    if (this.#branch.abandoned) throw new Abandoned();
    if (this.#run.holding) return new Promise(() => {});
    this.#subscribed ??= this.#subscribe();
    while (this.#queue.length === 0 && !this.#isOver && !this.#branch.abandoned)
      await new Promise<void>((arrived) => {
        this.#arrived = arrived;
      });
    if (this.#branch.abandoned) throw new Abandoned();
    if (this.#run.holding) return new Promise(() => {});
    const s = this.#nowMs();
    const message = this.#queue.shift();
    if (message !== undefined) {
      recorder.record({ k, s, d: 0, o: message });
      return message;
    }
    recorder.record(this.#failure ? { k, s, d: 0, e: this.#failure.body } : { k, s, d: 0, c: OVER });
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  close(): void {
    this.#end.abort();
  }

  consumed(outputs: Json[]): void {
    const { recorder } = this.#run;
    if (!recorder.find(this.#key)) recorder.record({ k: this.#key, s: this.#nowMs(), d: 0, o: outputs });
  }

  async #subscribe(): Promise<void> {
    const sink = (message: Json) => {
      this.#queue.push(message);
      this.#arrived();
      return false;
    };
    const input = withFixed(this.#input, { ...fixedOf(this.#input), sink });
    const signal = AbortSignal.any([this.#branch.signal, this.#end.signal]);
    const context = Object.create(this.#context, { signal: { value: signal } }) as StepContext;
    this.#run.running++;
    try {
      await this.#primitive.run(input, context);
    } catch (error) {
      // What ends because it is closed has not failed.
      if (!signal.aborted) this.#failure = toFlowError(error, this.#key);
    } finally {
      this.#run.running--;
      this.#isOver = true;
      this.#arrived();
    }
  }
}

/** The subscription ended by itself: its time was over. */
const OVER = 'over';
