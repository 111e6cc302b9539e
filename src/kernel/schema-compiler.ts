import { _, Ajv2020, type Options, str } from 'ajv/dist/2020.js';
import type { SchemaValidateFunction } from 'ajv/dist/types/index.js';
import canonicalizeJson from 'canonicalize';
import { addFormats } from './formats.ts';
import type { JsonObject } from './json.ts';
import { isMultipleOf } from './multiples.ts';

/** What every object has without being given it: `{}.constructor`. */
const INHERITED = new RegExp(`"(?:${Object.getOwnPropertyNames(Object.prototype).join('|')})"`);

/** Where an item of an array stands before, as JSON compares values: in linear time, where ajv holds each item to each other one unless all are declared as scalars. */
function firstRepeated(items: readonly unknown[]): { i: number; j: number } | undefined {
  const places = new Map<string, number>();
  for (const [i, item] of items.entries()) {
    const key = keyOf(item);
    if (key === undefined) continue;
    const j = places.get(key);
    if (j !== undefined) return { i, j };
    places.set(key, i);
  }
  return undefined;
}

function keyOf(item: unknown): string | undefined {
  if (typeof item === 'string') return `"${item}`;
  if (typeof item !== 'object' || item === null) return String(item);
  try {
    return canonicalizeJson(item); // not by canonical.ts: flows are compiled without anything of Node
  } catch {
    return undefined; // NaN of an expression is no JSON, and the same as nothing
  }
}

/** The function of a keyword as ajv takes it: it says itself what is wrong. */
const isUnique: SchemaValidateFunction = (wanted: boolean, items: readonly unknown[]) => {
  const repeated = wanted ? firstRepeated(items) : undefined;
  if (!repeated) return true;
  const message = `must NOT have duplicate items (items ## ${repeated.j} and ${repeated.i} are identical)`;
  isUnique.errors = [{ keyword: 'uniqueItems', message, params: repeated }];
  return false;
};

/**
 * A compiler for one JSON Schema (draft 2020-12), in which ajv keeps to the specification: `multipleOf` goes by the numbers as they are written, where ajv
 * divides doubles (0.07 is no multiple of 0.01 to it), and a property is there only where the object itself has it (`constructor` is a name like any other). `uniqueItems` takes
 * linear time: ajv takes minutes for a body of a megabyte.
 *
 * @param schema what is compiled, so that only one that names an inherited property pays for telling it apart
 * @example schemaCompiler({ multipleOf: 0.01 }, { strict: false }).compile({ multipleOf: 0.01 })(19.99) // true
 */
export function schemaCompiler(schema: JsonObject | boolean, options: Options): Ajv2020 {
  const ajv = new Ajv2020({ ...options, ownProperties: INHERITED.test(JSON.stringify(schema)) });
  ajv.removeKeyword('multipleOf');
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    compile: (step: number) => (value: number) => isMultipleOf(value, step),
    error: {
      message: ({ schemaCode }) => str`must be multiple of ${schemaCode}`,
      params: ({ schemaCode }) => _`{multipleOf: ${schemaCode}}`,
    },
  });
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: isUnique });
  return addFormats(ajv);
}
