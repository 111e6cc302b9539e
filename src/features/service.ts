import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import type { CompiledView } from './compiled.ts';
import type { FeatureServiceBody } from './definitions.ts';
import { FunctionModules } from './functions/function-modules.ts';
import { codedFeatures, type FunctionInput } from './on-demand-code.ts';
import type { RowView } from './row-view.ts';
import { typedValue } from './values.ts';
import type { OnDemandViewBody, ValueType } from './view-documents.ts';
import type { FeatureValue } from './windows/state.ts';

/** Computed features by name. They must be pure: training and serving call them alike. */
export type FeatureFunctions = Readonly<Record<string, (input: FunctionInput) => FeatureValue>>;

/** What on-demand views may call: functions that the program registered, and the code of the views themselves. */
export interface OnDemandFunctions {
  readonly registered: FeatureFunctions;
  readonly modules: FunctionModules;
}

/** Where a program registers none: the code of the views alone. */
export function codeAlone(): OnDemandFunctions {
  return { registered: {}, modules: new FunctionModules(limitsFrom()) };
}

/** What a vector is made of: the values of the stored views (the streams, then the rows, in their order), and what was asked. */
interface VectorInput {
  readonly values: readonly (readonly FeatureValue[])[];
  readonly request: JsonObject;
  readonly nowMs: number;
}

/** A view whose values are computed when they are read. */
export interface OnDemandView {
  readonly name: string;
  readonly version: number;
  readonly body: OnDemandViewBody;
}

/** The views that a service reads: those that it lists, and those that its computed ones need. */
export interface ServiceViews {
  readonly streams: readonly CompiledView[];
  readonly rows: readonly RowView[];
  readonly onDemand: readonly OnDemandView[];
  /** The names that the service lists. */
  readonly listed: ReadonlySet<string>;
}

/** A version of a feature service: which views it reads and how its vector is made. */
export interface CompiledService extends ServiceViews {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly names: readonly string[];
  /** Where the values of the vector come from when none of them is computed. */
  readonly slots: readonly Slot[] | undefined;
  /** The vector, from the values of the stored views: the streams, then the rows, in their order. Not for a service that has `coded`. */
  vector(values: readonly (readonly FeatureValue[])[], request: JsonObject, nowMs: number): FeatureValue[];
  /** The vectors of a service some of whose views are code, which is asked for all rows at once; undefined for others. */
  readonly coded: ((rows: readonly VectorInput[]) => Promise<FeatureValue[][]>) | undefined;
}

/** Where a value of a vector comes from: `values[group][at]`. */
interface Slot {
  readonly group: number;
  readonly at: number;
  readonly otherwise: FeatureValue;
}

type Scope = Record<string, FeatureValue | Json>;
type Compute = (scope: Scope, request: JsonObject, nowMs: number) => FeatureValue;

/** A computed feature, with its inputs. */
interface Computed {
  readonly name: string;
  readonly inputs: Inputs;
  readonly compute: Compute;
}

export function compileService(
  body: FeatureServiceBody,
  version: number,
  digest: string,
  views: ServiceViews,
  functions: OnDemandFunctions = codeAlone(),
): CompiledService {
  const slots = slotsOf(body, views);
  const onDemand = views.onDemand.flatMap((view) => computedOf(view, views, functions.registered));
  const code = views.onDemand.flatMap((view) => codeOf(view, views, functions.modules));
  const derived = Object.entries(body.derived ?? {}).map(([name, source]) => ({
    name,
    expression: derivedFrom(name, source),
  }));
  const known = [...slots.keys(), ...computedNames(views), ...derived.map(({ name }) => name)];
  const names = body.features ?? known;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new AiosError('definition.reference', {
      detail: `Feature service “${body.name}”: its views have no feature ${unknown.join(', ')} any more.`,
    });
  }
  const service = { ...views, name: body.name, version, digest, names };
  if (views.onDemand.length === 0 && derived.length === 0) {
    const direct = names.map((name) => slots.get(name)!);
    const whole = wholeGroup(direct, views);
    const vector: CompiledService['vector'] =
      whole === undefined ? (values) => read(direct, values) : (values) => values[whole]!.slice();
    return { ...service, slots: direct, vector, coded: undefined };
  }
  const vectorWith = (
    { values, request, nowMs }: VectorInput,
    computed: readonly (readonly [string, FeatureValue])[],
  ) => {
    const scope: Scope = Object.assign(Object.create(null), request, { now: nowMs });
    for (const [name, slot] of slots) scope[name] = valueAt(slot, values);
    for (const [name, value] of computed) scope[name] = value ?? body.defaults?.[name] ?? null;
    for (const { name, inputs, compute } of onDemand) {
      const own = ownScope(inputs, values);
      scope[name] = compute(own, request, nowMs) ?? body.defaults?.[name] ?? null;
    }
    for (const { name, expression } of derived)
      scope[name] = (expression(scope) as FeatureValue) ?? body.defaults?.[name] ?? null;
    return names.map((name) => (scope[name] ?? null) as FeatureValue);
  };
  return {
    ...service,
    slots: undefined,
    vector: (values, request, nowMs) => vectorWith({ values, request, nowMs }, []),
    coded:
      code.length === 0
        ? undefined
        : async (rows) => {
            const answers = await Promise.all(code.map((view) => view(rows)));
            return rows.map((row, at) =>
              vectorWith(
                row,
                answers.flatMap((answer) => answer[at]!),
              ),
            );
          },
  };
}

