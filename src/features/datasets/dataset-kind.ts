import { locateIssue, validateDocument } from '../../kernel/document.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError, type Issue } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { isOwnEvent } from '../../kernel/own-events.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { DefinitionKind } from '../../store/definition-kind.ts';
import { type FeatureServiceBody, viewReferences } from '../definitions.ts';
import { type Described, described, identifier, name, text } from '../document-parts.ts';
import { joinKeysOf, listedIssues } from '../listed-views.ts';
import { type ListedViews, listedViews } from '../projections.ts';
import { expressionIssue } from '../view-documents.ts';

/** Events that are entity rows: each of the type is one, its time the time that its features are as of. */
export interface EntityEvents {
  readonly type: string;
  /** CEL over `event` and `data`; false leaves an event out. */
  readonly filter?: string;
  /** Join key → CEL. */
  readonly keys: Readonly<Record<string, string>>;
  /** Other columns (labels, values that a request would bring) → CEL. */
  readonly values?: Readonly<Record<string, string>>;
}

/** Shares of the rows, by the order of their times or by a hash of their keys; they add up to 1. */
export interface SplitBody {
  readonly by: 'time' | 'hash';
  readonly train: number;
  readonly valid?: number;
  readonly test?: number;
  /** The columns that are hashed: rows that are equal in them come into one part. The join keys when left out. */
  readonly on?: readonly string[];
  /** Another text gives another division. */
  readonly seed?: string;
}

/** What an owner says of a dataset in the sections of its datasheet, in Markdown. */
const DATASHEET_SECTIONS = [
  'motivation',
  'composition',
  'collection',
  'preprocessing',
  'uses',
  'distribution',
  'maintenance',
] as const;
export type DatasheetSection = (typeof DATASHEET_SECTIONS)[number];

/** A dataset of a project folder: `datasets/<name>.yaml`. */
export interface DatasetBody extends Described, Partial<ListedViews> {
  readonly name: string;
  /** An SPDX identifier, or the address of the text. */
  readonly licence?: string;
  /** Whose vectors the rows hold; or `views`, the features of these. */
  readonly service?: string;
  /** Where the entity rows come from; without it each version is given them. */
  readonly entities?: { readonly events: EntityEvents };
  readonly labels?: readonly string[];
  readonly split?: SplitBody;
  /** How long a version is kept that no model names; the newest always is. */
  readonly retention?: string;
  readonly intendedUses?: readonly string[];
  readonly datasheet?: Readonly<Partial<Record<DatasheetSection, string>>>;
}

const texts = { type: 'array', items: text, minItems: 1, uniqueItems: true };
const expressions = { type: 'object', propertyNames: { pattern: identifier }, additionalProperties: text };
const share = { type: 'number', minimum: 0, maximum: 1 };

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name,
    ...described,
    licence: text,
    service: text,
    views: { ...listedViews, minItems: 1 },
    fullFeatureNames: { type: 'boolean' },
    entities: {
      type: 'object',
      additionalProperties: false,
      required: ['events'],
      properties: {
        events: {
          type: 'object',
          additionalProperties: false,
          required: ['type', 'keys'],
          properties: { type: text, filter: text, keys: expressions, values: expressions },
        },
      },
    },
    labels: texts,
    split: {
      type: 'object',
      additionalProperties: false,
      required: ['by', 'train'],
      properties: {
        by: { enum: ['time', 'hash'] },
        train: share,
        valid: share,
        test: share,
        on: texts,
        seed: text,
      },
    },
    retention: text,
    intendedUses: texts,
    datasheet: {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(DATASHEET_SECTIONS.map((section) => [section, text])),
    },
  },
  oneOf: [{ required: ['service'] }, { required: ['views'] }],
  dependentRequired: { fullFeatureNames: ['views'] },
} as unknown as JsonObject);

export const datasetKind: DefinitionKind = {
  kind: 'dataset',
  followsReferences: true,
  folder: 'datasets',
  parse(document) {
    validateDocument(document, validate);
    const body = document.value as unknown as DatasetBody;
    const issues = [...expressionIssues(body), ...splitIssues(body), ...durationIssues(body)];
    if (issues.length > 0) {
      throw new AiosError('definition.invalid', {
        issues: issues.map((issue) => locateIssue(document, issue)),
      });
    }
    return { name: body.name, body: document.value };
  },
  references(body) {
    const { service, views = [] } = body as unknown as DatasetBody;
    return [
      ...(service === undefined ? [] : [{ kind: 'feature-service', name: service, path: '/service' }]),
      ...viewReferences({ views }, '/views'),
    ];
  },
  mentions(body) {
    const type = (body as unknown as DatasetBody).entities?.events.type;
    if (type === undefined || isOwnEvent(type)) return [];
    return [{ kind: 'contract', name: type, path: '/entities/events/type' }];
  },
  checkFit(body, surroundings) {
    const { service, views, fullFeatureNames, entities } = body as unknown as DatasetBody;
    const issues: Issue[] = [];
    if (views) issues.push(...listedIssues({ views, fullFeatureNames }, '/views', surroundings));
    const listed =
      views ?? (surroundings.find('feature-service', service!) as unknown as FeatureServiceBody).views;
    for (const key of entities ? joinKeysOf(listed, surroundings.find) : [])
      if (!Object.hasOwn(entities!.events.keys, key))
        issues.push({ path: '/entities/events/keys', message: `no expression for the join key “${key}”` });
    return issues;
  },
};

function expressionIssues({ entities }: DatasetBody): Issue[] {
  if (!entities) return [];
  const { filter, keys, values = {} } = entities.events;
  const path = '/entities/events';
  return [
    ...(filter === undefined ? [] : expressionIssue(`${path}/filter`, filter)),
    ...Object.entries(keys).flatMap(([key, source]) => expressionIssue(`${path}/keys/${key}`, source)),
    ...Object.entries(values).flatMap(([column, source]) =>
      expressionIssue(`${path}/values/${column}`, source),
    ),
    ...Object.keys(values)
      .filter((column) => Object.hasOwn(keys, column))
      .map((column) => ({ path: `${path}/values/${column}`, message: 'a key has this name' })),
  ];
}

function splitIssues({ split }: DatasetBody): Issue[] {
  if (!split) return [];
  const { by, train, valid = 0, test = 0, on, seed } = split;
  const issues: Issue[] = [];
  if (Math.abs(train + valid + test - 1) > 1e-9) {
    const found = String(train + valid + test);
    issues.push({
      path: '/split',
      message: 'train, valid and test do not add up to 1',
      found,
      expected: '1',
    });
  }
  if (by === 'time' && (on !== undefined || seed !== undefined))
    issues.push({ path: '/split', message: '“on” and “seed” are of a split by hash' });
  return issues;
}

function durationIssues({ retention }: DatasetBody): Issue[] {
  if (retention === undefined) return [];
  try {
    parseDuration(retention);
    return [];
  } catch (error) {
    return [{ path: '/retention', message: (error as Error).message, found: retention }];
  }
}
