import type { SchemaNode } from './node.ts';

/** A place where a reader refuses, or may refuse, what a writer may write. */
export interface Refused {
  readonly code: FindingCode;
  readonly reader: SchemaNode;
  readonly writer: SchemaNode | undefined;
  /** The keyword of the reader, or a pointer below it: `minimum`, `required`. */
  readonly keyword: string;
  readonly message: string;
}

/**
 * Confluent's names (`Difference.Type` of its JSON Schema diff) where it has one for the change. `false`: the reader may accept all the same, but that
 * cannot be shown from the schemas; such a change is refused, too: a promise that cannot be checked is not kept.
 */
const CODES = {
  TYPE_NARROWED: { isCertain: true, hint: 'Keep the types that were allowed, and add new ones beside them.' },
  ENUM_ARRAY_NARROWED: { isCertain: true, hint: 'Keep the values that were listed; only add to them.' },
  VALUE_REFUSED: { isCertain: true, hint: 'Allow the value that was listed before.' },
  FORBIDDEN: { isCertain: true, hint: 'Keep what was allowed here, and mark it `deprecated`.' },
  MINIMUM_INCREASED: { isCertain: true, hint: 'Keep the bound, or check the tighter one as a quality rule.' },
  MAXIMUM_DECREASED: { isCertain: true, hint: 'Keep the bound, or check the tighter one as a quality rule.' },
  MULTIPLE_OF_CHANGED: { isCertain: true, hint: 'Keep the old `multipleOf`, or one that divides it.' },
  MIN_LENGTH_INCREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  MAX_LENGTH_DECREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  PATTERN_CHANGED: {
    isCertain: false,
    hint: 'Keep the pattern: whether one pattern covers another is not decided. A wider one goes beside it under `anyOf`.',
  },
  FORMAT_CHANGED: { isCertain: false, hint: 'Keep the format, or check the new one as a quality rule.' },
  MIN_ITEMS_INCREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  MAX_ITEMS_DECREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  UNIQUE_ITEMS_ADDED: { isCertain: true, hint: 'Remove repeated items when reading instead.' },
  CONTAINS_NARROWED: { isCertain: false, hint: 'Keep `contains` with its counts.' },
  REQUIRED_ATTRIBUTE_ADDED: {
    isCertain: true,
    hint: 'Make it optional and fill it in when reading: a `default` does not put a value into an event that lacks it.',
  },
  PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL: {
    isCertain: true,
    hint: 'Keep the property, marked `deprecated`, or let other properties in.',
  },
  PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL: {
    isCertain: true,
    hint: 'Close the older version (`additionalProperties: false`), or leave `contentModel` at `declared`.',
  },
  PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL: {
    isCertain: true,
    hint: 'Give the new property a schema that allows what `additionalProperties` or `patternProperties` allowed under its name.',
  },
  ADDITIONAL_PROPERTIES_REMOVED: { isCertain: true, hint: 'Keep letting other properties in.' },
  ADDITIONAL_PROPERTIES_NARROWED: {
    isCertain: true,
    hint: 'Keep the schema of other properties as wide as it was.',
  },
  PATTERN_PROPERTIES_NARROWED: {
    isCertain: false,
    hint: 'Keep the pattern with a schema as wide as it was.',
  },
  UNEVALUATED_PROPERTIES_NARROWED: { isCertain: false, hint: 'Keep letting other properties in.' },
  UNEVALUATED_ITEMS_NARROWED: { isCertain: false, hint: 'Keep letting other items in.' },
  PROPERTY_NAMES_NARROWED: { isCertain: false, hint: 'Keep allowing the names that were allowed.' },
  MIN_PROPERTIES_INCREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  MAX_PROPERTIES_DECREASED: {
    isCertain: true,
    hint: 'Keep the bound, or check the tighter one as a quality rule.',
  },
  DEPENDENCY_ARRAY_ADDED: {
    isCertain: true,
    hint: 'Ask for the further property in a quality rule instead.',
  },
  SUM_TYPE_NARROWED: {
    isCertain: false,
    hint: 'Keep every alternative as it was, tell them apart by a required constant, and add new ones beside them.',
  },
  NOT_TYPE_EXTENDED: { isCertain: false, hint: 'Keep what `not` excludes as narrow as it was.' },
  REFERENCE_UNRESOLVED: {
    isCertain: false,
    hint: 'Put the schema into `$defs`: references to other documents are not followed.',
  },
  TOO_COMPLEX: { isCertain: false, hint: 'Split the schema: the comparison gave up after 20,000 steps.' },
} as const;
export type FindingCode = keyof typeof CODES;

/** Whether the change certainly refuses something, and what to do instead. */
export function explain(code: FindingCode): { isCertain: boolean; hint: string } {
  return CODES[code];
}
