import type { Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';

export const INPUT_TYPES = ['number', 'integer', 'string', 'boolean', 'object', 'array', 'any'] as const;
type InputType = (typeof INPUT_TYPES)[number];

/** One input of a table. */
export interface InputSpec {
  readonly name: string;
  readonly type: InputType;
  /** May be null or absent; the cells then see null. */
  readonly nullable: boolean;
}

const FITS: Record<InputType, (value: unknown) => boolean> = {
  number: (value) => typeof value === 'number' && Number.isFinite(value),
  integer: Number.isSafeInteger,
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  array: Array.isArray,
  any: (value) => value !== undefined,
};

/** Both forms that a definition may use: a list of `{ name, type, nullable }`, or a mapping of names to types. */
export function readInputs(inputs: Json): InputSpec[] {
  const entries: [string, Json][] = Array.isArray(inputs)
    ? (inputs as JsonObject[]).map((entry) => [entry.name as string, entry])
    : Object.entries(inputs as JsonObject);
  return entries.map(([name, spec]) => {
    if (typeof spec === 'string') return { name, type: spec as InputType, nullable: false };
    const { type = 'any', nullable = false } = spec as { type?: InputType; nullable?: boolean };
    return { name, type, nullable };
  });
}

/**
 * The declared inputs and no others, so that a table cannot depend on what it does not declare; or the faults.
 *
 * @param blank `blankOf` their names
 */
export function bindInputs(
  specs: readonly InputSpec[],
  input: JsonObject,
  blank: { readonly [name: string]: undefined },
): JsonObject | Issue[] {
  const scope: { [name: string]: Json | undefined } = { ...blank };
  for (const { name, type, nullable } of specs) {
    const value = givenAs(input, name);
    if ((value === null || value === undefined) && nullable) scope[name] = null;
    else if (FITS[type](value)) scope[name] = value as Json;
    else return faultsOf(specs, input);
  }
  return scope as JsonObject;
}

/** Not what every object inherits (`constructor`). */
function givenAs(input: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(input, name) ? input[name] : undefined;
}

function faultsOf(specs: readonly InputSpec[], input: JsonObject): Issue[] {
  return specs.flatMap(({ name, type, nullable }): Issue[] => {
    const value = givenAs(input, name);
    if (((value === null || value === undefined) && nullable) || FITS[type](value)) return [];
    const message = value === undefined ? `input “${name}” is missing` : `input “${name}” is no ${type}`;
    return [{ path: `/${name}`, message, found: JSON.stringify(value) ?? 'nothing', expected: type }];
  });
}
