// biome-ignore-all lint/suspicious/noThenProperty: flows say with `then` where they go on
import fc from 'fast-check';
import type { Json, JsonObject } from '../../kernel/json.ts';

/**
 * Random flows of the model-based test: a small tree that both the engine (rendered as a definition) and the reference interpreter (as it is) run. The data
 * that goes from step to step is one number.
 */
export type ModelStep = {
  readonly name: string;
  readonly if?: Condition;
  readonly timeoutS?: number;
  /** Added to the output by `output.as`. */
  readonly add?: number;
  readonly export?: { to: ContextKey; value: Sum };
  /** `end`, `exit`, the name of a step, or on. */
  readonly next?: string;
} & (
  | { readonly kind: 'set'; value: Sum }
  | { readonly kind: 'call'; primitive: Called; value: Sum; tag: number; fails: number }
  | { readonly kind: 'do'; steps: readonly ModelStep[] }
  | { readonly kind: 'for'; items: readonly number[]; while?: Condition; steps: readonly ModelStep[] }
  | { readonly kind: 'fork'; branches: readonly ModelStep[]; compete: boolean }
  | ModelTry
  | { readonly kind: 'switch'; cases: readonly { when?: Condition; next: string }[] }
  | { readonly kind: 'raise'; status: number }
  | { readonly kind: 'wait'; seconds: number }
  | { readonly kind: 'listen'; all: boolean; id: number }
  | { readonly kind: 'emit'; value: Sum }
);

export interface ModelTry {
  readonly kind: 'try';
  readonly steps: readonly ModelStep[];
  readonly status?: number;
  readonly when?: Condition;
  readonly retry?: { count: number; delayS: number; attemptS?: number };
  readonly handler: readonly ModelStep[];
  readonly next?: string;
}

/** `look` is pure and `think` costly, and neither answers twice the same; `act` is an effect and always does. */
type Called = 'look' | 'think' | 'act';
export const CONTEXT_KEYS = ['a', 'b', 'rounds'] as const;
export type ContextKey = (typeof CONTEXT_KEYS)[number];
type Variable = 'input' | 'output' | 'item' | 'index' | 'error.status' | `context.${ContextKey}`;

/** `of * times + plus`. */
export interface Sum {
  readonly of: Variable;
  readonly times: number;
  readonly plus: number;
}

export interface Condition {
  readonly value: Sum;
  readonly above: number;
}

const NAMES: { readonly [kind in ModelStep['kind']]: string } = {
  set: 's',
  call: 'c',
  do: 'd',
  for: 'f',
  fork: 'k',
  try: 't',
  switch: 'w',
  raise: 'r',
  wait: 'p',
  listen: 'l',
  emit: 'e',
};

/** Which attempt of the innermost `try` a step with this key belongs to, from 0. */
export function attemptOf(stepKey: string): number {
  const around = stepKey.split('/').slice(0, -1);
  const innermost = around.findLast((segment) => segment.startsWith(NAMES.try)) ?? '';
  return Number(/\^(\d+)$/.exec(innermost)?.[1] ?? 0);
}

/** What `act` makes of its input. */
export function acted(value: number, tag: number): number {
  return ((Math.abs(value) % 9_973) * 31 + tag) % 997;
}

// ---- generating ----

/** Variables that there are at a place. */
interface Place {
  readonly item: boolean;
  readonly error: boolean;
}

const small = fc.integer({ min: 0, max: 9 });
const seconds = fc.integer({ min: 0, max: 4 });
const status = fc.constantFrom(500, 501, 503);
/** 1 to 3 steps on. */
const onward = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 3 }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('exit', 'end', 'continue') },
);

function sum(place: Place, ...more: Variable[]): fc.Arbitrary<Sum> {
  const variables: Variable[] = ['input', 'context.a', 'context.b', ...more];
  if (place.item) variables.push('item', 'index');
  if (place.error) variables.push('error.status');
  return fc.record({
    of: fc.constantFrom(...variables),
    times: fc.constantFrom(1, 1, 2),
    plus: small,
  });
}

function condition(place: Place): fc.Arbitrary<Condition> {
  return fc.record({ value: sum(place), above: fc.integer({ min: 0, max: 40 }) });
}

function maybe<T>(arbitrary: fc.Arbitrary<T>, weight = 1): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight, arbitrary });
}

