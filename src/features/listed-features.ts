import { AiosError } from '../kernel/errors.ts';
import type { FeatureServiceBody } from './definitions.ts';
import { type ListedFeature, listedFeatures } from './projections.ts';
import type { OnDemandUse, Reading, ServiceViews } from './service-views.ts';
import { own } from './values.ts';
import type { ValueType } from './view-documents.ts';
import type { Aggregate, FeatureValue } from './windows/state.ts';

/** Of a service whose views are not what it was planned with: one of them is being built anew. */
export function withoutFeatures(service: string, names: readonly string[]): AiosError {
  return new AiosError('definition.reference', {
    detail: `${service}: its views have no feature ${names.join(', ')} any more.`,
  });
}

/** A feature that a service lists, and what it is read by. */
export interface Listed extends ListedFeature {
  readonly from: Reading | OnDemandUse;
}

/** The features of the views that a service lists, by what they are called. */
export function listedOf(body: FeatureServiceBody, { listed }: ServiceViews): Listed[] {
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

export function featuresOf(from: Reading | OnDemandUse): string[] {
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

export function typesOf(listed: readonly Listed[], names: readonly string[]): Map<string, ValueType> {
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

/** Where a value of a vector comes from: `values[group][at]`. */
export interface Slot {
  readonly group: number;
  readonly at: number;
  readonly otherwise: FeatureValue;
}

export function valueAt(
  { group, at, otherwise }: Slot,
  values: readonly (readonly FeatureValue[])[],
): FeatureValue {
  return values[group]![at] ?? otherwise;
}

/** The stored features that the service lists, by name. */
export function slotsOf(
  body: FeatureServiceBody,
  views: ServiceViews,
  listed: readonly Listed[],
): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  for (const { name, feature, from } of listed)
    if (!isComputed(from)) slots.set(name, slotOf(views, from, feature, own(body.defaults, name) ?? null));
  return slots;
}

export function slotOf(
  { streams, rows }: ServiceViews,
  reading: Reading,
  feature: string,
  otherwise: FeatureValue,
): Slot {
  const group = [...streams, ...rows].indexOf(reading as never);
  return { group, at: reading.view.features.findIndex(({ name }) => name === feature), otherwise };
}
