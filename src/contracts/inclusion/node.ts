import { type Ajv2020, MissingRefError, type ValidateFunction } from 'ajv/dist/2020.js';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { escapePointer, unescapePointer } from '../../kernel/schema.ts';
import { schemaCompiler } from '../../kernel/schema-compiler.ts';
import { boundedPatterns } from './pattern.ts';

export type Schema = JsonObject | boolean;

/** A schema at its place in a document; the same place gives the same object. */
export interface SchemaNode {
  readonly schema: Schema;
  /** JSON Pointer from the root of the document: `/properties/total`. */
  readonly pointer: string;
  readonly document: SchemaDocument;
  readonly id: number;
}

/** Why a value does not fit: the keyword that refuses it, and where that stands. */
export interface Refusal {
  readonly keyword: string;
  readonly pointer: string;
}

const DEFAULT_ID = 'aios:contract';
let nextId = 1;

/** A schema with what its references name. References to other documents are not followed. */
export class SchemaDocument {
  readonly root: SchemaNode;
  readonly #nodes = new Map<string, SchemaNode>();
  readonly #anchors = new Map<string, string>();
  readonly #id: string;
  /** Whether a part has an `$id` of its own, which moves the base of its references: none is resolved then. */
  readonly hasOtherResources: boolean;
  readonly #validators = new Map<number, ValidateFunction>();
  #ajv: Ajv2020 | undefined;

  constructor(schema: Schema) {
    this.#id = isObject(schema) && typeof schema.$id === 'string' ? schema.$id.replace(/#$/, '') : DEFAULT_ID;
    this.hasOtherResources = this.#index(schema, '', true);
    this.root = this.#node(schema, '');
  }

  /** The schema below a node, by names: `child(node, 'properties', 'total')`. */
  child(node: SchemaNode, ...names: (string | number)[]): SchemaNode {
    let value: Json = node.schema;
    let pointer = node.pointer;
    for (const name of names) {
      value = (value as JsonObject)[name] as Json;
      pointer += `/${escapePointer(String(name))}`;
    }
    return this.#node(value as Schema, pointer);
  }

  /** What a `$ref` names; nothing when that lies elsewhere. */
  resolve(reference: string): SchemaNode | undefined {
    const [base, fragment = ''] = reference.split('#') as [string, string?];
    if ((base !== '' && base !== this.#id) || this.hasOtherResources) return undefined;
    const text = decodeURIComponent(fragment);
    const pointer = text === '' || text.startsWith('/') ? text : this.#anchors.get(text);
    if (pointer === undefined) return undefined;
    let value: Json | undefined = this.root.schema;
    for (const part of pointer.split('/').slice(1)) {
      value =
        typeof value === 'object' && value !== null
          ? (value as JsonObject)[unescapePointer(part)]
          : undefined;
    }
    return typeof value === 'boolean' || isObject(value) ? this.#node(value, pointer) : undefined;
  }

  /** Whether a value fits, by ajv; nothing where that cannot be told, as where a reference leads elsewhere or a pattern is not linear. */
  accepts(node: SchemaNode, value: Json): boolean | undefined {
    try {
      return this.#validator(node)?.(value) as boolean | undefined;
    } catch {
      return undefined; // a pattern that cannot be told; and ajv 8 makes code that throws of some schemas with `if` beside `patternProperties`
    }
  }

  /** What refuses a value, by ajv; nothing when it fits. */
  refusal(node: SchemaNode, value: Json): Refusal | undefined {
    const fits = this.accepts(node, value);
    if (fits) return undefined;
    const validate = this.#validator(node);
    if (fits === undefined || !validate) return { keyword: '$ref', pointer: node.pointer };
    const [error] = validate.errors ?? [];
    const [, below = ''] = /^[^#]*#(.*)$/.exec(error?.schemaPath ?? '') ?? [];
    const isOfRoot = error?.schemaPath.startsWith(this.#id) ?? false;
    return { keyword: error?.keyword ?? 'false', pointer: `${isOfRoot ? '' : node.pointer}${below}` };
  }

  #validator(node: SchemaNode): ValidateFunction | undefined {
    const known = this.#validators.get(node.id);
    if (known) return known;
    try {
      const validate = this.#compile(node);
      this.#validators.set(node.id, validate);
      return validate;
    } catch (error) {
      if (error instanceof MissingRefError) return undefined;
      throw error;
    }
  }

  #compile(node: SchemaNode): ValidateFunction {
    if (!this.#ajv) {
      const { schema } = this.root;
      this.#ajv = schemaCompiler(schema, {
        strict: false,
        validateSchema: false,
        logger: false,
        code: { regExp: boundedPatterns },
      });
      this.#ajv.addSchema(isObject(schema) ? { ...schema, $id: this.#id } : schema, this.#id);
    }
    if (typeof node.schema === 'boolean') return this.#ajv.compile(node.schema);
    const pointer = node.pointer.split('/').map(encodeURIComponent).join('/');
    return this.#ajv.compile({ $ref: `${this.#id}#${pointer}` });
  }

  #node(schema: Schema, pointer: string): SchemaNode {
    const known = this.#nodes.get(pointer);
    if (known) return known;
    const node = { schema, pointer, document: this, id: nextId++ };
    this.#nodes.set(pointer, node);
    return node;
  }

  /** Notes the anchors; true when a part has an `$id` of its own, which moves the base of its references. */
  #index(value: Json, pointer: string, isRoot: boolean): boolean {
    if (typeof value !== 'object' || value === null) return false;
    if (isObject(value)) {
      for (const keyword of ['$anchor', '$dynamicAnchor'])
        if (typeof value[keyword] === 'string') this.#anchors.set(value[keyword], pointer);
    }
    const entries = Object.entries(value);
    const below = entries.map(([name, part]) =>
      this.#index(part, `${pointer}/${escapePointer(name)}`, false),
    );
    return below.includes(true) || (!isRoot && isObject(value) && typeof value.$id === 'string');
  }
}

/** The mapping that a keyword holds; an empty one where there is none. */
export function objectAt(schema: Schema, keyword: string): JsonObject {
  const value = isObject(schema) ? schema[keyword] : undefined;
  return isObject(value) ? value : {};
}
