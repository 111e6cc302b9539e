import { isObject, type JsonObject } from '../../kernel/json.ts';
import { schemasBeside } from './dependencies.ts';
import { objectAt, type SchemaNode } from './node.ts';
import { type Conjunction, gather, type Shape, schemaNode } from './shape.ts';

/** What an object or an array says of its members, put together over all parts of a conjunction. */
const NOTHING: Conjunction = { positive: [schemaNode(false)], negative: [] };

/** The names that any part of a writer knows. */
export function knownNames(shape: Shape): Set<string> {
  const names = new Set<string>([...shape.required, ...shape.forbidden]);
  for (const { schema } of [...shape.nodes, ...evaluators(shape)])
    for (const name of Object.keys(objectAt(schema, 'properties'))) names.add(name);
  for (const name of namesAllowed(shape) ?? []) names.add(name);
  return names;
}

export function knownPatterns(shape: Shape): Set<string> {
  const nodes = [...shape.nodes, ...evaluators(shape)];
  return new Set(nodes.flatMap(({ schema }) => Object.keys(objectAt(schema, 'patternProperties'))));
}

/** What `unevaluatedProperties` looks at: the names there are none that nobody knows. */
function evaluators(shape: Shape): SchemaNode[] {
  const owners = shape.nodes.filter(
    ({ schema }) => (schema as JsonObject).unevaluatedProperties !== undefined,
  );
  return owners.flatMap((node) => partsInPlace(node) ?? []);
}

/** The value under a name; `isDeclared` when a part of the writer says anything of it. */
export function propertyOf(shape: Shape, name: string): Conjunction & { isDeclared: boolean } {
  if (shape.forbidden.has(name)) return { ...NOTHING, isDeclared: true };
  const positive: SchemaNode[] = [];
  for (const node of shape.nodes) {
    const schema = node.schema as JsonObject;
    const { document } = node;
    let isEvaluated = false;
    if (Object.hasOwn(objectAt(schema, 'properties'), name)) {
      positive.push(document.child(node, 'properties', name));
      isEvaluated = true;
    }
    for (const pattern of Object.keys(objectAt(schema, 'patternProperties'))) {
      if (!matches(pattern, name)) continue;
      positive.push(document.child(node, 'patternProperties', pattern));
      isEvaluated = true;
    }
    if (!isEvaluated && schema.additionalProperties !== undefined)
      positive.push(document.child(node, 'additionalProperties'));
    if (schema.unevaluatedProperties !== undefined && !mayEvaluate(node, name))
      positive.push(document.child(node, 'unevaluatedProperties'));
    if (schema.propertyNames !== undefined) {
      const names = document.child(node, 'propertyNames');
      if (document.accepts(names, name) === false) return { ...NOTHING, isDeclared: true };
    }
  }
  const isDeclared =
    positive.some(({ schema }) => schema !== true) || shape.nodes.some((node) => mayName(node, name));
  return { positive, negative: [], isDeclared };
}

const named = new WeakMap<SchemaNode, ReadonlySet<string>>();

/** Whether some part of a schema, one of its alternatives too, declares a property. */
function mayName(owner: SchemaNode, name: string): boolean {
  let names = named.get(owner);
  if (!names) {
    const parts = partsInPlace(owner) ?? [owner];
    names = new Set(parts.flatMap(({ schema }) => Object.keys(objectAt(schema, 'properties'))));
    named.set(owner, names);
  }
  return names.has(name);
}

/** The value under a name that matches a pattern and that no part knows otherwise. */
export function patternOf(shape: Shape, pattern: string): Conjunction {
  if (namesAllowed(shape)) return NOTHING;
  const positive = shape.nodes.flatMap((node) => {
    const schema = node.schema as JsonObject;
    const patterns = objectAt(schema, 'patternProperties');
    if (Object.hasOwn(patterns, pattern)) return [node.document.child(node, 'patternProperties', pattern)];
    if (Object.keys(patterns).length > 0 || schema.additionalProperties === undefined) return []; // another pattern may match it, too
    return [node.document.child(node, 'additionalProperties')];
  });
  return { positive, negative: [] };
}

