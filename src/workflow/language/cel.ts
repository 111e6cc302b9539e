import { AiosError } from '../../kernel/errors.ts';
import { compileExpression, nameChecker } from '../../kernel/expressions.ts';
import type { Json } from '../../kernel/json.ts';
import { ARGUMENTS, type ExpressionLanguage, secretMisplaced, type Template } from './templates.ts';

const PATH = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d+\])*$/;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g;
const SECRETS = /(?<![\w.])secrets\b(?!\s*[:(])/;
const RESERVED = /^(?:true|false|null)$/;

/** How expressions of jq begin that CEL cannot read, and the variables of jq. */
const LOOKS_LIKE_JQ = /^\s*\.|\$[A-Za-z_]/;

/**
 * `evaluate: { language: cel }`: the language of all other expressions of AIOS; 100 to 1,000 times faster than jq.
 *
 * @param names loop variables and caught errors that the flow names; more may come while it is compiled. Left out, any name is let through: an event may have
 * any attribute
 */
export function celLanguage(names?: ReadonlySet<string>): ExpressionLanguage {
  let checked = -1;
  let check: (source: string) => void = () => {};
  return {
    closingBrace,
    expression(source) {
      if (names && checked !== names.size) {
        check = nameChecker([...new Set([...ARGUMENTS, ...names])]);
        checked = names.size;
      }
      try {
        const template = expression(source);
        check(source);
        return template;
      } catch (error) {
        if (!(error instanceof AiosError) || !LOOKS_LIKE_JQ.test(source.replace(QUOTED, '""'))) throw error;
        const detail = `${error.message} (The expressions of this flow are CEL, as input.name; those of jq, as .name, need evaluate: { language: jq }.)`;
        throw new AiosError(error.code, { detail, cause: error });
      }
    },
  };
}

/** Where the brace opened before `from` closes: CEL has braces of its own, and text in quotes. */
function closingBrace(source: string, from: number): number {
  let depth = 1;
  let quote = '';
  for (let i = from; i < source.length; i++) {
    const char = source[i]!;
    if (quote) {
      if (char === '\\') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '{') depth++;
    else if (char === '}' && --depth === 0) return i;
  }
  return -1;
}

/** Most expressions only name a value: those are walked (0.05 µs) instead of interpreted and copied (0.5 µs and more). */
function expression(source: string): Template {
  if (SECRETS.test(source.replace(QUOTED, '""'))) throw secretMisplaced(source);
  if (!PATH.test(source) || RESERVED.test(source)) return compileExpression(source);
  const compiled = compileExpression(source);
  const path = source.split(/[.[]/).map((part) => (part.endsWith(']') ? Number(part.slice(0, -1)) : part));
  return (scope) => {
    let value: unknown = scope;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return compiled(scope); // its error says what is missing
      value = (value as Record<string | number, unknown>)[part];
    }
    return value === undefined ? compiled(scope) : (value as Json);
  };
}
