import { AiosError } from './errors.ts';
import type { Json } from './json.ts';

/**
 * What a number past the range needs: an exponent of three digits, or so many digits before one of two. Texts may hold the like, and are looked through for nothing. By two expressions
 * (0.2 µs an event of 340 characters, 0.3 by one), the second from the beginning of a number only: from each digit on, 1 MB of numbers of 199 digits held up the process for 340 ms.
 */
const LARGE_EXPONENT = /[\d.][eE]\+?0*\d{3}/;
const MANY_DIGITS = /(?<!\d)\d{200}/;

/**
 * JSON of a text whose numbers are all in the range of a double (±1.8e308). JSON.parse makes an infinity of others, which no schema of numbers refuses, and which is
 * written as `null`: what is kept would be something else than what was checked.
 *
 * @throws SyntaxError for what is no JSON; AiosError `request.malformed` for such a number
 * @example parseFiniteJson('[1e308]') // [1e308]; '[1e309]' is refused
 */
export function parseFiniteJson(text: string): Json {
  const value = JSON.parse(text) as Json;
  requireFinite(text, value);
  return value;
}

/**
 * The same of a value that was parsed from the text already.
 *
 * @throws AiosError `request.malformed`
 */
export function requireFinite(text: string, value: unknown): void {
  if (!LARGE_EXPONENT.test(text) && !MANY_DIGITS.test(text)) return;
  // By a list of its own: the value may be as deep as its text is long.
  for (const open: unknown[] = [value]; open.length > 0; ) {
    const one = open.pop();
    if (one === Number.POSITIVE_INFINITY || one === Number.NEGATIVE_INFINITY)
      throw new AiosError('request.malformed', {
        detail: 'A number is out of range (±1.8e308); send it as a text.',
      });
    if (typeof one === 'object' && one !== null) for (const inner of Object.values(one)) open.push(inner);
  }
}

const NON_NUMBER = /("(?:[^"\\]|\\.)*")|-?(?:NaN|Infinity)/g;

/**
 * A text that is JSON but for NaN and infinities, as DuckDB and Python write them: each of them is null.
 *
 * @param written what stands for one of them, as JSON
 * @example withoutNonNumbers('{"a":NaN,"b":"NaN"}') // '{"a":null,"b":"NaN"}'
 */
export function withoutNonNumbers(text: string, written: (name: string) => string = () => 'null'): string {
  if (!text.includes('NaN') && !text.includes('Infinity')) return text;
  return text.replace(NON_NUMBER, (name, quoted?: string) => quoted ?? written(name));
}
