import { AiosError } from '../../kernel/errors.ts';
import { blankOf, isObject, type Json, type JsonObject } from '../../kernel/json.ts';

/** The variables that an expression sees: `input`, `output`, `context`, `workflow`, `runtime`, `task`, `event`, loop variables, the caught error. */
export type Scope = Readonly<Record<string, unknown>>;

/** The variables that every expression may name; loop variables and caught errors come to them. */
export const ARGUMENTS: readonly string[] = [
  'input',
  'output',
  'context',
  'event',
  'workflow',
  'task',
  'runtime',
];

/** A value that may hold expressions: called with the scope, answers with plain JSON. */
export type Template = (scope: Scope) => Json;

/** A language of expressions, chosen by `evaluate.language` of a flow. */
export interface ExpressionLanguage {
  /** @throws AiosError `expression.syntax` */
  expression(source: string): Template;
  /** Where the `}` is that closes a `${` whose text begins at `from`; -1 when it is not closed. */
  closingBrace(source: string, from: number): number;
}

/** True when the value holds no expression: its template answers with the value itself. */
export function isStatic(value: Json): boolean {
  if (typeof value === 'string') return !value.includes('${');
  if (Array.isArray(value)) return value.every(isStatic);
  return !isObject(value) || Object.values(value).every(isStatic);
}

/** The places of a flow that hold expressions, compiled in its language. */
export class Templates {
  readonly #language: ExpressionLanguage;
  readonly #loose: boolean;

  /** @param loose `evaluate.mode: loose`: a text is an expression without `${ }` too, and itself when it cannot be evaluated (dsl-reference.md, "Evaluate") */
  constructor(language: ExpressionLanguage, loose: boolean) {
    this.#language = language;
    this.#loose = loose;
  }

  /** True when the value is its own template: no expression is in it, nor what may be one. */
  isStatic(value: Json): boolean {
    if (!this.#loose) return isStatic(value);
    if (Array.isArray(value)) return value.every((item) => this.isStatic(item));
    return isObject(value)
      ? Object.values(value).every((member) => this.isStatic(member))
      : typeof value !== 'string';
  }

  /**
   * Compiles an expression in a place that holds nothing else; `${ … }` around it is optional there (`if`, `when`, `input.from`).
   *
   * @throws AiosError `expression.syntax`
   * @example templates.bare('${ input.total > 100 }')({ input: { total: 120 } }) // true
   */
  bare(source: string): Template {
    const text = source.trim();
    return this.#language.expression(this.#wholeExpression(text) ?? text);
  }

  /** A bare expression that must be a yes or a no. */
  condition(source: string): (scope: Scope) => boolean {
    const evaluate = this.bare(source);
    return (scope) => {
      const value = evaluate(scope);
      if (typeof value === 'boolean') return value;
      throw new AiosError('expression.failed', {
        detail: `${source}: a condition answers true or false, this one answered ${JSON.stringify(value)?.slice(0, 60)}.`,
      });
    };
  }

  /**
   * Compiles a JSON value whose strings may hold `${ … }`: alone, the expression's value of any type takes the string's place;
   * inside other text, its text does. Parts without expressions are shared, not copied.
   *
   * @throws AiosError `expression.syntax`
   * @example templates.value({ who: '${ input.name }', text: 'Dear ${ input.name }' })({ input: { name: 'Ada' } })
   */
  value(value: Json): Template {
    return this.#dynamic(value) ?? (() => value);
  }

  #dynamic(value: Json): Template | undefined {
    if (this.isStatic(value)) return undefined;
    if (typeof value === 'string') return value.includes('${') ? this.#text(value) : this.#loosely(value);
    if (Array.isArray(value)) {
      const items = value.map((item) => this.value(item));
      return (scope) => items.map((item) => item(scope));
    }
    const entries = Object.entries(value as { [key: string]: Json }).map(
      ([key, member]) => [key, this.value(member)] as const,
    );
    const blank = blankOf(entries.map(([key]) => key));
    return (scope) => {
      const result: { [key: string]: Json | undefined } = { ...blank };
      for (const [key, member] of entries) result[key] = member(scope);
      return result as JsonObject;
    };
  }

  #loosely(source: string): Template {
    const attempt = <T extends Json | Template>(evaluate: () => T): T | undefined => {
      try {
        return evaluate();
      } catch (error) {
        if (error instanceof AiosError) return undefined;
        throw error;
      }
    };
    const expression = attempt(() => this.#language.expression(source));
    return (scope) => (expression && attempt(() => expression(scope))) ?? source;
  }

  #text(source: string): Template {
    const language = this.#language;
    const whole = this.#wholeExpression(source.trim());
    if (whole !== undefined) return language.expression(whole);
    const parts: (string | Template)[] = [];
    let from = 0;
    for (let at = source.indexOf('${'); at !== -1; at = source.indexOf('${', from)) {
      const end = language.closingBrace(source, at + 2);
      if (end === -1) {
        throw new AiosError('expression.syntax', { detail: `${source}: “\${” is not closed by “}”.` });
      }
      parts.push(source.slice(from, at), language.expression(source.slice(at + 2, end).trim()));
      from = end + 1;
    }
    parts.push(source.slice(from));
    return (scope) => {
      let result = '';
      for (const part of parts) result += typeof part === 'string' ? part : asText(part(scope));
      return result;
    };
  }

  /** The inside of `${ … }` when that is all there is. */
  #wholeExpression(source: string): string | undefined {
    if (!source.startsWith('${')) return undefined;
    const end = this.#language.closingBrace(source, 2);
    return end === source.length - 1 ? source.slice(2, -1).trim() : undefined;
  }
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
}

/** A secret in an expression would stand in the journal, in what the run puts out, or in both (decisions/0011). */
export function secretMisplaced(source: string): AiosError {
  return new AiosError('expression.syntax', {
    detail: `${source}: a secret stands in headers, query or credentials of a call, alone in \${ }, as in “Bearer \${ $secrets.NAME }”.`,
  });
}
