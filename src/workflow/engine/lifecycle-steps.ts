import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import type { Branch } from '../interpreter/branch.ts';
import type { StepListener } from '../interpreter/telling.ts';
import { type Flow, type StepNode, stepIdOf, stepsById } from '../language/flow.ts';
import { outputOf, type StepChangeTold, statusEvent, stepEvent, type Told } from './lifecycle-events.ts';
import type { Recorder } from './recorder.ts';
import type { Entry } from './stored-run.ts';

/** What a step's telling needs of the engine. */
export interface EventOutlet {
  readonly emit: (event: CloudEvent) => Write;
  readonly nowMs: () => number;
  /** A larger output is left out of its event. */
  readonly outputBytesMax: number;
}

/** A step that has begun and not ended. */
interface OpenStep {
  readonly pointer: string;
  /** It waits for something from outside, or for time. */
  readonly waits: boolean;
}

/** Behind the key of a step whose begin, whose end, whose next attempt was told. */
const BEGUN = '^created';
const ENDED = '^ended';
const RETRIED = '^retried';

/** The steps of flows that tell, by their ids. */
const nodes = new WeakMap<Flow, Map<string, StepNode>>();

/**
 * The task events of a run (dsl-reference.md, "Task Lifecycle Events"): of every step that is not skipped, of those too that only hold others. An event is handed in with an entry of
 * the journal that says that it was told, so that both are durable together and a replay, which comes by again, tells nothing twice (decisions/0017).
 */
export class StepTelling implements StepListener {
  readonly #told: Told;
  readonly #recorder: Recorder;
  readonly #outlet: EventOutlet;
  readonly #open: Map<string, OpenStep>;

  constructor(told: Told, recorder: Recorder, outlet: EventOutlet, entries: readonly Entry[]) {
    this.#told = told;
    this.#recorder = recorder;
    this.#outlet = outlet;
    this.#open = openSteps(told.flow, entries);
  }

  begun(step: StepNode, key: string, branch: Branch): void {
    // What a branch that was given up still comes to is nobody's any more.
    if (branch.abandoned || this.#recorder.find(key + BEGUN)) return;
    const { pointer } = step;
    const open = { pointer, waits: waits(step) };
    this.#open.set(key, open);
    this.#record(key + BEGUN, (atMs) => [
      ...this.#events('created', 'pending', key, pointer, atMs),
      ...this.#events('started', 'running', key, pointer, atMs),
      ...(open.waits ? this.#status('waiting', key, pointer, atMs) : []),
    ]);
  }

  completed(step: StepNode, key: string, output: Json): void {
    this.#ended('completed', step, key, () => outputOf(output, this.#outlet.outputBytesMax));
  }

  faulted(step: StepNode, key: string, error: FlowErrorBody): void {
    this.#ended('faulted', step, key, () => ({ error: error as unknown as JsonObject }));
  }

  retried({ pointer }: StepNode, key: string): void {
    if (this.#recorder.find(key + RETRIED)) return;
    this.#record(key + RETRIED, (atMs) => [this.#event('retried', key, pointer, atMs)]);
  }

  /** The run is put away by a person: its steps stand still with it. `barrier` tells one pause from the next. */
  suspended(barrier: number): Write[] {
    const atMs = this.#outlet.nowMs();
    return [...this.#open]
      .flatMap(([key, { pointer }]) =>
        this.#events('suspended', 'suspended', `${key}/${barrier}`, pointer, atMs),
      )
      .map(this.#outlet.emit);
  }

  /** The run has ended: so have the steps that were under way, from the inside out. */
  cancelAll(): void {
    for (const key of [...this.#open.keys()].reverse()) this.#cancel(key);
  }

  #ended(change: 'completed' | 'faulted', { pointer }: StepNode, key: string, data: () => JsonObject): void {
    if (!this.#open.has(key)) return;
    // What the step has left behind: losers of a race, branches beside one that failed, whatever a time limit cut off.
    for (const inside of [...this.#open.keys()].reverse()) if (isInside(inside, key)) this.#cancel(inside);
    this.#open.delete(key);
    this.#record(key + ENDED, (atMs) => this.#events(change, change, key, pointer, atMs, data()));
  }

  #cancel(key: string): void {
    const { pointer } = this.#open.get(key)!;
    this.#open.delete(key);
    this.#record(key + ENDED, (atMs) => this.#events('cancelled', 'cancelled', key, pointer, atMs));
  }

  #record(k: string, events: (atMs: number) => CloudEvent[]): void {
    const s = this.#outlet.nowMs();
    this.#recorder.record({ k, s }, events(s).map(this.#outlet.emit));
  }

  #events(
    change: StepChangeTold,
    status: string,
    key: string,
    pointer: string,
    atMs: number,
    data?: JsonObject,
  ): CloudEvent[] {
    return [this.#event(change, key, pointer, atMs, data), ...this.#status(status, key, pointer, atMs)];
  }

  #event(
    change: StepChangeTold,
    key: string,
    pointer: string,
    atMs: number,
    data: JsonObject = {},
  ): CloudEvent {
    return stepEvent(this.#told, change, key, pointer, atMs, data);
  }

  #status(status: string, key: string, pointer: string, atMs: number): CloudEvent[] {
    if (!this.#told.flow.lifecycle?.statusChanged) return [];
    return [statusEvent(this.#told, status, key, atMs, pointer)];
  }
}

/** The task events of a run in no memory that is suspended, or goes on: its journal stands still. */
export function stillSteps(
  told: Told,
  change: 'suspended' | 'resumed',
  entries: readonly Entry[],
  requestId: string,
  atMs: number,
): CloudEvent[] {
  return [...openSteps(told.flow, entries)].flatMap(([key, { pointer, waits }]) => {
    const id = `${key}/${requestId}`;
    const event = stepEvent(told, change, id, pointer, atMs, {});
    if (!told.flow.lifecycle?.statusChanged) return [event];
    const status = change === 'suspended' ? change : waits ? 'waiting' : 'running';
    return [event, statusEvent(told, status, id, atMs, pointer)];
  });
}

/** What a journal that goes back to a step keeps of what was told: a step that began and did not end begins again. */
export function isOpenBegin(k: string, keys: ReadonlySet<string>): boolean {
  return k.endsWith(BEGUN) && !keys.has(k.slice(0, -BEGUN.length) + ENDED);
}

/** Steps that an earlier life of the run has told of as begun, and not as ended. */
function openSteps(flow: Flow, entries: readonly Entry[]): Map<string, OpenStep> {
  const open = new Map<string, OpenStep>();
  for (const { k } of entries) {
    if (k.endsWith(BEGUN)) {
      const key = k.slice(0, -BEGUN.length);
      const node = nodeOf(flow, key);
      if (node) open.set(key, { pointer: node.pointer, waits: waits(node) });
    } else if (k.endsWith(ENDED)) open.delete(k.slice(0, -ENDED.length));
  }
  return open;
}

function nodeOf(flow: Flow, key: string): StepNode | undefined {
  let known = nodes.get(flow);
  if (!known) {
    known = stepsById(flow);
    nodes.set(flow, known);
  }
  return known.get(stepIdOf(key));
}

/** Whether a key is that of something inside a step. */
function isInside(key: string, step: string): boolean {
  return key.startsWith(step) && /^[/[^]/.test(key.slice(step.length));
}

function waits(node: StepNode): boolean {
  if (node.type === 'call') return node.primitive.kind === 'wait';
  return node.type === 'wait' || node.type === 'listen' || (node.type === 'run' && node.wait);
}
