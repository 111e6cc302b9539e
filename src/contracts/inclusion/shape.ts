import { canonicalize } from '../../kernel/canonical.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { wholeStep } from '../../kernel/multiples.ts';
import { requiredBeside, schemasBeside } from './dependencies.ts';
import { SchemaDocument, type SchemaNode } from './node.ts';

/** JSON's types, `number` taken apart so that `integer` is one of its parts. */
const TYPES = ['null', 'boolean', 'object', 'array', 'string', 'integer', 'fraction'] as const;
export type ValueType = (typeof TYPES)[number];

/** All that holds of a value: it fits every one of `positive` and none of `negative`. */
export interface Conjunction {
  readonly positive: readonly SchemaNode[];
  readonly negative: readonly SchemaNode[];
}

interface Bound {
  readonly value: number;
  readonly isExclusive: boolean;
}

/** What a conjunction says of its values, gathered from all of its parts. It may say less than they mean, never more. */
export interface Shape {
  readonly conjunction: Conjunction;
  /** With what references and `allOf` lead to. */
  readonly nodes: readonly SchemaNode[];
  readonly negative: readonly SchemaNode[];
  readonly alternatives: readonly Alternatives[];
  types: Set<ValueType>;
  /** All the values that there may be, where they are listed. */
  values: Json[] | undefined;
  isImpossible: boolean;
  lower: Bound;
  upper: Bound;
  readonly multiples: number[];
  minLength: number;
  maxLength: number;
  readonly patterns: Set<string>;
  readonly formats: Set<string>;
  minItems: number;
  maxItems: number;
  isUnique: boolean;
  readonly required: Set<string>;
  readonly forbidden: Set<string>;
  minProperties: number;
  maxProperties: number;
}

/** One of the conjunctions of `cases` holds. */
interface Alternatives {
  readonly owner: SchemaNode;
  readonly keyword: 'anyOf' | 'oneOf' | 'if';
  readonly cases: readonly Conjunction[];
}

const EVERY_TYPE: ReadonlySet<ValueType> = new Set(TYPES);
export const INT32_MIN = -(2 ** 31);
export const INT32_MAX = 2 ** 31 - 1;
const ALTERNATIVES_DEPTH_MAX = 3; // types are looked for in alternatives of alternatives, no deeper

/** Gathers what a conjunction says by itself, without asking whether properties can have values. */
export function gather(conjunction: Conjunction, depth = 0): Shape {
  const nodes: SchemaNode[] = [];
  const negative = new Set(conjunction.negative);
  const alternatives: Alternatives[] = [];
  const shape = emptyShape(conjunction, nodes, alternatives);
  const queue = [...conjunction.positive];
  const seen = new Set<number>();
  for (let node = queue.shift(); node; node = queue.shift()) {
    if (seen.has(node.id)) continue;
    seen.add(node.id);
    if (node.schema === false) shape.isImpossible = true;
    if (!isObject(node.schema)) continue;
    nodes.push(node);
    const found = partsOf(node);
    queue.push(...found.inPlace);
    const { not } = node.schema;
    if (isObject(not) && Object.keys(not).join() === 'not')
      queue.push(node.document.child(node, 'not', 'not'));
    else if (not !== undefined) negative.add(node.document.child(node, 'not'));
    alternatives.push(...found.alternatives);
    tighten(shape, node.schema);
    if (queue.length === 0) queue.push(...dependent(shape, nodes).filter(({ id }) => !seen.has(id)));
  }
  for (const { schema } of negative) applyNegative(shape, schema);
  if (depth < ALTERNATIVES_DEPTH_MAX) narrowByAlternatives(shape, depth);
  const result = { ...shape, negative: [...negative] };
  return result;
}

function emptyShape(conjunction: Conjunction, nodes: SchemaNode[], alternatives: Alternatives[]): Shape {
  return {
    conjunction,
    nodes,
    negative: [],
    alternatives,
    types: new Set(EVERY_TYPE),
    values: undefined,
    isImpossible: false,
    lower: { value: Number.NEGATIVE_INFINITY, isExclusive: false },
    upper: { value: Number.POSITIVE_INFINITY, isExclusive: false },
    multiples: [],
    minLength: 0,
    maxLength: Number.POSITIVE_INFINITY,
    patterns: new Set(),
    formats: new Set(),
    minItems: 0,
    maxItems: Number.POSITIVE_INFINITY,
    isUnique: false,
    required: new Set(),
    forbidden: new Set(),
    minProperties: 0,
    maxProperties: Number.POSITIVE_INFINITY,
  };
}

const parts = new WeakMap<SchemaNode, { inPlace: SchemaNode[]; alternatives: Alternatives[] }>();

/** What a node leads to at the same value: looked up once. */
function partsOf(node: SchemaNode): { inPlace: SchemaNode[]; alternatives: Alternatives[] } {
  let known = parts.get(node);
  if (!known) {
    known = { inPlace: inPlace(node), alternatives: alternativesOf(node) };
    parts.set(node, known);
  }
  return known;
}

