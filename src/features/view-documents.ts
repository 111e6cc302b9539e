import type { SourceDocument } from '../kernel/document.ts';
import { validateDocument } from '../kernel/document.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema, type Validator } from '../kernel/schema.ts';
import { type Described, described, identifier, name, text } from './document-parts.ts';
import { type ListedViews, listedViews } from './projections.ts';
import { AGGREGATES, type Aggregate } from './windows/state.ts';

/** Types of values, with Feast's meaning; a timestamp is told in milliseconds since the epoch. */
const VALUE_TYPES = ['boolean', 'int64', 'float64', 'string', 'timestamp'] as const;
export type ValueType = (typeof VALUE_TYPES)[number];

interface StoredView extends Described {
  name: string;
  entity: string;
  /** How long a row counts after its time; of a stream view, the window of its features that name none. */
  ttl?: string;
  /** How long before now vectors of the past may be asked for: what is older than these need is dropped. `featureRetentionMs` when left out. */
  retention?: string;
}

/** A feature of a stream: a window over contributions. */
interface WindowFeature extends Described {
  aggregate: Aggregate;
  /** CEL; what is aggregated. `count` needs none. */
  of?: string;
  /** How far back; all history when left out. */
  window?: string;
  /** `sliding` (the default) ends with the time asked for, `tumbling` is the newest whole one of windows end to end from the epoch. */
  windowType?: 'sliding' | 'tumbling';
}

/** Windows over the events of one type, per entity. */
export interface StreamViewBody extends StoredView {
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
  features: Record<string, WindowFeature>;
}

/** A feature of rows: a column of a table, a member of what is pushed. */
interface ColumnFeature extends Described {
  type: ValueType;
  /** Its name in the source, when that is another. */
  column?: string;
}

/** The newest row of a table, or of files, per entity. */
export interface BatchViewBody extends StoredView {
  source: TableSourceBody | FileSourceBody;
  /** Join key → column, where that has another name. */
  keys?: Record<string, string>;
  /** False: for history only, never materialized. */
  online?: boolean;
  features: Record<string, ColumnFeature>;
}

/** Rows have a time, or the time in which they hold (SCD2). */
export interface RowTimes {
  /** The column with the time of a row. */
  timestamp?: string;
  /** The column with the time at which a row was written: the newer of two rows of one time counts, and a cut-off can be asked for. */
  created?: string;
  /** SCD2: the columns between which a row holds, the end exclusive and null while it is open. */
  validFrom?: string;
  validTo?: string;
}

/** A table of the same database, in a schema that the operator allows. */
export interface TableSourceBody extends RowTimes {
  /** `schema.table` */
  table: string;
}

/** Files below a folder that the operator allows, one or those of a pattern (`prices/*.parquet`); a relative path is below the first of the folders. */
export interface FileSourceBody extends RowTimes {
  /** With a line of names; nothing between two delimiters is null. Times are ISO 8601 (UTC where they say no zone), or milliseconds. */
  csv?: string;
  /** One letter; a comma when left out. */
  delimiter?: string;
  parquet?: string;
}

/** Rows that are sent to `POST /api/v1/features/push`. */
export interface PushViewBody extends StoredView {
  source: { push: string };
  features: Record<string, ColumnFeature>;
}

/** A feature that is computed when it is read. */
interface ComputedFeature extends Described {
  type: ValueType;
  /** CEL over the features of its views, the request's values and `now` (milliseconds). */
  expression?: string;
  /** A function that the view's code exports (the feature's own name when left out), or without code one that the program registered. */
  function?: string;
}

/** Features computed from other features and from what the request brings. */
export interface OnDemandViewBody extends Described {
  name: string;
  source: ListedViews & { request?: Record<string, ValueType> };
  /** A file of TypeScript beside the document; its text is kept as `code`. */
  module?: string;
  /** TypeScript that exports the functions of its features. */
  code?: string;
  features: Record<string, ComputedFeature>;
}

