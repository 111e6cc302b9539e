import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { type Flow, type StepNode, stepIdOf, stepsById } from '../language/flow.ts';
import { outputOf, type Told, taskEvent } from './lifecycle-events.ts';
import type { Entry } from './run-store.ts';

/** The steps of flows that tell, by their ids: a barrier looks up each of its entries. */
const nodes = new WeakMap<Flow, Map<string, StepNode>>();

/**
 * The task events of what a barrier records (dsl-reference.md, "Task Lifecycle Events"): of steps that have an entry in the journal, which are those that do something. Steps that only
 * hold others (`do`, `for`, `fork`) have none; of a `try` it is told that it tries again. A step that waits is told to have started when its wait is recorded.
 */
export function taskEventsOf(told: Told, entries: readonly Entry[], outputBytesMax: number): CloudEvent[] {
  return entries.flatMap((entry) => eventsOf(told, entry, outputBytesMax));
}

function eventsOf(told: Told, entry: Entry, outputBytesMax: number): CloudEvent[] {
  const [key, own = ''] = ownPartOf(entry.k);
  const node = nodeOf(told.flow, key);
  if (!node) return [];
  const event = (change: Parameters<typeof taskEvent>[1], atMs: number, data: JsonObject = {}) =>
    taskEvent(told, change, key, node.pointer, atMs, data);
  const begun = (atMs: number) => [event('created', atMs), event('started', atMs)];
  const { s, n, d, e } = entry;
  if (own === '^from') return node.type === 'wait' && n !== undefined ? begun(n) : [];
  if (s === undefined) return [];
  if (own === '^open') return begun(s);
  const endMs = s + (d ?? 0);
  if (own === '^delay') return [event('retried', endMs)];
  if (own !== '') return [];
  // What failed before it could wait was not opened.
  const isNew = !waits(node) || (e !== undefined && d === undefined);
  const ended = e
    ? event('faulted', endMs, { error: e as unknown as JsonObject })
    : event('completed', endMs, outputOf(entry.o, outputBytesMax));
  return [...(isNew ? begun(s) : []), ended];
}

/** `a/b^2/c^open` is `a/b^2/c` and `^open`: what stands behind the step's key is the interpreter's own. */
function ownPartOf(k: string): [key: string, own: string | undefined] {
  const at = k.lastIndexOf('^');
  const own = at > k.lastIndexOf('/') && !/^\^\d+$/.test(k.slice(at)) ? k.slice(at) : undefined;
  return [own === undefined ? k : k.slice(0, at), own];
}

function nodeOf(flow: Flow, key: string): StepNode | undefined {
  let known = nodes.get(flow);
  if (!known) {
    known = stepsById(flow);
    nodes.set(flow, known);
  }
  return known.get(stepIdOf(key));
}

function waits(node: StepNode): boolean {
  if (node.type === 'call') return node.primitive.kind === 'wait';
  return node.type === 'wait' || node.type === 'listen' || node.type === 'run';
}