/** The value under a name that no part knows, and that no pattern of any part matches. */
export function restOf(shape: Shape): Conjunction {
  if (namesAllowed(shape)) return NOTHING;
  const positive = shape.nodes.flatMap((node) => {
    const { additionalProperties, unevaluatedProperties } = node.schema as JsonObject;
    if (additionalProperties !== undefined) return [node.document.child(node, 'additionalProperties')];
    if (unevaluatedProperties === undefined || mayEvaluate(node, undefined)) return [];
    return [node.document.child(node, 'unevaluatedProperties')];
  });
  return { positive, negative: [] };
}

/** The only names that there may be, where `propertyNames` lists them. */
function namesAllowed(shape: Shape): string[] | undefined {
  if (shape.maxProperties === 0) return [];
  const positive = shape.nodes.flatMap((node) =>
    (node.schema as JsonObject).propertyNames === undefined
      ? []
      : [node.document.child(node, 'propertyNames')],
  );
  if (positive.length === 0) return undefined;
  const { values, isImpossible } = gather({ positive, negative: [] });
  if (isImpossible) return [];
  return values?.filter((value) => typeof value === 'string');
}

/** What a writer says of the names of its properties. */
export function namesOf(shape: Shape): Conjunction {
  const positive = shape.nodes.flatMap((node) =>
    (node.schema as JsonObject).propertyNames === undefined
      ? []
      : [node.document.child(node, 'propertyNames')],
  );
  return { positive: [schemaNode({ type: 'string' }), ...positive], negative: [] };
}

/**
 * Whether a part of a schema that applies in place may evaluate a name, so that `unevaluatedProperties` is not asked about it; of a name
 * that nobody knows (`undefined`): whether one that evaluates every name may apply.
 */
function mayEvaluate(owner: SchemaNode, name: string | undefined): boolean {
  const parts = partsInPlace(owner);
  if (!parts) return true;
  return parts.some((node) => {
    const { additionalProperties, unevaluatedProperties } = node.schema as JsonObject;
    if (additionalProperties !== undefined || (node !== owner && unevaluatedProperties !== undefined))
      return true;
    if (name === undefined) return false;
    if (Object.hasOwn(objectAt(node.schema, 'properties'), name)) return true;
    return Object.keys(objectAt(node.schema, 'patternProperties')).some((pattern) => matches(pattern, name));
  });
}

/** The schemas that may apply to the same value, the node among them; nothing when a reference leads elsewhere. */
function partsInPlace(owner: SchemaNode): SchemaNode[] | undefined {
  const found = new Set<SchemaNode>();
  const queue = [owner];
  for (let node = queue.pop(); node; node = queue.pop()) {
    const { schema, document } = node;
    if (!isObject(schema) || found.has(node)) continue;
    found.add(node);
    const target = typeof schema.$ref === 'string' ? document.resolve(schema.$ref) : undefined;
    if (typeof schema.$dynamicRef === 'string' || (schema.$ref !== undefined && !target)) return undefined;
    if (target) queue.push(target);
    for (const keyword of ['allOf', 'anyOf', 'oneOf'])
      if (Array.isArray(schema[keyword]))
        for (const index of schema[keyword].keys()) queue.push(document.child(node, keyword, index));
    for (const keyword of ['if', 'then', 'else'])
      if (schema[keyword] !== undefined) queue.push(document.child(node, keyword));
    queue.push(...schemasBeside(node).map(({ schema: beside }) => beside));
  }
  return [...found];
}

/** The item at a place; without one, the items behind every `prefixItems`. */
export function itemOf(shape: Shape, index?: number): Conjunction {
  const positive = shape.nodes.flatMap((node) => {
    const { prefixItems, items, contains, unevaluatedItems } = node.schema as JsonObject;
    if (index !== undefined && Array.isArray(prefixItems) && index < prefixItems.length)
      return [node.document.child(node, 'prefixItems', index)];
    if (items !== undefined) return [node.document.child(node, 'items')];
    const isAlone = contains === undefined && partsInPlace(node)?.length === 1;
    return unevaluatedItems !== undefined && isAlone ? [node.document.child(node, 'unevaluatedItems')] : [];
  });
  return { positive, negative: [] };
}

/** How many items have a schema by their place. */
export function prefixLength(shape: Shape): number {
  return Math.max(
    0,
    ...shape.nodes.map(({ schema }) => {
      const { prefixItems } = schema as JsonObject;
      return Array.isArray(prefixItems) ? prefixItems.length : 0;
    }),
  );
}

export function matches(pattern: string, name: string): boolean {
  return new RegExp(pattern, 'u').test(name);
}
