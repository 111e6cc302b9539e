import {
  type FindBody,
  fieldId,
  LineageBuilder,
  type LineageReader,
  nodeId,
} from '../kernel/definition-lineage.ts';
import { referencesOf } from '../kernel/expression-references.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { FeatureServiceBody } from './definitions.ts';
import type { EntityBody } from './entity.ts';
import { featuresOfView } from './listed-views.ts';
import {
  type ListedFeature,
  type ListedViews,
  listedFeatures,
  type Projection,
  projectionOf,
} from './projections.ts';
import {
  type BatchViewBody,
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type PushViewBody,
  type StreamViewBody,
} from './view-documents.ts';

const entityId = (name: string) => nodeId('entity', name);
const viewId = (name: string) => nodeId('feature-view', name);
const featureId = (view: string, feature: string) => nodeId('feature', `${view}.${feature}`);
const serviceFeatureId = (service: string, feature: string) =>
  nodeId('service-feature', `${service}.${feature}`);

export const entityLineage: LineageReader = (body) => {
  const { name, joinKeys, types = {} } = body as unknown as EntityBody;
  const builder = new LineageBuilder();
  builder.node({
    id: entityId(name),
    type: joinKeys.map((key) => `${key}: ${types[key] ?? 'any'}`).join(', '),
  });
  return builder.done();
};

/**
 * A view, its features, and what each of them reads. What decides which events count (keys, `where`) reaches every feature by way of the view; what one
 * feature aggregates reaches that one only.
 *
 * @example featureViewLineage(view, find).edges // [{ from: 'field:order.placed#total', to: 'feature:customer-orders.spend_30d' }, …]
 */
export const featureViewLineage: LineageReader = (body, find) => {
  const view = body as unknown as FeatureViewBody;
  const builder = new LineageBuilder();
  const { name: _, features, description: __, owner: ___, tags: ____, ...rest } = body;
  const id = builder.node({ id: viewId(view.name), meaning: rest });
  for (const [feature, spec] of Object.entries(features as Record<string, JsonObject>)) {
    const { description: _, owner: __, tags: ___, type = 'number', ...meaning } = spec;
    builder.node({ id: featureId(view.name, feature), type: String(type), meaning });
    builder.edge(id, featureId(view.name, feature));
  }
  if ('entity' in view) builder.edge(entityId(view.entity), id);
  const kind = kindOfView(view);
  if (kind === 'stream') streamEdges(builder, view as StreamViewBody);
  else if (kind === 'batch') batchEdges(builder, view as BatchViewBody);
  else if (kind === 'push') builder.edge(nodeId('source', (view as PushViewBody).source.push), id);
  else onDemandEdges(builder, view as OnDemandViewBody, find);
  return builder.done();
};

function streamEdges(builder: LineageBuilder, { name, source, keys, features }: StreamViewBody): void {
  const { event, each, where } = source;
  const [elements = ['data']] = each === undefined ? [] : referencesOf(each);
  const fieldsOf = (expression: string) =>
    referencesOf(expression).map((path) => {
      const whole = path[0] === 'item' ? [...elements, ...path.slice(1)] : path;
      const field = fieldId(event, whole);
      builder.edge(nodeId('event-type', event), field);
      return field;
    });
  builder.edge(nodeId('event-type', event), viewId(name));
  for (const expression of [...Object.values(keys), ...(each ? [each] : []), ...(where ? [where] : [])])
    for (const field of fieldsOf(expression)) builder.edge(field, viewId(name));
  for (const [feature, { of }] of Object.entries(features))
    for (const field of of === undefined ? [] : fieldsOf(of)) builder.edge(field, featureId(name, feature));
}

function batchEdges(builder: LineageBuilder, { name, source, keys = {}, features }: BatchViewBody): void {
  const { table, csv, parquet } = source as { table?: string; csv?: string; parquet?: string };
  const place = table ?? csv ?? parquet ?? '';
  const id = nodeId(table === undefined ? 'file' : 'table', place);
  const column = (of: string) => {
    builder.edge(id, nodeId('column', place, of));
    return nodeId('column', place, of);
  };
  builder.edge(id, viewId(name));
  const { timestamp, created, validFrom, validTo } = source;
  for (const key of [...Object.values(keys), timestamp, created, validFrom, validTo])
    if (key !== undefined) builder.edge(column(key), viewId(name));
  for (const [feature, spec] of Object.entries(features))
    builder.edge(column(spec.column ?? feature), featureId(name, feature));
}

