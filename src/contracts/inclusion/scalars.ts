import type { JsonObject } from '../../kernel/json.ts';
import { areMultiples } from '../../kernel/multiples.ts';
import type { FindingCode } from './finding.ts';
import { INT32_MAX, INT32_MIN, type Shape } from './shape.ts';

export type Say = (code: FindingCode, keyword: string, message: string) => void;

/** Formats whose values fit another one, too (RFC 3986, 3987, 5321, 6531, 5890). */
const WIDER_FORMATS: Readonly<Record<string, readonly string[]>> = {
  uri: ['uri-reference', 'iri', 'iri-reference'],
  'uri-reference': ['iri-reference'],
  iri: ['iri-reference'],
  email: ['idn-email'],
  hostname: ['idn-hostname'],
};

/** Formats that refuse no text: they say how one is shown, or are about numbers (OpenAPI's registry of formats). */
const TAKES_EVERY_TEXT: ReadonlySet<string> = new Set([
  ...['password', 'binary'],
  ...['int32', 'int64', 'float', 'double'],
]);

/** Where numbers of a writer fall out of the bounds of a reader. */
export function compareNumbers(shape: Shape, reader: JsonObject, say: Say): void {
  if (!shape.types.has('integer') && !shape.types.has('fraction')) return;
  const { lower, upper, multiples } = shape;
  const isWhole = !shape.types.has('fraction');
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf } = reader;
  if (typeof minimum === 'number' && lower.value < minimum)
    say('MINIMUM_INCREASED', 'minimum', `numbers below ${minimum} are refused`);
  if (typeof exclusiveMinimum === 'number') {
    const isAbove = lower.value > exclusiveMinimum || (lower.value === exclusiveMinimum && lower.isExclusive);
    if (!isAbove)
      say('MINIMUM_INCREASED', 'exclusiveMinimum', `numbers not above ${exclusiveMinimum} are refused`);
  }
  if (typeof maximum === 'number' && upper.value > maximum)
    say('MAXIMUM_DECREASED', 'maximum', `numbers above ${maximum} are refused`);
  if (typeof exclusiveMaximum === 'number') {
    const isBelow = upper.value < exclusiveMaximum || (upper.value === exclusiveMaximum && upper.isExclusive);
    if (!isBelow)
      say('MAXIMUM_DECREASED', 'exclusiveMaximum', `numbers not below ${exclusiveMaximum} are refused`);
  }
  const { format } = reader;
  const isInt32 = lower.value >= INT32_MIN && upper.value <= INT32_MAX;
  if ((format === 'int32' && !(isWhole && isInt32)) || (format === 'int64' && !isWhole))
    say('FORMAT_CHANGED', 'format', `numbers that are not of the format ${format} are refused`);
  if (typeof multipleOf === 'number') {
    const steps = isWhole ? [...multiples, 1] : multiples;
    if (!areMultiples(steps, multipleOf))
      say('MULTIPLE_OF_CHANGED', 'multipleOf', `numbers that are no multiple of ${multipleOf} are refused`);
  }
}

/** Where texts of a writer fall out of what a reader takes. */
export function compareStrings(shape: Shape, reader: JsonObject, say: Say): void {
  if (!shape.types.has('string')) return;
  const { minLength, maxLength, pattern, format } = reader;
  if (typeof minLength === 'number' && shape.minLength < minLength)
    say('MIN_LENGTH_INCREASED', 'minLength', `texts of less than ${minLength} characters are refused`);
  if (typeof maxLength === 'number' && shape.maxLength > maxLength)
    say('MAX_LENGTH_DECREASED', 'maxLength', `texts of more than ${maxLength} characters are refused`);
  if (typeof pattern === 'string' && !shape.patterns.has(pattern) && !matchesAll(pattern))
    say('PATTERN_CHANGED', 'pattern', `texts that do not match ${pattern} are refused`);
  if (typeof format !== 'string' || TAKES_EVERY_TEXT.has(format)) return;
  const formats = [...shape.formats].flatMap((name) => [name, ...(WIDER_FORMATS[name] ?? [])]);
  if (!formats.includes(format))
    say('FORMAT_CHANGED', 'format', `texts that are not of the format ${format} are refused`);
}

function matchesAll(pattern: string): boolean {
  return ['', '.*', '^.*', '.*$', '^'].includes(pattern);
}
