import { hasDigits } from './digit-runs.ts';
import { AiosError, type Issue } from './errors.ts';
import { requireFinite } from './finite-json.ts';
import type { Json } from './json.ts';
import { escapePointer, MAX_ISSUES } from './schema.ts';

/** ECMAScript's JSON.parse tells the source of each number (proposal-json-parse-with-source, in Node since 21). */
type ExactReviver = (key: string, value: Json, context: { source?: string }) => Json;

/** The digits of 2^53, from where on a number does not tell each whole number from the next. */
const LARGE_DIGITS = 16;

/**
 * Reads JSON with integers past 2^53 as the texts of their digits: slower than JSON.parse, and for who needs them.
 *
 * @param isText which of them, by the number that JSON.parse makes of one, its digits and the name of its member; all when left out
 * @throws AiosError `request.malformed` for what is no JSON; `request.too_deep` for what is nested some thousands deep
 * @example exactIntegers('{"id":9007199254740993}') // { id: '9007199254740993' }
 */
export function exactIntegers(
  text: string,
  isText: (value: number, digits: string, name: string) => boolean = () => true,
): Json {
  const read = JSON.parse as (text: string, reviver: ExactReviver) => Json;
  try {
    return read(text, (name, value, { source }) => {
      if (!Number.isInteger(value) || Number.isSafeInteger(value) || !/^-?\d+$/.test(source!)) return value;
      return isText(value as number, source!, name) ? source! : value;
    });
  } catch (cause) {
    const code = cause instanceof RangeError ? 'request.too_deep' : 'request.malformed';
    throw new AiosError(
      code,
      code === 'request.malformed' ? { detail: (cause as Error).message, cause } : {},
    );
  }
}

/**
 * Reads JSON whose whole numbers are kept to the digit, and whose numbers are all within the range of a double.
 *
 * @param isText which whole numbers past 2^53 become the texts of their digits (as of `exactIntegers`); those that a number would change when left out
 * @throws AiosError `request.malformed` for a number past ±1.8e308, `request.too_deep`; SyntaxError for what is no JSON
 * @example exactJson('{"id":9007199254740993,"n":1.5}') // { id: '9007199254740993', n: 1.5 }
 */
export function exactJson(text: string, isText?: Parameters<typeof exactIntegers>[1]): Json {
  const isLarge = hasDigits(text, LARGE_DIGITS, isText ? mayBeWhole : mayLoseDigits);
  const value = isLarge ? exactIntegers(text, isText ?? losesDigits) : (JSON.parse(text) as Json);
  requireFinite(text, value);
  return value;
}

/**
 * Whether a whole number is written again as what it was read from: 9007199254740993 becomes …992, 12345678901234567890 …567000.
 *
 * @example losesDigits(Number('9007199254740993'), '9007199254740993') // true; of 9007199254740994 it is false
 */
export function losesDigits(value: number, digits: string): boolean {
  const [mantissa, exponent] = String(value).split('e+');
  if (exponent === undefined) return mantissa !== digits;
  const [whole, fraction = ''] = mantissa!.split('.'); // from 1e21 on
  return whole! + fraction.padEnd(Number(exponent), '0') !== digits;
}

/**
 * Reads JSON whose numbers can be kept as they were sent.
 *
 * @param path where the value stands in what the caller sent
 * @throws SyntaxError for what is no JSON; AiosError `request.malformed` for a number past ±1.8e308, `request.inexact_number`, `request.too_deep`
 * @example strictJson('[9007199254740994]') // [9007199254740994]; '[9007199254740993]' is refused
 */
export function strictJson(text: string, path = ''): Json {
  const value = JSON.parse(text) as Json;
  requireFinite(text, value);
  requireDigits(value, withDigits(text, value), path);
  return value;
}

/** JSON with the texts of whole numbers that lost digits when it was parsed; `value` itself where none did. */
export function withDigits(text: string, value: Json): Json {
  return hasDigits(text, LARGE_DIGITS, mayLoseDigits) ? exactIntegers(text, losesDigits) : value;
}

/**
 * Refuses a value that lost digits.
 *
 * @param digits the same with its digits (`withDigits`), or the part of it that is of this value
 * @throws AiosError `request.inexact_number`
 */
export function requireDigits(value: Json, digits: Json, path = ''): void {
  if (value === digits) return;
  const issues: Issue[] = [];
  // By a list of its own: a value may be as deep as its text is long.
  const open: [string, Json, Json][] = [[path, value, digits]];
  while (open.length > 0 && issues.length < MAX_ISSUES) {
    const [at, one, exact] = open.pop()!;
    if (typeof one === 'number' && typeof exact === 'string')
      issues.push({
        path: at,
        message: `as a number it would be kept as ${String(one)}`,
        found: exact,
        expected: `"${exact}"`,
      });
    else if (typeof one === 'object' && one !== null)
      for (const name of Object.keys(one).reverse()) {
        const inner: Json = (one as Record<string, Json>)[name]!;
        open.push([`${at}/${escapePointer(name)}`, inner, (exact as Record<string, Json>)[name]!]);
      }
  }
  if (issues.length > 0) throw new AiosError('request.inexact_number', { issues });
}

const QUOTE = '"'.charCodeAt(0);
const POINT = '.'.charCodeAt(0);

/** Digits of a fraction, or before one, are of no whole number; those behind a quote stand in a text. All else only JSON.parse tells. */
function mayBeWhole(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  return before !== QUOTE && before !== POINT && !'.eE'.includes(text.charAt(end) || ' ');
}

function mayLoseDigits(text: string, start: number, end: number): boolean {
  if (!mayBeWhole(text, start, end)) return false;
  const digits = text.slice(start, end);
  return losesDigits(Number(digits), digits);
}