export type FeatureViewBody = StreamViewBody | BatchViewBody | PushViewBody | OnDemandViewBody;
export type ViewKind = 'stream' | 'batch' | 'push' | 'on-demand';

/** Which kind of view a body is: its source says it. */
export function kindOfView({ source }: { source: object }): ViewKind {
  if ('event' in source) return 'stream';
  if ('table' in source || 'csv' in source || 'parquet' in source) return 'batch';
  return 'push' in source ? 'push' : 'on-demand';
}

const duration = { type: 'string', pattern: '^(\\d|P)' };
const column = { type: 'string', pattern: identifier };
const path = { type: 'string', minLength: 1, pattern: '^(?!.*://)(?!.*(^|[\\\\/])\\.\\.([\\\\/]|$))' };
const valueType = { enum: [...VALUE_TYPES] };

function object(required: string[], properties: JsonObject): JsonObject {
  return { type: 'object', additionalProperties: false, required, properties };
}

function features(required: string[], properties: JsonObject): JsonObject {
  return {
    type: 'object',
    minProperties: 1,
    propertyNames: { pattern: identifier },
    additionalProperties: object(required, { ...properties, ...described }),
  };
}

const stored = { name, entity: text, ttl: duration, retention: duration, ...described };
const columnFeatures = features(['type'], { type: valueType, column });

const VALIDATORS: Record<ViewKind, Validator> = {
  stream: compileSchema(
    object(['name', 'entity', 'source', 'keys', 'features'], {
      ...stored,
      source: object(['event'], { event: text, each: text, where: text }),
      keys: { type: 'object', additionalProperties: text, minProperties: 1 },
      tile: duration,
      lateness: duration,
      late: { enum: ['drop', 'dead-letter'] },
      features: features(['aggregate'], {
        aggregate: { enum: [...AGGREGATES] },
        of: text,
        window: duration,
        windowType: { enum: ['sliding', 'tumbling'] },
      }),
    }),
  ),
  batch: compileSchema(
    object(['name', 'entity', 'source', 'features'], {
      ...stored,
      source: object([], {
        csv: path,
        delimiter: { type: 'string', minLength: 1, maxLength: 1 },
        parquet: path,
        table: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*\\.[A-Za-z_][A-Za-z0-9_]*$' },
        timestamp: column,
        created: column,
        validFrom: column,
        validTo: column,
      }),
      keys: { type: 'object', additionalProperties: column },
      online: { type: 'boolean' },
      features: columnFeatures,
    }),
  ),
  push: compileSchema(
    object(['name', 'entity', 'source', 'features'], {
      ...stored,
      source: object(['push'], { push: name }),
      features: columnFeatures,
    }),
  ),
  'on-demand': compileSchema(
    object(['name', 'source', 'features'], {
      name,
      ...described,
      source: object(['views'], {
        views: listedViews,
        fullFeatureNames: { type: 'boolean' },
        request: { type: 'object', propertyNames: { pattern: identifier }, additionalProperties: valueType },
      }),
      module: { ...path, pattern: '\\.ts$' },
      code: text,
      features: features(['type'], { type: valueType, expression: text, function: name }),
    }),
  ),
};

/** Holds a document to the schema of its kind of view. @throws AiosError `definition.invalid` with the line of each fault */
export function validateView(document: SourceDocument): void {
  const { source } = document.value;
  const kind = source !== null && typeof source === 'object' ? kindOfView({ source }) : 'stream';
  validateDocument(document, VALIDATORS[kind]);
}

/** What a schema cannot say of a view. */
export function viewIssues(body: FeatureViewBody): Issue[] {
  const issues = durationIssues(body);
  if (issues.length > 0) return issues;
  switch (kindOfView(body)) {
    case 'stream':
      return streamIssues(body as StreamViewBody);
    case 'batch':
      return batchIssues((body as BatchViewBody).source);
    case 'push':
      return [];
    case 'on-demand':
      return onDemandIssues(body as OnDemandViewBody);
  }
}

