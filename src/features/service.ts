import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import type { FeatureServiceBody } from './definitions.ts';
import { FunctionModules } from './functions/function-modules.ts';
import { codedFeatures, type FunctionInput } from './on-demand-code.ts';
import { featureNameOf, type ListedFeature, listedFeatures } from './projections.ts';
import type { OnDemandUse, Reading, ServiceViews } from './service-views.ts';
import { typedValue } from './values.ts';
import type { ValueType } from './view-documents.ts';
import type { Aggregate, FeatureValue } from './windows/state.ts';

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

/** A version of a feature service: which views it reads and how its vector is made. */
export interface CompiledService extends ServiceViews {
  readonly name: string;
  readonly version: number;
  readonly digest: string;
  readonly names: readonly string[];
  /** The same with the name of its view before each feature of one: `view__feature`. */
  readonly fullNames: readonly string[];
  /** The types of its features by name, as far as definitions say them; of others only their values tell. */
  readonly types: ReadonlyMap<string, ValueType>;
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
  const listed = listedOf(body, views);
  const slots = slotsOf(body, views, listed);
  const onDemand = views.onDemand.flatMap((use) => computedOf(use, views, listed, functions.registered));
  const code = views.onDemand.flatMap((use) => codeOf(use, views, listed, functions.modules));
  const derived = Object.entries(body.derived ?? {}).map(([name, source]) => ({
    name,
    expression: derivedFrom(name, source),
  }));
  const known = [...listed.map(({ name }) => name), ...derived.map(({ name }) => name)];
  const names = body.features ?? known;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw withoutFeatures(body.name, unknown);
  const full = new Map(
    listed.map(({ name, feature, projection }) => [name, featureNameOf(projection, feature, true)]),
  );
  const fullNames = names.map((name) => full.get(name) ?? name);
  const types = typesOf(listed, names);
  const service = { ...views, name: body.name, version, digest, names, fullNames, types };
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

/** Of a service whose views are not what it was planned with: one of them is being built anew. */
function withoutFeatures(service: string, names: readonly string[]): AiosError {
  return new AiosError('definition.reference', {
    detail: `${service}: its views have no feature ${names.join(', ')} any more.`,
  });
}

/** A feature that a service lists, and what it is read by. */
interface Listed extends ListedFeature {
  readonly from: Reading | OnDemandUse;
}

/** The features of the views that a service lists, by what they are called. */
function listedOf(body: FeatureServiceBody, { listed }: ServiceViews): Listed[] {
  const features = listedFeatures(body, (_, index) => featuresOf(listed[index]!)).map((each) => ({
    ...each,
    from: listed[each.index]!,
  }));
  const gone = features.filter(({ feature, from }) => !featuresOf(from).includes(feature));
  if (gone.length > 0)
    throw withoutFeatures(
      body.name,
      gone.map(({ name }) => name),
    );
  return features;
}

function featuresOf(from: Reading | OnDemandUse): string[] {
  return isComputed(from) ? Object.keys(from.view.body.features) : from.view.features.map(({ name }) => name);
}

function isComputed(from: Reading | OnDemandUse): from is OnDemandUse {
  return 'inputs' in from;
}

/** Of the aggregates whose values are numbers whatever they aggregate; the others' are what the events hold. */
const AGGREGATE_TYPES: Partial<Record<Aggregate, ValueType>> = {
  count: 'int64',
  distinct: 'int64',
  sum: 'float64',
  mean: 'float64',
  stddev: 'float64',
};

function typesOf(listed: readonly Listed[], names: readonly string[]): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const { name, feature, from } of listed) {
    if (!names.includes(name)) continue;
    const type = isComputed(from) ? from.view.body.features[feature]!.type : storedType(from, feature);
    if (type) types.set(name, type);
  }
  return types;
}

function storedType({ view: { features } }: Reading, feature: string): ValueType | undefined {
  for (const each of features)
    if (each.name === feature) return 'type' in each ? each.type : AGGREGATE_TYPES[each.aggregate];
  return undefined;
}

/** A version of something that vectors were made with. */
export interface FeaturePin {
  readonly kind: 'feature-service' | 'feature-view';
  readonly name: string;
  readonly version: string;
  readonly digest?: string;
}

const pins = new WeakMap<CompiledService, FeaturePin[]>();

