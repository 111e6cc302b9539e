import type { RegExpEngine, RegExpLike } from 'ajv/dist/types/index.js';
import { compileLinear } from '../../kernel/linear-regex.ts';

/** White space and ends of lines of which ECMA-262 and RE2 differ in `\s` and `.`. */
const DIFFERENT_TEXT = /[\v\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;
/** A class of RE2 that ECMA-262 reads as single characters. */
const DIFFERENT_PATTERN = /\[\[:/;

function boundedPattern(pattern: string): RegExpLike & { toString(): string } {
  let linear: ((text: string) => boolean) | undefined;
  return {
    test(text) {
      if (DIFFERENT_TEXT.test(text) || DIFFERENT_PATTERN.test(pattern))
        throw new Error(`${pattern} on ${JSON.stringify(text)} cannot be told`);
      linear ??= compileLinear(pattern);
      return linear(text);
    },
    toString: () => `linear ${pattern}`, // ajv's key for it
  };
}

/**
 * Patterns as ajv asks for them, for schemas that anybody who reads may have assessed: in linear time, where the engine that checks events takes 2ⁿ steps for some. Where
 * the two may differ, and of what is not linear (back-references, looking around), it throws: whether a value fits cannot be told then.
 *
 * @example boundedPatterns('^(a+)+$', 'u').test(`${'a'.repeat(40)}!`) // false, at once
 */
export const boundedPatterns: RegExpEngine = Object.assign(boundedPattern, { code: 'boundedPattern' });