function leaves(place: Place): fc.WeightedArbitrary<object>[] {
  const fails = fc.constantFrom(0, 0, 0, 1, 2);
  const calls = { value: sum(place), tag: small };
  return [
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('set'), value: sum(place) }) },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('call'), primitive: fc.constant('act'), fails, ...calls }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('call'),
        primitive: fc.constantFrom('look', 'think'),
        fails: fc.constant(0),
        ...calls,
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), seconds }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('raise'), status }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('emit'), value: sum(place) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('listen'), all: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('switch'),
        cases: fc
          .array(fc.record({ when: maybe(condition(place), 8), next: onward }), {
            minLength: 1,
            maxLength: 2,
          })
          .filter((cases) => cases.filter(({ when }) => !when).length <= 1),
      }),
    },
  ];
}

function branches(place: Place, depth: number): fc.WeightedArbitrary<object>[] {
  const inner = list(place, depth - 1);
  return [
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('do'), steps: inner }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('for'),
        items: fc.array(small, { maxLength: 3 }),
        while: maybe(condition({ ...place, item: true })),
        steps: list({ ...place, item: true }, depth - 1),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('fork'),
        branches: fc.array(step(place, depth - 1, false), { minLength: 1, maxLength: 3 }),
        compete: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('try'),
        steps: inner,
        status: maybe(fc.constantFrom(500, 501, 503, 408)),
        when: maybe(condition({ ...place, error: true })),
        retry: maybe(
          fc.record({
            count: fc.integer({ min: 1, max: 2 }),
            delayS: seconds,
            attemptS: maybe(fc.integer({ min: 1, max: 3 })),
          }),
          3,
        ),
        handler: fc.oneof(fc.constant([]), list({ ...place, error: true }, depth - 1)),
        next: maybe(onward),
      }),
    },
  ];
}

function step(place: Place, depth: number, inList: boolean): fc.Arbitrary<object> {
  const kinds = depth > 0 ? [...leaves(place), ...branches(place, depth)] : leaves(place);
  return fc
    .record({
      body: fc.oneof(...(kinds as [fc.WeightedArbitrary<object>])),
      if: maybe(condition(place)),
      timeoutS: maybe(fc.integer({ min: 1, max: 3 })),
      add: maybe(small),
      export: maybe(fc.record({ to: fc.constantFrom('a', 'b'), value: sum(place, 'output') }), 2),
      direction: inList ? maybe(onward) : fc.constant(undefined),
    })
    .map(({ body, direction, ...common }) =>
      // A `switch` and a `try` with a handler say themselves where it goes on.
      Object.assign({}, common, direction && !('cases' in body) ? { next: direction } : {}, body),
    );
}

function list(place: Place, depth: number): fc.Arbitrary<object[]> {
  return fc.array(step(place, depth, true), { minLength: 1, maxLength: 4 });
}

/** Steps with names, directions that name them, and events of their own. */
function named(steps: readonly object[], next: { id: number }): ModelStep[] {
  const names = (steps as ModelStep[]).map(({ kind }, index) => NAMES[kind] + index);
  return (steps as ModelStep[]).map((each, index): ModelStep => {
    const direct = (then: string | undefined): string | undefined =>
      then !== undefined && /^\d+$/.test(then) ? (names[index + Number(then)] ?? 'continue') : then;
    const own = { ...each, name: names[index]!, ...(each.next ? { next: direct(each.next)! } : {}) };
    if (own.kind === 'do' || own.kind === 'for') return { ...own, steps: named(own.steps, next) };
    if (own.kind === 'fork') return { ...own, branches: named(own.branches, next) };
    if (own.kind === 'listen') return { ...own, id: next.id++ };
    if (own.kind === 'switch') {
      return { ...own, cases: own.cases.map((of) => ({ ...of, next: direct(of.next)! })) };
    }
    if (own.kind !== 'try') return own;
    return { ...own, steps: named(own.steps, next), handler: named(own.handler, next) };
  });
}

/** The steps of a flow; one of four goes through them twice, by a `switch` that leads back. */
export const randomFlow: fc.Arbitrary<ModelStep[]> = fc
  .record({ steps: list({ item: false, error: false }, 3), twice: maybe(fc.constant(true)) })
  .map(({ steps, twice }) => {
    const body = named(steps, { id: 0 });
    if (!twice) return body;
    const rounds = { of: 'context.rounds', times: 1, plus: 0 } as const;
    const input = { of: 'input', times: 1, plus: 0 } as const;
    return [
      ...body,
      {
        name: 'count',
        kind: 'set',
        value: input,
        export: { to: 'rounds', value: { ...rounds, plus: 1 } },
      },
      {
        name: 'again',
        kind: 'switch',
        cases: [{ when: { value: rounds, above: 1 }, next: 'end' }, { next: body[0]!.name }],
      },
    ];
  });

