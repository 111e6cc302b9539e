import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Scope } from './templates.ts';

/** Where the calls of the specification have an address that may be a template, as paths into `with`. */
const ADDRESSES: { readonly [called: string]: readonly string[] } = {
  http: ['endpoint', 'endpoint/uri'],
};
const VARIABLE = /\{([^{}$]+)\}/g;

/**
 * The addresses of a call whose text holds `{name}` and no expression: the name's value comes from the input of the step (dsl-reference.md, "URI Template").
 *
 * @returns what expands them in the call's arguments; undefined when there are none
 * @example expandUris('http', { endpoint: 'https://example.org/pets/{petId}' })
 */
export function expandUris(
  called: string,
  input: JsonObject,
): ((given: JsonObject, scope: Scope) => JsonObject) | undefined {
  const templates = (ADDRESSES[called] ?? [])
    .map((place) => place.split('/'))
    .filter((place) => {
      const text = valueAt(input, place);
      return typeof text === 'string' && !text.includes('${') && text.search(VARIABLE) !== -1;
    });
  if (templates.length === 0) return undefined;
  return (given, scope) =>
    templates.reduce(
      (value, place) => changed(value, place, (text) => expanded(text, scope.input)),
      given as Json,
    ) as JsonObject;
}

function expanded(template: string, input: unknown): string {
  return template.replace(VARIABLE, (_, name: string) => {
    const value =
      isObject(input as Json) && Object.hasOwn(input as object, name) ? (input as JsonObject)[name] : null;
    if (typeof value === 'object' && value !== null)
      throw new AiosError('expression.failed', {
        detail: `{${name}} in an address: text, a number, true, false or null is expected.`,
      });
    return encodeURIComponent(String(value ?? '')).replace(
      /[!'()*]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  });
}

function valueAt(value: Json | undefined, place: readonly string[]): Json | undefined {
  return place.reduce<Json | undefined>((found, name) => (isObject(found) ? found[name] : undefined), value);
}

function changed(value: Json, [member, ...rest]: readonly string[], change: (text: string) => string): Json {
  if (member === undefined) return typeof value === 'string' ? change(value) : value;
  return isObject(value) && value[member] !== undefined
    ? { ...value, [member]: changed(value[member], rest, change) }
    : value;
}
