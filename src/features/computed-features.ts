import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { rowByRow } from './failed-row.ts';
import { FunctionModules } from './functions/function-modules.ts';
import { featuresOf, type Listed, type Slot, slotOf, valueAt } from './listed-features.ts';
import { codedFeatures, type FunctionInput } from './on-demand-code.ts';
import { featureNameOf, listedFeatures } from './projections.ts';
import type { OnDemandUse, ServiceViews } from './service-views.ts';
import { typedValue } from './values.ts';
import type { ValueType } from './view-documents.ts';
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
export interface VectorInput {
  readonly values: readonly (readonly FeatureValue[])[];
  readonly request: JsonObject;
  readonly nowMs: number;
}

export type Scope = Record<string, FeatureValue | Json>;
type Compute = (scope: Scope, request: JsonObject, nowMs: number) => FeatureValue;

/** A computed feature, with its inputs. */
interface Computed {
  readonly name: string;
  readonly inputs: Inputs;
  readonly compute: Compute;
}

type Inputs = readonly (readonly [string, Slot])[];

/** Where the features of the views stand that a computed view reads. */
function inputsOf({ view: { body }, inputs }: OnDemandUse, views: ServiceViews): Inputs {
  return listedFeatures(body.source, (_, index) => featuresOf(inputs[index]!)).map(
    ({ name, feature, index }): [string, Slot] => [name, slotOf(views, inputs[index]!, feature, null)],
  );
}

export function ownScope(
  inputs: Inputs,
  values: readonly (readonly FeatureValue[])[],
): Record<string, FeatureValue> {
  const own: Record<string, FeatureValue> = {};
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
export function computedOf(
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
    const own = expression ? ofExpression(told, expression) : ofFunction(told, called!, functions);
    const compute: Compute = (scope, values, nowMs) => {
      const typed = requestOf(told, request, values);
      return typedValue(told, type, own(scope, typed, nowMs));
    };
    return [{ name, inputs, compute }];
  });
}

type Answers = (readonly [string, FeatureValue])[][];

/** What the code of a view computes, asked for all rows at once: of each row the names with their values. */
export function codeOf(
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
      const asked = rowByRow(rows.length, (at) => {
        const { values, request, nowMs } = rows[at]!;
        return { features: ownScope(inputs, values), request: requestOf(label, declared, request), nowMs };
      });
      const computed = await coded.compute(asked);
      return computed.map((row) => answered.map(([name, at]) => [name, row[at]!] as const));
    },
  ];
}

function ofExpression(label: string, source: string): Compute {
  const expression = compileExpression(source);
  return (scope, request, nowMs) => {
    try {
      return expression(Object.assign(scope, request, { now: nowMs })) as FeatureValue;
    } catch (error) {
      throw ofFeature(label, error);
    }
  };
}

/** An expression fails without a word of whose it is. */
function ofFeature(name: string, error: unknown): unknown {
  if (!(error instanceof AiosError)) return error;
  return new AiosError(error.code, { detail: `The feature ${name}: ${error.message}`, cause: error });
}

const UNKNOWN_VARIABLE = /^.*Unknown variable: (\w+)/;

/**
 * What no view of the service has comes with the request: whoever left it out is told so, not what CEL makes of it; and who called a feature by the other one
 * of its names, what it is called here.
 */
export function derivedFrom(
  name: string,
  source: string,
  listed: readonly Listed[],
): (scope: Scope) => unknown {
  const expression = compileExpression(source);
  return (scope) => {
    try {
      return expression(scope);
    } catch (error) {
      const missing = error instanceof AiosError ? UNKNOWN_VARIABLE.exec(error.message)?.[1] : undefined;
      if (missing === undefined) throw ofFeature(name, error);
      const meant = listed.filter(
        ({ feature, projection }) =>
          feature === missing || featureNameOf(projection, feature, true) === missing,
      );
      const called =
        meant.length === 0
          ? ''
          : ` The feature is called ${meant.map((each) => each.name).join(' or ')} here.`;
      const detail = `The feature ${name} needs “${missing}”, which no view of the service has: send it in “request”.${called}`;
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
    if (!Object.hasOwn(request, name)) {
      throw new AiosError('features.missing_request', { detail: `The feature ${label} needs “${name}”.` });
    }
    typed[name] = typedValue(`${label}: ${name}`, type, request[name]);
  }
  return typed;
}
