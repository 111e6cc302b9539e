import { isObject, type JsonObject } from '../../kernel/json.ts';
import { objectAt, type SchemaNode } from './node.ts';

/** What is required beside a property. */
interface RequiredBeside {
  readonly keyword: string;
  readonly name: string;
  readonly further: readonly string[];
}

/**
 * What properties require beside them: `dependentRequired`, and the lists of `dependencies`, of which it was a part before draft 2019-09 and which validators still go by.
 *
 * @example requiredBeside(new SchemaDocument({ dependencies: { a: ['b'] } }).root) // [{ keyword: 'dependencies', name: 'a', further: ['b'] }]
 */
export function requiredBeside({ schema }: SchemaNode): RequiredBeside[] {
  return ['dependentRequired', 'dependencies'].flatMap((keyword) =>
    Object.entries(objectAt(schema, keyword)).flatMap(([name, further]) =>
      Array.isArray(further) ? [{ keyword, name, further: further as string[] }] : [],
    ),
  );
}

/** The schemas that an object with a property must fit: `dependentSchemas`, and those of `dependencies`. */
export function schemasBeside(node: SchemaNode): { readonly name: string; readonly schema: SchemaNode }[] {
  return ['dependentSchemas', 'dependencies'].flatMap((keyword) =>
    Object.entries(objectAt(node.schema, keyword)).flatMap(([name, schema]) =>
      isSchema(schema) ? [{ name, schema: node.document.child(node, keyword, name) }] : [],
    ),
  );
}

function isSchema(value: unknown): value is JsonObject | boolean {
  return typeof value === 'boolean' || isObject(value);
}
