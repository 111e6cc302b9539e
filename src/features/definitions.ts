import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { referencesOf } from '../kernel/expression-references.ts';
import type { JsonObject } from '../kernel/json.ts';
import { isOwnEvent } from '../kernel/own-events.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { DefinitionKind, Surroundings } from '../store/definition-kind.ts';
import { type Described, described, identifier, name, text } from './document-parts.ts';
import { type EntityBody, KEY_TYPES } from './entity.ts';
import { withCode } from './functions/view-code.ts';
import { featuresOfView, labelIssues, listedIssues } from './listed-views.ts';
import { type ListedViews, labelOf, listedFeatures, listedViews, projectionOf } from './projections.ts';
import {
  expressionIssue,
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type PushViewBody,
  type StreamViewBody,
  validateView,
  viewIssues,
} from './view-documents.ts';

/** The vector that a model or a table takes. */
export interface FeatureServiceBody extends Described, ListedViews {
  name: string;
  /** Name → CEL over the views' features, the request's values and `now` (milliseconds). */
  derived?: Record<string, string>;
  /** The names that are answered, in this order; everything when left out. */
  features?: string[];
  /** Values for features that are null. */
  defaults?: Record<string, number | boolean | string>;
}

const validateEntity = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'joinKeys'],
  properties: {
    name,
    joinKeys: {
      type: 'array',
      items: { type: 'string', pattern: identifier },
      minItems: 1,
      uniqueItems: true,
    },
    types: { type: 'object', additionalProperties: { enum: [...KEY_TYPES] } },
    ...described,
  },
});

const validateService = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'views'],
  properties: {
    name,
    ...described,
    views: { ...listedViews, minItems: 1 },
    fullFeatureNames: { type: 'boolean' },
    derived: { type: 'object', propertyNames: { pattern: identifier }, additionalProperties: text },
    features: { type: 'array', items: text, minItems: 1, uniqueItems: true },
    defaults: { type: 'object', additionalProperties: { type: ['number', 'boolean', 'string'] } },
  },
});

export const entityKind: DefinitionKind = {
  kind: 'entity',
  folder: 'entities',
  parse(document) {
    validateDocument(document, validateEntity);
    const { joinKeys, types = {} } = document.value as unknown as EntityBody;
    const unknown = Object.keys(types).filter((key) => !joinKeys.includes(key));
    if (unknown.length > 0) {
      throw invalid(
        document,
        unknown.map((key) => ({
          path: `/types/${key}`,
          message: 'the entity has no such join key',
          found: key,
          expected: joinKeys.join(', '),
        })),
      );
    }
    return { name: String(document.value.name), body: document.value };
  },
  checkFit: (body, { previous }) =>
    previous === undefined ? [] : rekeyed(body as unknown as EntityBody, previous as unknown as EntityBody),
};

/** State is kept under the keys of an entity, as their types write them. */
function rekeyed({ joinKeys, types = {} }: EntityBody, before: EntityBody): Issue[] {
  if (String(before.joinKeys) !== String(joinKeys)) {
    const message =
      'the join keys of an entity never change, since state is kept under them; define another entity';
    return [{ path: '/joinKeys', message, found: String(joinKeys), expected: String(before.joinKeys) }];
  }
  return joinKeys
    .filter((key) => types[key] !== before.types?.[key])
    .map((key) => ({
      path: types[key] === undefined ? '' : `/types/${key}`,
      message: `the type of the join key “${key}” never changes, since state is kept under it; define another entity`,
      found: types[key] ?? 'none',
      expected: before.types?.[key] ?? 'none',
    }));
}

