import { AiosError } from './errors.ts';
import { requireFinite } from './finite-json.ts';
import type { Json } from './json.ts';

/** ECMAScript's JSON.parse tells the source of each number (proposal-json-parse-with-source, in Node since 21). */
type ExactReviver = (key: string, value: Json, context: { source?: string }) => Json;

/**
 * Reads JSON with integers past 2^53 as the texts of their digits: slower than JSON.parse, and for who needs them.
 *
 * @param isText which of them, by the number that JSON.parse makes of one, its digits and the name of its member; all when left out
 * @throws AiosError `request.malformed` for what is no JSON, or is nested too deep for this
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
    throw new AiosError('request.malformed', { detail: (cause as Error).message, cause });
  }
}

/** So many digits may be a whole number past 2^53. */
const MANY_DIGITS = /\d{16}/;

/**
 * Reads JSON whose whole numbers are kept to the digit (`exactIntegers`), and whose numbers are all within the range of a double.
 *
 * @throws AiosError `request.malformed` for a number past ±1.8e308; SyntaxError for what is no JSON
 * @example exactJson('{"id":9007199254740993,"n":1.5}') // { id: '9007199254740993', n: 1.5 }
 */
export function exactJson(text: string, isText?: Parameters<typeof exactIntegers>[1]): Json {
  const value = MANY_DIGITS.test(text) ? exactIntegers(text, isText) : (JSON.parse(text) as Json);
  requireFinite(text, value);
  return value;
}