/** Schemas that the same value must fit, too. */
function inPlace(node: SchemaNode): SchemaNode[] {
  const { schema, document } = node;
  if (!isObject(schema)) return [];
  const found: SchemaNode[] = [];
  const target = typeof schema.$ref === 'string' ? document.resolve(schema.$ref) : undefined;
  if (target) found.push(target);
  if (Array.isArray(schema.allOf))
    found.push(...schema.allOf.map((_, index) => document.child(node, 'allOf', index)));
  return found;
}

/** What becomes due by properties that are required. */
function dependent(shape: Shape, nodes: readonly SchemaNode[]): SchemaNode[] {
  for (let size = -1; size !== shape.required.size; ) {
    size = shape.required.size;
    for (const { name, further } of nodes.flatMap(requiredBeside))
      if (shape.required.has(name)) for (const other of further) shape.required.add(other);
  }
  if (shape.types.size !== 1 || !shape.types.has('object')) return []; // of other values nothing is required
  return nodes
    .flatMap(schemasBeside)
    .flatMap(({ name, schema }) => (shape.required.has(name) ? [schema] : []));
}

function alternativesOf(node: SchemaNode): Alternatives[] {
  const { schema, document } = node;
  if (!isObject(schema)) return [];
  const found: Alternatives[] = [];
  for (const keyword of ['anyOf', 'oneOf'] as const) {
    if (!Array.isArray(schema[keyword])) continue;
    const branches = schema[keyword].map((_, index) => document.child(node, keyword, index));
    const cases = branches.map((branch) => ({
      positive: [branch],
      negative: keyword === 'oneOf' ? branches.filter((other) => other !== branch) : [],
    }));
    found.push({ owner: node, keyword, cases });
  }
  if (schema.if !== undefined && (schema.then !== undefined || schema.else !== undefined)) {
    const condition = document.child(node, 'if');
    const then = schema.then === undefined ? [] : [document.child(node, 'then')];
    const otherwise = schema.else === undefined ? [] : [document.child(node, 'else')];
    const cases = [
      { positive: [condition, ...then], negative: [] },
      { positive: otherwise, negative: [condition] },
    ];
    found.push({ owner: node, keyword: 'if', cases });
  }
  return found;
}

function tighten(shape: Shape, schema: JsonObject): void {
  if (schema.type !== undefined) keepTypes(shape, typesNamed(schema));
  if (schema.const !== undefined) keepValues(shape, [schema.const]);
  if (Array.isArray(schema.enum)) keepValues(shape, schema.enum);
  const number = (name: string) => (typeof schema[name] === 'number' ? schema[name] : undefined);
  raise(shape, number('minimum'), false);
  raise(shape, number('exclusiveMinimum'), true);
  lower(shape, number('maximum'), false);
  lower(shape, number('exclusiveMaximum'), true);
  const step = number('multipleOf');
  if (step !== undefined && step > 0) shape.multiples.push(step);
  shape.minLength = Math.max(shape.minLength, number('minLength') ?? 0);
  shape.maxLength = Math.min(shape.maxLength, number('maxLength') ?? Number.POSITIVE_INFINITY);
  if (typeof schema.pattern === 'string') shape.patterns.add(schema.pattern);
  if (typeof schema.format === 'string') tightenByFormat(shape, schema.format);
  const contained = schema.contains === undefined ? 0 : (number('minContains') ?? 1);
  shape.minItems = Math.max(shape.minItems, number('minItems') ?? 0, contained);
  shape.maxItems = Math.min(shape.maxItems, number('maxItems') ?? Number.POSITIVE_INFINITY);
  if (schema.uniqueItems === true) shape.isUnique = true;
  if (Array.isArray(schema.required)) for (const name of schema.required) shape.required.add(name as string);
  shape.minProperties = Math.max(shape.minProperties, number('minProperties') ?? 0);
  shape.maxProperties = Math.min(shape.maxProperties, number('maxProperties') ?? Number.POSITIVE_INFINITY);
}

/** Two formats are about numbers (OpenAPI's registry of formats); the others about texts. */
function tightenByFormat(shape: Shape, format: string): void {
  shape.formats.add(format);
  if (format !== 'int32' && format !== 'int64') return;
  shape.multiples.push(1);
  if (format === 'int64') return;
  raise(shape, INT32_MIN, false);
  lower(shape, INT32_MAX, false);
}

function raise(shape: Shape, value: number | undefined, isExclusive: boolean): void {
  if (value === undefined || value < shape.lower.value) return;
  if (value > shape.lower.value || isExclusive) shape.lower = { value, isExclusive };
}

function lower(shape: Shape, value: number | undefined, isExclusive: boolean): void {
  if (value === undefined || value > shape.upper.value) return;
  if (value < shape.upper.value || isExclusive) shape.upper = { value, isExclusive };
}

function keepTypes(shape: Shape, allowed: ReadonlySet<ValueType>): void {
  shape.types = new Set([...shape.types].filter((type) => allowed.has(type)));
}