export const featureViewKind: DefinitionKind = {
  kind: 'feature-view',
  followsReferences: true,
  folder: 'features',
  prepare: withCode,
  parse(document) {
    validateView(document);
    const body = document.value as unknown as FeatureViewBody;
    const issues = viewIssues(body);
    if (issues.length > 0) throw invalid(document, issues);
    return { name: body.name, body: document.value };
  },
  references(body) {
    const view = body as unknown as FeatureViewBody;
    if (kindOfView(view) !== 'on-demand')
      return [{ kind: 'entity', name: (view as StreamViewBody).entity, path: '/entity' }];
    return viewReferences((view as OnDemandViewBody).source, '/source/views');
  },
  mentions(body) {
    const view = body as unknown as FeatureViewBody;
    if (kindOfView(view) !== 'stream') return [];
    const { event } = (view as StreamViewBody).source;
    return isOwnEvent(event) ? [] : [{ kind: 'contract', name: event, path: '/source/event' }];
  },
  checkFit(body, surroundings) {
    const { find, previous } = surroundings;
    const view = body as unknown as FeatureViewBody;
    if (kindOfView(view) === 'on-demand') return inputIssues(view as OnDemandViewBody, surroundings);
    const { joinKeys } = find('entity', (view as StreamViewBody).entity) as unknown as EntityBody;
    const { keys = {} } = view as { keys?: Record<string, string> };
    return [
      ...sameKind(view, previous),
      ...(kindOfView(view) === 'stream' ? joinKeys : [])
        .filter((key) => !Object.hasOwn(keys, key))
        .map((key) => ({
          path: '/keys',
          message: `no expression for the join key “${key}” of ${(view as StreamViewBody).entity}`,
        })),
      ...Object.keys(keys)
        .filter((key) => !joinKeys.includes(key))
        .map((key) => ({
          path: `/keys/${key}`,
          message: `the entity ${(view as StreamViewBody).entity} has no such join key`,
          found: key,
          expected: joinKeys.join(', '),
        })),
    ];
  },
};

/** What is kept of a view is kept under its name: another kind of view, or one of another entity, is another view. */
function sameKind(view: FeatureViewBody, previous: JsonObject | undefined): Issue[] {
  const before = previous as unknown as FeatureViewBody | undefined;
  if (!before) return [];
  const issues: Issue[] = [];
  if (kindOfView(before) !== kindOfView(view)) {
    issues.push({
      path: '/source',
      message: 'a view does not become one of another kind; define another view',
      found: kindOfView(view),
      expected: kindOfView(before),
    });
  } else if (
    kindOfView(view) !== 'stream' &&
    (before as StreamViewBody).entity !== (view as StreamViewBody).entity
  ) {
    issues.push({
      path: '/entity',
      message: 'the rows of a view are kept under the keys of its entity; define another view',
      found: (view as StreamViewBody).entity,
      expected: (before as StreamViewBody).entity,
    });
  } else if (kindOfView(view) === 'push') {
    issues.push(...retyped(view as PushViewBody, before as PushViewBody));
  }
  return issues;
}

/** What was pushed stays as it was pushed: a feature of another type would answer values of both. A whole number is a number, too. */
function retyped({ features }: PushViewBody, before: PushViewBody): Issue[] {
  return Object.entries(features).flatMap(([feature, { type }]) => {
    const kept = before.features[feature]?.type ?? type;
    if (kept === type || (kept === 'int64' && type === 'float64')) return [];
    return [
      {
        path: `/features/${feature}/type`,
        message: `what was pushed is kept as ${kept}; give the feature of another type another name`,
        found: type,
        expected: kept,
      },
    ];
  });
}

/** What a computed feature reads is stored: a computed one of another view would have to be in force, and in order. */
function inputIssues(view: OnDemandViewBody, surroundings: Surroundings): Issue[] {
  const { source } = view;
  const computed = source.views.flatMap((listed, index) => {
    const { view, version } = projectionOf(listed);
    const found = surroundings.find('feature-view', view, version) as unknown as FeatureViewBody | undefined;
    return found && kindOfView(found) === 'on-demand'
      ? [
          {
            path: `/source/views/${index}`,
            message: `${view} is computed itself; name the views that it reads`,
          },
        ]
      : [];
  });
  if (computed.length > 0) return computed;
  const path = '/source/views';
  const issues = [...labelIssues(source, path), ...listedIssues(source, path, surroundings)];
  const features = listedFeatures(source, (input) => featuresOfView(input, surroundings.find));
  for (const { name, projection } of features)
    if (Object.hasOwn(source.request ?? {}, name))
      issues.push({
        path: `/source/request/${name}`,
        message: `the view ${labelOf(projection)} has a feature of that name; call the value of the request something else`,
        found: name,
      });
  return issues.length > 0
    ? issues
    : unknownInputs(
        view,
        features.map(({ name }) => name),
      );
}

/** Names that CEL has by itself. */
const CEL_NAMES = new Set('now bool bytes double int list map null_type string type uint'.split(' '));

