import type { Issue } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { type Flow, type StepNode, stepsById } from '../language/flow.ts';
import { isStatic } from '../language/templates.ts';

/** A model that a step asks; what an expression gives is not known before the step runs. */
export interface AskedModel {
  /** A JSON Pointer into the definition. */
  readonly path: string;
  readonly name: string | undefined;
  /** An alias or a version; `undefined` for what an expression gives. */
  readonly ref: string | number | undefined;
  /** `embed` and `chat` ask language models, which are no part of a circle and are never fixed. */
  readonly isTensors: boolean;
}

const DEFAULT_ALIAS = 'champion';
/** What a flow may call when it answers in memory: what changes nothing outside and waits for nobody. */
const INLINE = new Set(['infer', 'features', 'decide', 'chat', 'embed']);

/** The primitives of a catalog that a flow may call in memory: those of AIOS, and the program's own that are pure. */
function isInline({ name, kind }: { name: string; kind: string }, own: ReadonlySet<string>): boolean {
  return INLINE.has(name) || (kind === 'pure' && own.has(name));
}

/**
 * The steps of a flow that need a durable run, each with its place.
 *
 * @param own names of the program's own primitives
 * @param waitMs the longest wait
 * @example durableSteps(flow, new Set(), 1_000) // [{ path: '/do/0/ask', message: '“human-task” …' }]
 */
export function durableSteps(flow: Flow, own: ReadonlySet<string>, waitMs: number): Issue[] {
  const issues: Issue[] = [];
  if (flow.lifecycle)
    issues.push({
      path: '/document/metadata/aios/lifecycle',
      message: 'it publishes the lifecycle of runs, and an inference is none',
    });
  for (const step of stepsById(flow).values()) {
    const message = durable(step, own, waitMs);
    if (message)
      issues.push({ path: step.pointer, message, expected: 'start it as a run, or leave the step out' });
  }
  return issues;
}

function durable(step: StepNode, own: ReadonlySet<string>, waitMs: number): string | undefined {
  switch (step.type) {
    case 'call': {
      const { primitive } = step;
      if (step.foreach) return `“${primitive.name}” is listened to, which needs a durable run`;
      if (primitive.kind === 'wait')
        return `“${primitive.name}” waits for somebody, which needs a durable run`;
      if (isInline(primitive, own)) return undefined;
      return `“${primitive.name}” acts outside or is not repeated lightly, which needs a durable run`;
    }
    case 'emit':
      return 'events are emitted with a run, in one transaction';
    case 'listen':
      return 'waiting for events needs a durable run';
    case 'run':
      return `the flow “${step.workflow}” would be a run of its own; a model of its own can be asked by infer`;
    case 'wait':
      return typeof step.durationMs === 'number' && step.durationMs > waitMs
        ? `a wait of more than ${waitMs} ms (ensembleWaitMs) needs a durable run`
        : undefined;
    default:
      return undefined;
  }
}

/** The models that a flow asks, as far as its definition names them. */
export function askedModels(flow: Flow): AskedModel[] {
  return [...stepsById(flow).values()].flatMap((step): AskedModel[] => {
    if (step.type !== 'call') return [];
    const { name: called } = step.primitive;
    if (called !== 'infer' && called !== 'chat' && called !== 'embed') return [];
    const { model, ref = DEFAULT_ALIAS } = written(flow, step.definition);
    const name = typeof model === 'string' && isStatic(model) ? model : undefined;
    const isKnown = typeof ref === 'number' || (typeof ref === 'string' && isStatic(ref));
    return [{ path: step.pointer, name, ref: isKnown ? ref : undefined, isTensors: called === 'infer' }];
  });
}

/** What a step asks for that is not the same for the same input: `undefined` when all of it is fixed. */
export function changingStep(flow: Flow): string | undefined {
  for (const step of stepsById(flow).values()) {
    if (step.type !== 'call' || step.primitive.name === 'infer') continue;
    return `${step.pointer} calls ${step.primitive.name}`;
  }
  return JSON.stringify(flow.definition).includes('startedAt')
    ? 'an expression asks for the time'
    : undefined;
}

/** The arguments of a call as they are written, those of a function in `use.functions` among them. */
function written(flow: Flow, { call, with: given }: JsonObject): JsonObject {
  const use = isObject(flow.definition.use) ? flow.definition.use : {};
  const functions = isObject(use.functions) ? use.functions : {};
  const used = typeof call === 'string' && Object.hasOwn(functions, call) ? functions[call] : undefined;
  return { ...objectOr(isObject(used) ? used.with : undefined), ...objectOr(given) };
}

function objectOr(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}