/** The versions that make a service's vectors: its own, unless nobody defined it, and each view's once. */
export function pinsOf(service: CompiledService): FeaturePin[] {
  let known = pins.get(service);
  if (!known) {
    const { name, version, digest, streams, rows, onDemand } = service;
    const views = new Map([...streams, ...rows, ...onDemand].map(({ view }) => [view.name, view]));
    known = [
      ...(version === 0
        ? []
        : [{ kind: 'feature-service' as const, name, version: String(version), digest }]),
      ...[...views.values()].map((view) => ({
        kind: 'feature-view' as const,
        name: view.name,
        version: String(view.version),
      })),
    ];
    pins.set(service, known);
  }
  return known;
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
  const view = group === undefined ? undefined : [...streams, ...rows][group]?.view;
  const isWhole =
    view?.features.length === slots.length &&
    slots.every((slot, at) => slot.group === group && slot.at === at && slot.otherwise === null);
  return isWhole ? group : undefined;
}

function valueAt({ group, at, otherwise }: Slot, values: readonly (readonly FeatureValue[])[]): FeatureValue {
  return values[group]![at] ?? otherwise;
}

/** The stored features that the service lists, by name. */
function slotsOf(
  body: FeatureServiceBody,
  views: ServiceViews,
  listed: readonly Listed[],
): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  for (const { name, feature, from } of listed)
    if (!isComputed(from)) slots.set(name, slotOf(views, from, feature, body.defaults?.[name] ?? null));
  return slots;
}

function slotOf(
  { streams, rows }: ServiceViews,
  reading: Reading,
  feature: string,
  otherwise: FeatureValue,
): Slot {
  const group = [...streams, ...rows].indexOf(reading as never);
  return { group, at: reading.view.features.findIndex(({ name }) => name === feature), otherwise };
}

type Inputs = readonly (readonly [string, Slot])[];

/** Where the features of the views stand that a computed view reads. */
function inputsOf({ view: { body }, inputs }: OnDemandUse, views: ServiceViews): Inputs {
  return listedFeatures(body.source, (_, index) => featuresOf(inputs[index]!)).map(
    ({ name, feature, index }): [string, Slot] => [name, slotOf(views, inputs[index]!, feature, null)],
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

/** What the service calls the features of a computed view that it lists. */
function namesOf(use: OnDemandUse, listed: readonly Listed[]): Map<string, string> {
  return new Map(
    listed.filter(({ from }) => from === use).map(({ feature, name }): [string, string] => [feature, name]),
  );
}

/** The features that are computed here: by an expression, or by a function of the program. */
function computedOf(
  use: OnDemandUse,
  views: ServiceViews,
  listed: readonly Listed[],
  functions: FeatureFunctions,
): Computed[] {
  const { name: label, body } = use.view;
  const inputs = inputsOf(use, views);
  const request = Object.entries(body.source.request ?? {});
  return [...namesOf(use, listed)].flatMap(([feature, name]) => {
    const { type, expression, function: called } = body.features[feature]!;
    if (expression === undefined && body.code !== undefined) return [];
    const told = `${label}.${feature}`;
    const own = expression ? ofExpression(expression) : ofFunction(told, called!, functions);
    const compute: Compute = (scope, values, nowMs) => {
      const typed = requestOf(told, request, values);
      return typedValue(told, type, own(scope, typed, nowMs));
    };
    return [{ name, inputs, compute }];
  });
}

type Answers = (readonly [string, FeatureValue])[][];

/** What the code of a view computes, asked for all rows at once: of each row the names with their values. */
function codeOf(
  use: OnDemandUse,
  views: ServiceViews,
  listed: readonly Listed[],
  modules: FunctionModules,
): ((rows: readonly VectorInput[]) => Promise<Answers>)[] {
  const { name: label, body } = use.view;
  const coded = codedFeatures(body, modules);
  if (!coded) return [];
  const inputs = inputsOf(use, views);
  const declared = Object.entries(body.source.request ?? {});
  const names = namesOf(use, listed);
  const answered = coded.names.flatMap((feature, at): [string, number][] =>
    names.has(feature) ? [[names.get(feature)!, at]] : [],
  );
  return [
    async (rows) => {
      const asked = rows.map(({ values, request, nowMs }) => ({
        features: ownScope(inputs, values),
        request: requestOf(label, declared, request),
        nowMs,
      }));
      const computed = await coded.compute(asked);
      return computed.map((row) => answered.map(([name, at]) => [name, row[at]!] as const));
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
