import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/project.ts';
import { AGGREGATES, type Aggregate } from './windows/state.ts';

/** A thing that features describe, and the keys that name it. */
export interface EntityBody {
  name: string;
  joinKeys: string[];
  description?: string;
}

interface FeatureBody {
  aggregate: Aggregate;
  /** CEL; what is aggregated. `count` needs none. */
  of?: string;
  /** How far back; all history when left out. */
  window?: string;
  /** `sliding` (the default) ends with the time asked for, `tumbling` is the newest whole one of windows end to end from the epoch. */
  windowType?: 'sliding' | 'tumbling';
  description?: string;
}

/** Windows over the events of one type, per entity. */
export interface FeatureViewBody {
  name: string;
  entity: string;
  description?: string;
  source: {
    /** Event type. */
    event: string;
    /** CEL that gives a list; each element is a contribution of its own, bound as `item`. */
    each?: string;
    /** CEL; false leaves the event (or element) out. */
    where?: string;
  };
  /** Join key → CEL; an element without a key (null) is left out. */
  keys: Record<string, string>;
  /** Contributions are merged into tiles of this length, and only tiles that have ended count. Without it every contribution is kept. */
  tile?: string;
  /** How late an event may come by its time and that of its recording; a tile counts that long after its end. Later ones are not counted. */
  lateness?: string;
  /** What becomes of a later one: only counted in a metric (`drop`, the default), or its place is kept, too (`dead-letter`). */
  late?: 'drop' | 'dead-letter';
  features: Record<string, FeatureBody>;
}

/** The vector that a model or a table takes. */
export interface FeatureServiceBody {
  name: string;
  description?: string;
  views: string[];
  /** Name → CEL over the views' features, the request's values and `now` (milliseconds). */
  derived?: Record<string, string>;
  /** The names that are answered, in this order; everything when left out. */
  features?: string[];
  /** Values for features that are null. */
  defaults?: Record<string, number | boolean | string>;
}

const text = { type: 'string', minLength: 1 };
const duration = { type: 'string', pattern: '^(\\d|P)' };
const name = { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_.-]*$' };
const identifier = '^[A-Za-z_][A-Za-z0-9_]*$';

const validateEntity = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'joinKeys'],
  properties: {
    name,
    joinKeys: { type: 'array', items: { type: 'string', pattern: identifier }, minItems: 1 },
    description: { type: 'string' },
  },
});

const validateView = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'entity', 'source', 'keys', 'features'],
  properties: {
    name,
    entity: text,
    description: { type: 'string' },
    source: {
      type: 'object',
      additionalProperties: false,
      required: ['event'],
      properties: { event: text, each: text, where: text },
    },
    keys: { type: 'object', additionalProperties: text, minProperties: 1 },
    tile: duration,
    lateness: duration,
    late: { enum: ['drop', 'dead-letter'] },
    features: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: identifier },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['aggregate'],
        properties: {
          aggregate: { enum: [...AGGREGATES] },
          of: text,
          window: duration,
          windowType: { enum: ['sliding', 'tumbling'] },
          description: { type: 'string' },
        },
      },
    },
  },
});

const validateService = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'views'],
  properties: {
    name,
    description: { type: 'string' },
    views: { type: 'array', items: text, minItems: 1, uniqueItems: true },
    derived: { type: 'object', propertyNames: { pattern: identifier }, additionalProperties: text },
    features: { type: 'array', items: text, minItems: 1, uniqueItems: true },
    defaults: { type: 'object' },
  },
});

export const entityKind: DefinitionKind = {
  kind: 'entity',
  folder: 'entities',
  parse(document) {
    validateDocument(document, validateEntity);
    return { name: String(document.value.name), body: document.value };
  },
  checkFit: (body, { previous }) =>
    previous === undefined || String(previous.joinKeys) === String(body.joinKeys)
      ? []
      : [
          {
            path: '/joinKeys',
            message:
              'the join keys of an entity never change, since state is kept under them; define another entity',
            found: String(body.joinKeys),
            expected: String(previous.joinKeys),
          },
        ],
};