/** Without anything to compute a vector is a choice of values: no scope is made for it. */
function read(slots: readonly Slot[], values: readonly (readonly FeatureValue[])[]): FeatureValue[] {
  const vector = new Array<FeatureValue>(slots.length);
  for (let i = 0; i < slots.length; i++) vector[i] = valueAt(slots[i]!, values);
  return vector;
}

/** The group that the vector is, from its first value to its last, if it is one. */
function wholeGroup(slots: readonly Slot[], { streams, rows }: ServiceViews): number | undefined {
  const group = slots[0]?.group;
  const view = group === undefined ? undefined : [...streams, ...rows][group];
  const isWhole =
    view?.features.length === slots.length &&
    slots.every((slot, at) => slot.group === group && slot.at === at && slot.otherwise === null);
  return isWhole ? group : undefined;
}

function valueAt({ group, at, otherwise }: Slot, values: readonly (readonly FeatureValue[])[]): FeatureValue {
  return values[group]![at] ?? otherwise;
}

/** The features of the views that the service lists, by name. */
function slotsOf(body: FeatureServiceBody, { streams, rows, listed }: ServiceViews): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  for (const [group, view] of [...streams, ...rows].entries()) {
    if (!listed.has(view.name)) continue;
    for (const [at, { name }] of view.features.entries())
      slots.set(name, { group, at, otherwise: body.defaults?.[name] ?? null });
  }
  return slots;
}

/** The names of what is computed, in the order of the views. */
function computedNames({ onDemand }: ServiceViews): string[] {
  return onDemand.flatMap(({ body }) => Object.keys(body.features));
}

type Inputs = readonly (readonly [string, Slot])[];

/** Where the features of the views stand that a computed view reads. */
function inputsOf({ body }: OnDemandView, { streams, rows }: ServiceViews): Inputs {
  return [...streams, ...rows].flatMap(({ name, features }, group) =>
    body.source.views.includes(name)
      ? features.map((feature, at): [string, Slot] => [feature.name, { group, at, otherwise: null }])
      : [],
  );
}

function ownScope(
  inputs: Inputs,
  values: readonly (readonly FeatureValue[])[],
): Record<string, FeatureValue> {
  const own: Record<string, FeatureValue> = Object.create(null);
  for (const [input, slot] of inputs) own[input] = valueAt(slot, values);
  return own;
}

/** The features that are computed here: by an expression, or by a function of the program. */
function computedOf(view: OnDemandView, views: ServiceViews, functions: FeatureFunctions): Computed[] {
  const { name: label, body } = view;
  const inputs = inputsOf(view, views);
  const request = Object.entries(body.source.request ?? {});
  return Object.entries(body.features).flatMap(([name, { type, expression, function: called }]) => {
    if (expression === undefined && body.code !== undefined) return [];
    const feature = `${label}.${name}`;
    const own = expression ? ofExpression(expression) : ofFunction(feature, called!, functions);
    const compute: Compute = (scope, values, nowMs) => {
      const typed = requestOf(feature, request, values);
      return typedValue(feature, type, own(scope, typed, nowMs));
    };
    return [{ name, inputs, compute }];
  });
}

type Answers = (readonly [string, FeatureValue])[][];

/** What the code of a view computes, asked for all rows at once: of each row the names with their values. */
function codeOf(
  view: OnDemandView,
  views: ServiceViews,
  modules: FunctionModules,
): ((rows: readonly VectorInput[]) => Promise<Answers>)[] {
  const coded = codedFeatures(view.body, modules);
  if (!coded) return [];
  const inputs = inputsOf(view, views);
  const declared = Object.entries(view.body.source.request ?? {});
  return [
    async (rows) => {
      const asked = rows.map(({ values, request, nowMs }) => ({
        features: ownScope(inputs, values),
        request: requestOf(view.name, declared, request),
        nowMs,
      }));
      const computed = await coded.compute(asked);
      return computed.map((row) => row.map((value, at) => [coded.names[at]!, value] as const));
    },
  ];
}

function ofExpression(source: string): Compute {
  const expression = compileExpression(source);
  return (scope, request, nowMs) => expression(Object.assign(scope, request, { now: nowMs })) as FeatureValue;
}

const UNKNOWN_VARIABLE = /^.*Unknown variable: (\w+)/;

/** What no view of the service has comes with the request: whoever left it out is told so, not what CEL makes of it. */
function derivedFrom(name: string, source: string): (scope: Scope) => unknown {
  const expression = compileExpression(source);
  return (scope) => {
    try {
      return expression(scope);
    } catch (error) {
      const missing = error instanceof AiosError ? UNKNOWN_VARIABLE.exec(error.message)?.[1] : undefined;
      if (missing === undefined) throw error;
      const detail = `The feature ${name} needs “${missing}”, which no view of the service has: send it in “request”.`;
      throw new AiosError('features.missing_request', { detail, cause: error });
    }
  };
}

function ofFunction(label: string, name: string, functions: FeatureFunctions): Compute {
  return (scope, request, nowMs) => {
    const called = functions[name];
    if (!called) {
      throw new AiosError('features.unknown_function', {
        detail: `The feature ${label} calls “${name}”; this program registers ${Object.keys(functions).join(', ') || 'none'}.`,
      });
    }
    return called({ features: scope as Record<string, FeatureValue>, request, nowMs });
  };
}

/** The values that the view declares, each of its type; others are not its business. */
function requestOf(label: string, declared: readonly [string, ValueType][], request: JsonObject): JsonObject {
  const typed: JsonObject = {};
  for (const [name, type] of declared) {
    if (!(name in request)) {
      throw new AiosError('features.missing_request', { detail: `The feature ${label} needs “${name}”.` });
    }
    typed[name] = typedValue(`${label}: ${name}`, type, request[name]);
  }
  return typed;
}