// ---- rendering ----

function cel({ of, times, plus }: Sum): string {
  return `${of} * ${times} + ${plus}`;
}

function test({ value, above }: Condition): string {
  return `${cel(value)} > ${above}`;
}

/** Names of events that a `listen` step takes, and the number that each carries. */
export function eventsOf(id: number, all: boolean): { type: string; data: number }[] {
  const events = [{ type: `event.${id}.a`, data: id }];
  return all ? [...events, { type: `event.${id}.b`, data: id + 1 }] : events;
}

/** The definition of a flow: what the engine runs. */
export function definitionOf(steps: readonly ModelStep[]): JsonObject {
  const start = { set: `\${ input }`, export: { as: '{ "a": 0, "b": 0, "rounds": 0 }' } };
  return {
    document: { dsl: '1.0.3', namespace: 'test', name: 'random', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: [{ start }, ...rendered(steps)],
  };
}

function rendered(steps: readonly ModelStep[]): JsonObject[] {
  return steps.map((each) => {
    const body: JsonObject = { ...bodyOf(each) };
    const reduced = reduction(each);
    if (each.if) body.if = test(each.if);
    if (each.timeoutS !== undefined) body.timeout = { after: { seconds: each.timeoutS } };
    if (each.add !== undefined || reduced !== 'output') body.output = { as: `${reduced} + ${each.add ?? 0}` };
    if (each.export) {
      const members = { a: 'context.a', b: 'context.b', rounds: 'context.rounds' };
      members[each.export.to] = cel(each.export.value);
      body.export = { as: `{ ${Object.entries(members).map(([name, value]) => `"${name}": ${value}`)} }` };
    }
    if (each.next !== undefined && each.kind !== 'try') body.then = each.next;
    return { [each.name]: body };
  });
}

/** How the output of a step becomes a number. */
function reduction(each: ModelStep): string {
  if (each.kind === 'emit') return 'output.data';
  if (each.kind === 'listen') return each.all ? 'output[0] + output[1] * 2' : 'output[0]';
  if (each.kind !== 'fork' || each.compete) return 'output';
  return each.branches.map((_, index) => `output[${index}] * ${index + 1}`).join(' + ');
}

function bodyOf(each: ModelStep): JsonObject {
  switch (each.kind) {
    case 'set':
      return { set: `\${ ${cel(each.value)} }` };
    case 'call': {
      const { tag, fails } = each;
      return { call: `${each.primitive}:1@default`, with: { value: `\${ ${cel(each.value)} }`, tag, fails } };
    }
    case 'do':
      return { do: rendered(each.steps) };
    case 'for': {
      const loop: JsonObject = { for: { in: JSON.stringify(each.items) }, do: rendered(each.steps) };
      return each.while ? { ...loop, while: test(each.while) } : loop;
    }
    case 'fork':
      return { fork: { branches: rendered(each.branches), compete: each.compete } };
    case 'try':
      return tryOf(each);
    case 'switch':
      return {
        switch: each.cases.map(({ when, next }, index) => ({
          [`case${index}`]: when ? { when: test(when), then: next } : { then: next },
        })),
      };
    case 'raise':
      return {
        raise: { error: { type: `https://example.com/errors/e${each.status}`, status: each.status } },
      };
    case 'wait':
      return { wait: { seconds: each.seconds } };
    case 'listen': {
      const filters = eventsOf(each.id, each.all).map(({ type }) => ({ with: { type } }));
      return { listen: { to: each.all ? { all: filters } : { one: filters[0]! } } };
    }
    case 'emit':
      return { emit: { event: { with: { type: 'told', data: `\${ ${cel(each.value)} }` } } } };
  }
}

function tryOf({ steps, status: of, when, retry, handler, next }: ModelTry): JsonObject {
  const caught: JsonObject = {};
  if (of !== undefined) caught.errors = { with: { status: of } };
  if (when) caught.when = test(when);
  if (retry) {
    const attempt: { [name: string]: Json } = { count: retry.count };
    if (retry.attemptS !== undefined) attempt.duration = { seconds: retry.attemptS };
    caught.retry = { delay: { seconds: retry.delayS }, limit: { attempt } };
  }
  if (handler.length > 0) caught.do = rendered(handler);
  if (next !== undefined) caught.then = next;
  return { try: rendered(steps), catch: caught };
}