function onDemandEdges(
  builder: LineageBuilder,
  { name, source, features }: OnDemandViewBody,
  find: FindBody,
): void {
  const known = featuresOf(source, find);
  viewEdges(builder, source, viewId(name), find);
  for (const [feature, { expression }] of Object.entries(features)) {
    const read =
      expression === undefined ? [...known.keys()] : referencesOf(expression).map(([first]) => first!);
    for (const each of read) {
      const of = known.get(each);
      if (of) builder.edge(featureId(labelOfView(of.projection), of.feature), featureId(name, feature));
    }
  }
}

/** A version that somebody is held to is a source of its own (`weather@2`): what the newest becomes does not reach who is held to another. */
function labelOfView({ view, version }: Projection): string {
  return version === undefined ? view : `${view}@${version}`;
}

/** The listed views as sources of a definition; of those that it is held to also what they read. */
export function viewEdges(
  builder: LineageBuilder,
  { views }: Pick<ListedViews, 'views'>,
  to: string,
  find: FindBody,
): void {
  for (const projection of views.map(projectionOf)) {
    const { view, version } = projection;
    const name = labelOfView(projection);
    builder.edge(viewId(name), to);
    const held = version === undefined ? undefined : find('feature-view', view, version);
    // Nodes have one owner, and several may be held to one version: it is named by edges alone.
    for (const { from, to } of held ? featureViewLineage({ ...held, name }, find).edges : [])
      builder.edge(from, to);
  }
}

/** The features of listed views by what they are called there. */
function featuresOf(listed: ListedViews, find: FindBody): Map<string, ListedFeature> {
  const features = listedFeatures(listed, (each) => featuresOfView(each, find));
  return new Map(features.map((each) => [each.name, each]));
}

/** A service, each value that it answers, and what that is made of. */
export const featureServiceLineage: LineageReader = (body, find) => {
  const service = body as unknown as FeatureServiceBody;
  const { name, views, features } = service;
  // A feature may be called as what every object has (`constructor`).
  const derived = new Map(Object.entries(service.derived ?? {}));
  const defaults = new Map(Object.entries(service.defaults ?? {}));
  const builder = new LineageBuilder();
  const id = builder.node({ id: nodeId('feature-service', name) });
  const known = featuresOf(service, find);
  viewEdges(builder, { views }, id, find);
  const answered = features ?? [...known.keys(), ...derived.keys()];
  const needed = new Set(answered);
  for (const feature of needed) {
    const expression = derived.get(feature);
    const of = known.get(feature);
    const keys = of?.projection.joinKeyMap;
    const meaning = {
      ...{ derived: expression ?? null, default: defaults.get(feature) ?? null },
      ...(keys === undefined ? {} : { keys: { ...keys } }),
    };
    builder.node({ id: serviceFeatureId(name, feature), type: typeOfFeature(of, find), meaning });
    if (answered.includes(feature)) builder.edge(serviceFeatureId(name, feature), id);
    const read = expression === undefined ? [feature] : referencesOf(expression).map(([first]) => first!);
    for (const each of read) {
      const source = known.get(each);
      if (source)
        builder.edge(
          featureId(labelOfView(source.projection), source.feature),
          serviceFeatureId(name, feature),
        );
      else if (derived.has(each) && each !== feature) {
        needed.add(each); // the set is walked while it grows
        builder.edge(serviceFeatureId(name, each), serviceFeatureId(name, feature));
      }
    }
  }
  return builder.done();
};

function typeOfFeature(of: ListedFeature | undefined, find: FindBody): string {
  const features = (of && find('feature-view', of.projection.view, of.projection.version)?.features) as
    | Record<string, JsonObject>
    | undefined;
  return String((of && features?.[of.feature]?.type) ?? 'number');
}