export const featureViewKind: DefinitionKind = {
  kind: 'feature-view',
  folder: 'features',
  parse(document) {
    validateDocument(document, validateView);
    const body = document.value as unknown as FeatureViewBody;
    const issues = viewIssues(body);
    if (issues.length > 0) throw invalid(document, issues);
    return { name: body.name, body: document.value };
  },
  references: (body) => [{ kind: 'entity', name: String(body.entity), path: '/entity' }],
  checkFit(body, { find }) {
    const { entity, keys } = body as unknown as FeatureViewBody;
    const { joinKeys } = find('entity', entity) as unknown as EntityBody;
    return [
      ...joinKeys
        .filter((key) => !(key in keys))
        .map((key) => ({ path: '/keys', message: `no expression for the join key “${key}” of ${entity}` })),
      ...Object.keys(keys)
        .filter((key) => !joinKeys.includes(key))
        .map((key) => ({
          path: `/keys/${key}`,
          message: `the entity ${entity} has no such join key`,
          found: key,
          expected: joinKeys.join(', '),
        })),
    ];
  },
};

export const featureServiceKind: DefinitionKind = {
  kind: 'feature-service',
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
  references: (body) =>
    (body as unknown as FeatureServiceBody).views.map((view, index) => ({
      kind: 'feature-view',
      name: view,
      path: `/views/${index}`,
    })),
  checkFit: (body, { find }) =>
    serviceIssues(
      body as unknown as FeatureServiceBody,
      (view) => find('feature-view', view) as unknown as FeatureViewBody,
    ),
};

function serviceIssues(
  { views, derived = {}, features = [], defaults = {} }: FeatureServiceBody,
  find: (view: string) => FeatureViewBody,
): Issue[] {
  const issues: Issue[] = [];
  const known = new Map<string, string>();
  for (const [index, view] of views.entries()) {
    for (const feature of Object.keys(find(view).features)) {
      const other = known.get(feature);
      if (other) {
        const message = `two views have a feature “${feature}”: ${other} and ${view}; names are unique within a service`;
        issues.push({ path: `/views/${index}`, message });
      }
      known.set(feature, view);
    }
  }
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
  return issues;
}

function viewIssues({ source, keys, tile, lateness, late, features }: FeatureViewBody): Issue[] {
  const issues: Issue[] = [];
  const expressions: [string, string | undefined][] = [
    ['/source/each', source.each],
    ['/source/where', source.where],
    ...Object.entries(keys).map(([key, cel]): [string, string] => [`/keys/${key}`, cel]),
    ...Object.entries(features).map(([feature, { of }]): [string, string | undefined] => [
      `/features/${feature}/of`,
      of,
    ]),
  ];
  for (const [path, cel] of expressions) if (cel) issues.push(...expressionIssue(path, cel));
  if (late && !lateness)
    issues.push({
      path: '/late',
      message: 'which events are late is said by “lateness”',
      expected: 'lateness',
    });
  const tileMs = tile === undefined ? undefined : parseDuration(tile);
  for (const [feature, body] of Object.entries(features))
    issues.push(...featureIssues(`/features/${feature}`, body, tile, tileMs));
  return issues;
}

function featureIssues(
  path: string,
  { aggregate, of, window, windowType }: FeatureBody,
  tile: string | undefined,
  tileMs: number | undefined,
): Issue[] {
  const issues: Issue[] = [];
  if (aggregate !== 'count' && !of)
    issues.push({ path, message: `${aggregate} needs “of”: what is aggregated`, expected: 'of' });
  if (windowType === 'tumbling' && !window)
    issues.push({ path, message: 'a tumbling window needs “window”: its length', expected: 'window' });
  if (tileMs !== undefined && window && parseDuration(window) % tileMs !== 0) {
    issues.push({
      path: `${path}/window`,
      message: `a window is a multiple of the tile, ${tile}`,
      found: window,
    });
  }
  return issues;
}

function expressionIssue(path: string, source: string): Issue[] {
  try {
    compileExpression(source);
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}

function invalid(document: SourceDocument, issues: readonly Issue[]): AiosError {
  return new AiosError('definition.invalid', { issues: issues.map((issue) => locateIssue(document, issue)) });
}
