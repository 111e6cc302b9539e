import type { Ajv2020, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { closestName } from './closest-name.ts';
import { AiosError, type Issue } from './errors.ts';
import type { Json, JsonObject } from './json.ts';
import { schemaCompiler } from './schema-compiler.ts';

/** A compiled JSON Schema (draft 2020-12): the faults of a value, none when it fits. */
export type Validator = (value: unknown) => Issue[];

/** In a schema of ours: what a value of its form is, in words. */
export const SAYS = 'x-aios-says';
/** The name of a definition, as the kinds that AIOS brings have it. */
export const DEFINITION_NAME = {
  type: 'string',
  pattern: '^[a-z0-9][a-z0-9._-]{0,99}$',
  [SAYS]: 'small letters, digits, -, _ and ., at most 100',
} as const;
/** How many faults of one value are told. */
export const MAX_ISSUES = 20; // a body of 10,000 wrong rows must not answer with 10,000 issues

function createAjv(schema: JsonObject | boolean, validateSchema: boolean): Ajv2020 {
  const options = { allErrors: true, verbose: true, allowUnionTypes: true, validateSchema };
  // strict would refuse annotations that data contracts carry (classification, unit).
  return schemaCompiler(schema, { ...options, strict: false });
}

/** Compiling the schema of schemas takes 15 ms: one compiler holds every schema to it, once. */
let meta: Ajv2020 | undefined;
/** Schemas that are written in the code come again with each step that names their primitive. */
const compiled = new WeakMap<JsonObject, Validator>();

/**
 * Compiles a JSON Schema. Each schema has a compiler of its own, so that `$id`s of different definitions cannot meet. The same object gives
 * the same validator: it must not be changed afterwards.
 *
 * @throws AiosError `definition.invalid` when the schema itself is none
 * @example compileSchema({ type: 'object', required: ['a'] })({}) // [{ path: '', message: 'a is required', … }]
 */
export function compileSchema(schema: JsonObject | boolean): Validator {
  if (typeof schema === 'boolean') return compile(schema);
  const known = compiled.get(schema);
  if (known) return known;
  const validator = compile(schema);
  compiled.set(schema, validator);
  return validator;
}

function compile(schema: JsonObject | boolean): Validator {
  let validate: ValidateFunction;
  try {
    meta ??= createAjv(true, true);
    meta.validateSchema(schema, true);
    validate = createAjv(schema, false).compile(schema);
  } catch (error) {
    throw new AiosError('definition.invalid', {
      detail: `Not a JSON Schema (draft 2020-12): ${error instanceof Error ? error.message : String(error)}`,
      cause: error,
    });
  }
  return (value) => {
    if (validate(value)) return [];
    const errors = (validate.errors ?? []).filter((error) => error.keyword !== 'if');
    return errors.slice(0, MAX_ISSUES).map(issueOf);
  };
}

/** A fault of Ajv (with `verbose`, so that it knows its schema) as an issue. */
export function issueOf(
  error: Pick<ErrorObject, 'keyword' | 'instancePath' | 'params' | 'message' | 'parentSchema' | 'data'>,
): Issue {
  const { keyword, instancePath: path, params } = error;
  const issue: Issue = { path, message: error.message ?? keyword };
  if (keyword === 'required') {
    issue.message = `${params.missingProperty} is required`;
    issue.expected = String(params.missingProperty);
  } else if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const name = String(params.additionalProperty ?? params.unevaluatedProperty);
    issue.path = `${path}/${escapePointer(name)}`;
    issue.message = `“${name}” is not known here`;
    const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {});
    if (known.length > 0) issue.expected = known.join(', ');
    const meant = closestName(name, known);
    if (meant !== undefined) issue.meant = `“${meant}”`;
  } else {
    issue.found = preview(error.data as Json);
    if (keyword === 'enum') tellChoices(issue, params.allowedValues as Json[], error.data as Json);
    if (keyword === 'const') issue.expected = preview(params.allowedValue as Json);
    if (keyword === 'type') issue.expected = String(params.type);
    // What a pattern means, in words: a regular expression tells a newcomer nothing.
    const says = (error.parentSchema as JsonObject | undefined)?.[SAYS];
    if (typeof says === 'string' && (keyword === 'pattern' || keyword === 'type')) {
      issue.expected = says;
      if (keyword === 'pattern') issue.message = 'it has another form';
    }
  }
  return issue;
}

function tellChoices(issue: Issue, choices: readonly Json[], found: Json): void {
  issue.expected = choices.map((choice) => preview(choice)).join(', ');
  if (typeof found !== 'string') return;
  const texts = choices.filter((choice) => typeof choice === 'string');
  const meant = closestName(found, texts);
  if (meant !== undefined) issue.meant = preview(meant);
}

export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** One name of a JSON Pointer (RFC 6901), read back. */
export function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The names along a JSON Pointer: `/a~1b/0` is `a/b`, `0`. */
export function pointerNames(pointer: string): string[] {
  return pointer.split('/').slice(1).map(unescapePointer);
}

function preview(value: Json): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