/** What an expression reads is an input or a value that the view declares: nothing else is there when it is computed. */
function unknownInputs({ source, features }: OnDemandViewBody, inputs: readonly string[]): Issue[] {
  const known = [...inputs, ...Object.keys(source.request ?? {})];
  return Object.entries(features).flatMap(([feature, { expression = '' }]) => {
    const read = new Set(referencesOf(expression).map(([first]) => first!));
    return [...read]
      .filter((name) => !known.includes(name) && !CEL_NAMES.has(name))
      .map((name) => ({
        path: `/features/${feature}/expression`,
        message: 'neither its views nor its request have this one',
        found: name,
        expected: `one of ${[...known, 'now'].join(', ')}`,
      }));
  });
}

/** The views of a list as references of its definition. */
export function viewReferences({ views }: ListedViews, path: string) {
  return views.map((listed, index) => ({
    kind: 'feature-view',
    name: projectionOf(listed).view,
    path: `${path}/${index}`,
  }));
}

export const featureServiceKind: DefinitionKind = {
  kind: 'feature-service',
  followsReferences: true,
  folder: 'services',
  parse(document) {
    validateDocument(document, validateService);
    const body = document.value as unknown as FeatureServiceBody;
    const issues = Object.entries(body.derived ?? {}).flatMap(([feature, source]) =>
      expressionIssue(`/derived/${feature}`, source),
    );
    if (issues.length > 0) throw invalid(document, issues);
    return { name: body.name, body: document.value };
  },
  references: (body) => viewReferences(body as unknown as FeatureServiceBody, '/views'),
  checkFit: (body, surroundings) => serviceIssues(body as unknown as FeatureServiceBody, surroundings),
};

function serviceIssues(service: FeatureServiceBody, surroundings: Surroundings): Issue[] {
  const issues = [...labelIssues(service, '/views'), ...listedIssues(service, '/views', surroundings)];
  if (issues.length > 0) return issues;
  const { derived = {}, features = [], defaults = {} } = service;
  const listed = listedFeatures(service, (each) => featuresOfView(each, surroundings.find));
  const known = new Map(listed.map(({ name, projection }) => [name, labelOf(projection)]));
  for (const name of Object.keys(derived)) {
    const view = known.get(name);
    if (view)
      issues.push({ path: `/derived/${name}`, message: `the view ${view} has a feature of that name` });
    known.set(name, 'derived');
  }
  const named: [string, string][] = [
    ...features.map((feature, index): [string, string] => [`/features/${index}`, feature]),
    ...Object.keys(defaults).map((feature): [string, string] => [`/defaults/${feature}`, feature]),
  ];
  for (const [path, feature] of named) {
    if (known.has(feature)) continue;
    issues.push({
      path,
      message: 'neither its views nor its derived features have this one',
      found: feature,
      expected: `one of ${[...known.keys()].join(', ')}`,
    });
  }
  return [...issues, ...lostByDerived(service, [...known.keys()], surroundings)];
}

/**
 * What an expression reads and no view has comes with the request, unless a view had it until now: then the expression was written for that. One that is
 * changed in the same apply says by itself what it reads.
 */
function lostByDerived(
  { views, derived = {} }: FeatureServiceBody,
  known: readonly string[],
  { find, findApplied, previous }: Surroundings,
): Issue[] {
  if (!previous) return [];
  const before = previous as unknown as FeatureServiceBody;
  const had = listedFeatures(before, (each) => featuresOfView(each, findApplied)).map(({ name }) => name);
  const requested = views.flatMap((listed) => {
    const { view, version } = projectionOf(listed);
    return Object.keys(
      (find('feature-view', view, version) as unknown as OnDemandViewBody).source.request ?? {},
    );
  });
  return Object.entries(derived).flatMap(([feature, source]) => {
    if (before.derived?.[feature] !== source) return [];
    const read = new Set(referencesOf(source).map(([first]) => first!));
    return [...read]
      .filter((name) => had.includes(name) && !known.includes(name) && !requested.includes(name))
      .map((name) => ({
        path: `/derived/${feature}`,
        message: 'no view has the feature any more that it reads',
        found: name,
        expected: `one of ${known.join(', ')}`,
      }));
  });
}

function invalid(document: SourceDocument, issues: readonly Issue[]): AiosError {
  return new AiosError('definition.invalid', { issues: issues.map((issue) => locateIssue(document, issue)) });
}
