import { hasDigits } from './digit-runs.ts';
import { AiosError } from './errors.ts';

/** What a number past the range needs: an exponent of three digits, or so many digits before one of two. Texts may hold the like, and are looked through for nothing. */
const LARGE_EXPONENT = /[\d.][eE]\+?0*\d{3}/;
const MANY_DIGITS = 200;

/**
 * Refuses a value that was parsed from a text with numbers past the range of a double (±1.8e308). JSON.parse makes infinities of them, which no schema of numbers refuses, and which
 * are written as `null`: what is kept would be something else than what was checked.
 *
 * @throws AiosError `request.malformed`
 * @example requireFinite('[1e308]', [1e308]) // passes; requireFinite('[1e309]', JSON.parse('[1e309]')) does not
 */
export function requireFinite(text: string, value: unknown): void {
  if (!LARGE_EXPONENT.test(text) && !hasDigits(text, MANY_DIGITS)) return;
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