function keepValues(shape: Shape, allowed: readonly Json[]): void {
  shape.values = shape.values
    ? shape.values.filter((value) => allowed.some((other) => canonicalize(other) === canonicalize(value)))
    : [...allowed];
  keepTypes(shape, new Set(shape.values.map(typeOf)));
}

/** The two simple forms of `not`: of types alone, and of one property that must not be there. */
function applyNegative(shape: Shape, schema: SchemaNode['schema']): void {
  if (schema === true) shape.isImpossible = true;
  if (!isObject(schema)) return;
  const keywords = Object.keys(schema);
  if (keywords.length === 0) shape.isImpossible = true;
  if (keywords.length !== 1) return;
  if (schema.type !== undefined) {
    const excluded = typesNamed(schema);
    shape.types = new Set([...shape.types].filter((type) => !excluded.has(type)));
  }
  if (Array.isArray(schema.required) && schema.required.length === 1) {
    keepTypes(shape, new Set(['object']));
    shape.forbidden.add(schema.required[0] as string);
  }
}

function narrowByAlternatives(shape: Shape, depth: number): void {
  for (const { cases } of shape.alternatives) {
    const shapes = cases.map((one) => {
      const found = gather(one, depth + 1);
      settle(found);
      return found;
    });
    keepTypes(shape, new Set(shapes.flatMap(({ isImpossible, types }) => (isImpossible ? [] : [...types]))));
  }
}

/** Takes away the types for which no value is left, and lists the values of types that have few. */
export function settle(shape: Shape): void {
  const { types } = shape;
  if (shape.multiples.some(Number.isInteger)) types.delete('fraction');
  if (types.has('integer') && !types.has('fraction')) roundToWhole(shape);
  const { lower: low, upper: high } = shape;
  if (low.value > high.value || (low.value === high.value && (low.isExclusive || high.isExclusive))) {
    types.delete('integer');
    types.delete('fraction');
  }
  if (shape.minLength > shape.maxLength) types.delete('string');
  if (shape.minItems > shape.maxItems) types.delete('array');
  shape.minProperties = Math.max(shape.minProperties, shape.required.size);
  if (shape.minProperties > shape.maxProperties) types.delete('object');
  if ([...shape.required].some((name) => shape.forbidden.has(name))) types.delete('object');
  if (shape.values === undefined && [...types].every((type) => type === 'null' || type === 'boolean'))
    shape.values = [...types].flatMap((type) => (type === 'null' ? [null] : [true, false]));
  if (types.size === 0) shape.isImpossible = true;
}

const RANGE_MAX = 64; // whole numbers of a range that are looked at one by one

/** Every value that there may be, where types and bounds leave only a few; nothing otherwise. */
export function fewValues(shape: Shape): Json[] | undefined {
  const values: Json[] = [];
  for (const type of shape.types) {
    if (type === 'null') values.push(null);
    else if (type === 'boolean') values.push(true, false);
    else if (type === 'string' && shape.maxLength === 0) values.push('');
    else if (type === 'array' && shape.maxItems === 0) values.push([]);
    else if (type === 'object' && shape.maxProperties === 0) values.push({});
    else if (type === 'integer' && !shape.types.has('fraction')) {
      const { lower: low, upper: high } = shape;
      if (!(high.value - low.value < RANGE_MAX)) return undefined;
      for (let value = low.value; value <= high.value; value++) values.push(value);
    } else return undefined;
  }
  return values;
}

function roundToWhole(shape: Shape): void {
  const step = wholeStep(shape.multiples);
  const { lower: low, upper: high } = shape;
  if (Number.isFinite(low.value)) {
    const steps = low.isExclusive ? Math.floor(low.value / step) + 1 : Math.ceil(low.value / step);
    shape.lower = { value: steps * step, isExclusive: false };
  }
  if (Number.isFinite(high.value)) {
    const steps = high.isExclusive ? Math.ceil(high.value / step) - 1 : Math.floor(high.value / step);
    shape.upper = { value: steps * step, isExclusive: false };
  }
}

/** The types that `type` lets in; `nullable`, of OpenAPI 3.0 and gone by in validating, lets null in beside them. */
export function typesNamed({ type, nullable }: JsonObject): Set<ValueType> {
  const names = [
    ...(Array.isArray(type) ? type : [type]),
    ...(nullable === true ? ['null'] : []),
  ] as string[];
  return new Set(
    names.flatMap((name): ValueType[] => (name === 'number' ? ['integer', 'fraction'] : [name as ValueType])),
  );
}

function typeOf(value: Json): ValueType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return typeof value as 'boolean' | 'object' | 'string';
}

const synthetic = new Map<string, SchemaNode>();
const SYNTHETIC_MAX = 5000;

/** A schema that stands in no document: a case to look at. */
export function schemaNode(schema: SchemaNode['schema']): SchemaNode {
  const key = JSON.stringify(schema);
  let node = synthetic.get(key);
  if (!node) {
    if (synthetic.size >= SYNTHETIC_MAX) synthetic.clear();
    node = new SchemaDocument(schema).root;
    synthetic.set(key, node);
  }
  return node;
}
