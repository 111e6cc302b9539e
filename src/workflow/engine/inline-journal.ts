import type { Json, JsonObject } from '../../kernel/json.ts';
import { Abandoned, type FlowError, standardError, toFlowError } from '../catalog/flow-errors.ts';
import type { Behalf, Pin, Primitive, StepContext } from '../catalog/primitive.ts';
import type { Branch } from '../interpreter/branch.ts';
import type { Journal, MessageStream } from '../interpreter/journal.ts';
import { LiveBranch } from './branch.ts';
import { all, type Bodies, race } from './branching.ts';

/** What all inferences of one flow share. */
export interface InlineSurroundings {
  readonly workflow: string;
  /** Business time, milliseconds. */
  nowMs(): number;
}

const NOTHING_RECORDED = { find: () => undefined, record: () => {} };

/**
 * The journal of a flow that answers in memory: nothing is recorded, nothing is replayed, and what would need a record (waiting for people or
 * events, effects) was refused when the flow was opened (`inline-steps.ts`).
 */
export class InlineJournal implements Journal {
  readonly root = new LiveBranch(undefined);
  readonly listener = undefined;
  readonly recorder = NOTHING_RECORDED;
  readonly canceling = false;
  /** What it asked, in the order of the first answers. */
  readonly pins = new Map<string, Pin>();
  readonly #surroundings: InlineSurroundings;
  readonly #behalf: Behalf;

  constructor(surroundings: InlineSurroundings, behalf: Behalf) {
    this.#surroundings = surroundings;
    this.#behalf = behalf;
  }

  async step(key: string, primitive: Primitive, input: JsonObject, branch: Branch): Promise<Json> {
    if (branch.abandoned) throw new Abandoned();
    if (primitive.kind === 'wait') throw unreachable(key);
    try {
      const context = new InlineContext(this.#surroundings, this.#behalf, key, branch as LiveBranch);
      const performed = primitive.run(input, context);
      const { output, pins } = performed instanceof Promise ? await performed : performed;
      for (const pin of pins ?? []) this.pins.set(`${pin.kind}/${pin.name}/${pin.version}`, pin);
      if (branch.abandoned) throw new Abandoned();
      return output;
    } catch (thrown) {
      throw thrown instanceof Abandoned || branch.abandoned ? new Abandoned() : toFlowError(thrown, key);
    }
  }

  timer(_: string, dueMs: number, branch: Branch): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, Math.max(0, dueMs - this.#surroundings.nowMs()));
      (branch as LiveBranch).onAbandon(() => {
        clearTimeout(timer);
        reject(new Abandoned());
      });
    });
  }

  race(key: string, parent: Branch, bodies: Bodies): Promise<{ winner: number; value: Json }> {
    return race(this, key, parent as LiveBranch, bodies);
  }

  all(key: string, parent: Branch, bodies: Bodies): Promise<Json[]> {
    return all(this, key, parent as LiveBranch, bodies);
  }

  now(): number {
    return this.#surroundings.nowMs();
  }

  random(): number {
    return Math.random();
  }

  trace(_: string, branch: Branch): void {
    if (branch.abandoned) throw new Abandoned();
  }

  edited(): undefined {}
  cleanUp(): undefined {}
  cleanUpFailed(): void {}
  exported(): void {}

  emit(key: string): never {
    throw unreachable(key);
  }

  subscribe(key: string): never {
    throw unreachable(key);
  }

  nextEvent(key: string): never {
    throw unreachable(key);
  }

  listened(key: string): never {
    throw unreachable(key);
  }

  messages(key: string): MessageStream {
    throw unreachable(key);
  }

  child(key: string): never {
    throw unreachable(key);
  }
}

function unreachable(key: string): FlowError {
  return standardError('configuration', 500, 'the step needs a durable run', key);
}

class InlineContext implements StepContext {
  /** Nothing of an answer in memory is recorded. */
  readonly madeWith = [];
  readonly runId = '';
  readonly attempt = 1;
  readonly event = undefined;
  readonly stepKey: string;
  readonly behalf: Behalf;
  readonly #surroundings: InlineSurroundings;
  readonly #branch: LiveBranch;

  constructor(surroundings: InlineSurroundings, behalf: Behalf, stepKey: string, branch: LiveBranch) {
    this.#surroundings = surroundings;
    this.behalf = behalf;
    this.stepKey = stepKey;
    this.#branch = branch;
  }

  get workflow(): string {
    return this.#surroundings.workflow;
  }

  get idempotencyKey(): string {
    return this.stepKey;
  }

  get nowMs(): number {
    return this.#surroundings.nowMs();
  }

  get signal(): AbortSignal {
    return this.#branch.signal;
  }
}
