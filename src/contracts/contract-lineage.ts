import {
  type LineageBuilder as Builder,
  LineageBuilder,
  type LineageReader,
  nodeId,
} from '../kernel/definition-lineage.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

/** A schema within a schema is followed this far: deeper ones refer to themselves. */
const DEPTH_MAX = 12;

/**
 * A contract, the events that it is for, and their fields: `contract → event-type → field`. A field of an object in a list has the path of the list before it.
 *
 * @example contractLineage({ name: 'order.placed', schema: { properties: { total: { type: 'number' } } } }, find).nodes.at(-1)
 * // { id: 'field:order.placed#total', type: 'number' }
 */
export const contractLineage: LineageReader = (body) => {
  const builder = new LineageBuilder();
  const name = String(body.name);
  const contract = builder.node({ id: nodeId('contract', name), meaning: body.quality ?? null });
  const type = nodeId('event-type', name);
  builder.edge(contract, type);
  if (isObject(body.schema)) fields(builder, name, body.schema, body.schema, [], 0);
  return builder.done();
};

function fields(
  builder: Builder,
  name: string,
  root: JsonObject,
  schema: JsonObject,
  path: readonly string[],
  depth: number,
): void {
  if (depth > DEPTH_MAX) return;
  for (const part of partsOf(root, schema)) {
    if (isObject(part.items)) fields(builder, name, root, part.items, path, depth + 1);
    if (!isObject(part.properties)) continue;
    for (const [member, of] of Object.entries(part.properties)) {
      const at = [...path, member];
      const id = builder.node({ id: nodeId('field', name, at.join('.')), type: typeOf(root, of) });
      builder.edge(nodeId('event-type', name), id);
      if (isObject(of)) fields(builder, name, root, of, at, depth + 1);
    }
  }
}

/** A schema and what it is made of: what it refers to, its alternatives. */
function partsOf(root: JsonObject, schema: JsonObject): JsonObject[] {
  const referred = typeof schema.$ref === 'string' ? resolve(root, schema.$ref) : undefined;
  const others = [schema.allOf, schema.anyOf, schema.oneOf].flatMap((list) =>
    Array.isArray(list) ? list : [],
  );
  return [schema, ...(referred ? [referred] : []), ...others.filter(isObject)];
}

function resolve(root: JsonObject, reference: string): JsonObject | undefined {
  const found = reference
    .split('/')
    .slice(1)
    .reduce<Json | undefined>((at, part) => (isObject(at) ? at[part] : undefined), root);
  return isObject(found) ? found : undefined;
}

function typeOf(root: JsonObject, schema: Json): string {
  const types = new Set(isObject(schema) ? partsOf(root, schema).flatMap(({ type }) => type ?? []) : []);
  return types.size === 0 ? 'any' : [...types].map(String).sort().join(' | ');
}