function onDemandIssues({ code, features }: OnDemandViewBody): Issue[] {
  const isCoded = code !== undefined;
  const isUnused = isCoded && Object.values(features).every(({ expression }) => expression !== undefined);
  return [
    ...(isUnused ? [{ path: '/code', message: 'no feature calls a function of this code' }] : []),
    ...Object.entries(features).flatMap(([feature, computed]) =>
      computedIssues(`/features/${feature}`, computed, isCoded),
    ),
  ];
}

function computedIssues(
  path: string,
  { expression, function: called }: ComputedFeature,
  isCoded: boolean,
): Issue[] {
  if (
    isCoded
      ? expression !== undefined && called !== undefined
      : (expression === undefined) === (called === undefined)
  )
    return [{ path, message: 'a computed feature has an “expression” or a “function”, one of the two' }];
  return expression === undefined ? [] : expressionIssue(`${path}/expression`, expression);
}

function batchIssues(source: BatchViewBody['source']): Issue[] {
  const { timestamp, created, validFrom, validTo } = source;
  const issues: Issue[] = [];
  const named = ['table', 'csv', 'parquet'].filter((kind) => kind in source);
  if (named.length > 1)
    issues.push({
      path: `/source/${named[1]}`,
      message: `the rows come from one place: ${named.join(' or ')}`,
    });
  if ('delimiter' in source && !('csv' in source))
    issues.push({ path: '/source/delimiter', message: 'only the lines of a “csv” have a delimiter' });
  const isDated = timestamp && !validFrom && !validTo;
  const isHeld = !timestamp && !created && validFrom && validTo;
  if (!isDated && !isHeld) {
    issues.push({
      path: '/source',
      message: 'the rows have a “timestamp” (and may have “created”), or “validFrom” and “validTo”',
      expected: 'timestamp, or validFrom and validTo',
    });
  }
  return issues;
}

function streamIssues({ source, keys, ttl, tile, lateness, late, features }: StreamViewBody): Issue[] {
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
  if (tileMs !== undefined && ttl && parseDuration(ttl) % tileMs !== 0)
    issues.push({ path: '/ttl', message: `a time to live is a multiple of the tile, ${tile}`, found: ttl });
  for (const [feature, body] of Object.entries(features))
    issues.push(...windowIssues(`/features/${feature}`, body, tile, tileMs));
  return issues;
}

function windowIssues(
  path: string,
  { aggregate, of, window, windowType }: WindowFeature,
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

/** Every duration of a view is one: a process could compile no view beside one that it cannot read. */
function durationIssues(body: FeatureViewBody): Issue[] {
  const { ttl, retention, tile, lateness } = body as Partial<StreamViewBody>;
  const isStream = kindOfView(body) === 'stream';
  return [
    ...durationIssue('/ttl', ttl, isStream ? 1 : 0),
    ...durationIssue('/retention', retention, 0),
    ...durationIssue('/tile', tile, 1),
    ...durationIssue('/lateness', lateness, 0),
    ...Object.entries(body.features as StreamViewBody['features']).flatMap(([feature, { window }]) =>
      durationIssue(`/features/${feature}/window`, window, 1),
    ),
  ];
}

/** A window and a tile have a length. */
function durationIssue(path: string, source: string | undefined, leastMs: 0 | 1): Issue[] {
  if (source === undefined) return [];
  return attempt(path, () => {
    if (parseDuration(source) >= leastMs) return;
    throw new AiosError('definition.duration', { detail: `“${source}” has no length: it is 1ms at least.` });
  });
}

export function expressionIssue(path: string, source: string): Issue[] {
  return attempt(path, () => compileExpression(source));
}

function attempt(path: string, work: () => unknown): Issue[] {
  try {
    work();
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}
