import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { unescapePointer } from '../../kernel/schema.ts';

/** A reference to a reference is followed this far: more is a circle. */
const REFERENCES_MAX = 20;

/**
 * What stands where a member of an OpenAPI or AsyncAPI document says, itself or by `$ref`; empty when it is not an object.
 *
 * @throws AiosError `definition.invalid` for a reference out of the document, to nothing, or in a circle
 * @example resolveReference({ a: { $ref: '#/b' }, b: { type: 'text' } }, { $ref: '#/a' }) // { type: 'text' }
 */
export function resolveReference(document: JsonObject, value: Json | undefined): JsonObject {
  let found = value;
  for (let hop = 0; isObject(found) && typeof found.$ref === 'string'; hop++) {
    const reference = found.$ref;
    if (!reference.startsWith('#/') || hop === REFERENCES_MAX)
      throw invalid(`The reference ${reference} is not followed: only those inside of the document are.`);
    found = reference
      .split('/')
      .slice(1)
      .map((part) => unescapePointer(decodeURIComponent(part)))
      .reduce<Json | undefined>(
        (at, name) => (isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined),
        document,
      );
    if (found === undefined) throw invalid(`The reference ${reference} points at nothing.`);
  }
  return isObject(found) ? found : {};
}

function invalid(detail: string): AiosError {
  return new AiosError('definition.invalid', { detail });
}
