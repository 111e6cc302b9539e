import { RE2JS, RE2JSException } from 're2js';

/**
 * Whether a text matches a regular expression, in time linear in the text whatever the pattern: JavaScript's own engine takes 2ⁿ steps for `^(a+)+$`, and the
 * process stands still meanwhile. The syntax is RE2's, as CEL has it (langdef.md, "Regular Expressions"): no back-references and nothing that looks around.
 *
 * @returns the test; compiled patterns are the caller's to keep
 * @throws Error saying what is not allowed
 * @example compileLinear('^[A-Z]{2}\\d+$')('AB12') // true
 */
export function compileLinear(pattern: string): (text: string) => boolean {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.test(text);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new Error(`not a regular expression of RE2: ${error.message}`, { cause: error });
  }
}
