import { blankOf, type JsonObject } from '../kernel/json.ts';
import {
  codeAlone,
  codeOf,
  computedOf,
  derivedFrom,
  type OnDemandFunctions,
  ownScope,
  type Scope,
  type VectorInput,
} from './computed-features.ts';
import type { FeatureServiceBody } from './definitions.ts';
import { rowByRow, toldRow } from './failed-row.ts';
import { listedOf, type Slot, slotsOf, typesOf, valueAt, withoutFeatures } from './listed-features.ts';
import { featureNameOf } from './projections.ts';
import type { ServiceViews } from './service-views.ts';
import { own } from './values.ts';
import type { ValueType } from './view-documents.ts';
import type { FeatureValue } from './windows/state.ts';

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

/**
 * The vectors of a service for many rows: `count` of them, whose inputs `inputOf` gives.
 *
 * @throws AiosError what computing one of them threw, with the place of its row
 */
export async function vectorsOfRows(
  { coded, vector }: CompiledService,
  count: number,
  inputOf: (at: number) => VectorInput,
  place: { before: number; count: number } = { before: 0, count },
): Promise<FeatureValue[][]> {
  try {
    if (coded) return await coded(Array.from({ length: count }, (_, at) => inputOf(at)));
    return rowByRow(count, (at) => {
      const { values, request, nowMs } = inputOf(at);
      return vector(values, request, nowMs);
    });
  } catch (error) {
    throw toldRow(error, place);
  }
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
    expression: derivedFrom(name, source, listed),
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
  const members = [...slots.keys(), ...[...onDemand, ...derived].map(({ name }) => name)];
  const blank = blankOf(members);
  const vectorWith = (
    { values, request, nowMs }: VectorInput,
    computed: readonly (readonly [string, FeatureValue])[],
  ) => {
    const scope: Scope = { ...blank, ...request, now: nowMs };
    for (const [name, slot] of slots) scope[name] = valueAt(slot, values);
    for (const [name, value] of computed) scope[name] = value ?? own(body.defaults, name) ?? null;
    for (const { name, inputs, compute } of onDemand) {
      const inner = ownScope(inputs, values);
      scope[name] = compute(inner, request, nowMs) ?? own(body.defaults, name) ?? null;
    }
    for (const { name, expression } of derived)
      scope[name] = (expression(scope) as FeatureValue) ?? own(body.defaults, name) ?? null;
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
            return rowByRow(rows.length, (at) =>
              vectorWith(
                rows[at]!,
                answers.flatMap((answer) => answer[at]!),
              ),
            );
          },
  };
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
    const views = new Map(
      [...streams, ...rows, ...onDemand].map(({ view }) => [`${view.name}@${view.version}`, view]),
    );
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
