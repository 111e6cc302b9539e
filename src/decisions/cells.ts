import { AiosError } from '../kernel/errors.ts';
import { compileExpression, type Expression } from '../kernel/expressions.ts';
import type { Json } from '../kernel/json.ts';

export type Scope = Readonly<Record<string, unknown>>;
/** A value with its expressions filled in. */
export type Template = (scope: Scope) => Json;

/** An unary test of a cell starts with one of these; anything else is a whole CEL expression. */
const OPERATOR = /^(<=|>=|==|!=|<|>|in\b)/;
/** Those that compare by order. */
const ORDER = /^[<>]/;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The CEL of one cell: `> 100` tests the column's input, `-` fits all, a number, a boolean or null is equality, a list is membership,
 * any other text is a whole expression. Null is neither more nor less than anything: such a test does not fit it (in DMN it comes to null),
 * where CEL alone would fail.
 *
 * @example cellSource('amount', '> 100', false) // 'amount > 100'
 */
function cellSource(input: string, cell: Json, nullable: boolean): string | undefined {
  if (Array.isArray(cell)) return `${input} in ${JSON.stringify(cell)}`;
  if (typeof cell !== 'string') return `${input} == ${JSON.stringify(cell)}`;
  const text = cell.trim();
  if (text === '-' || text === '') return undefined;
  if (nullable && ORDER.test(text)) return `${input} != null && ${input} ${text}`;
  return OPERATOR.test(text) ? `${input} ${text}` : text;
}

/** The source of a rule's condition: all its cells; `true` when none restricts. Each cell compiles by itself, so that a fault has its place. */
export function conditionSource(
  when: Json,
  nullable: ReadonlySet<string>,
  onCell: (path: string, source: string) => void,
): string {
  if (typeof when === 'string') {
    onCell('', when);
    return when;
  }
  const sources = Object.entries((when ?? {}) as Record<string, Json>).flatMap(([input, cell]) => {
    const source = cellSource(input, cell, nullable.has(input));
    if (source === undefined) return [];
    onCell(`/${input}`, source);
    return [`(${source}\n)`]; // the line break ends a comment of the cell
  });
  return sources.join(' && ') || 'true';
}

export function isInputName(name: string): boolean {
  return NAME.test(name);
}

/**
 * A value whose texts may hold `${CEL}`: a text that is one expression gives its value, others are filled in as text.
 *
 * `check` is told each expression.
 *
 * @throws AiosError `expression.syntax`
 * @example compileTemplate({ due: '${amount * 2}', note: 'for ${name}' }, () => {})({ amount: 2, name: 'Ann' }) // { due: 4, note: 'for Ann' }
 */
export function compileTemplate(value: Json, check: (source: string) => void): Template {
  if (typeof value === 'string') return compileText(value, check);
  if (Array.isArray(value)) {
    const members = value.map((member) => compileTemplate(member, check));
    return isConstant(value) ? () => value : (scope) => members.map((member) => member(scope));
  }
  if (value === null || typeof value !== 'object' || isConstant(value)) return () => value;
  const members = Object.entries(value).map(
    ([name, member]) => [name, compileTemplate(member, check)] as const,
  );
  return (scope) => {
    const result: Record<string, Json> = {};
    for (const [name, member] of members) result[name] = member(scope);
    return result;
  };
}

/** True when a value holds no expression: it is the same at each evaluation. */
export function isConstant(value: Json): boolean {
  return !JSON.stringify(value).includes('${');
}

function compileText(text: string, check: (source: string) => void): Template {
  const parts = splitText(text, check);
  if (parts.length === 1 && typeof parts[0] !== 'string') return parts[0] as Expression;
  if (parts.every((part) => typeof part === 'string')) return () => text;
  return (scope) => {
    let filled = '';
    for (const part of parts) filled += typeof part === 'string' ? part : asText(part(scope));
    return filled;
  };
}

/** As a person reads it, in a text or as one. */
export function asText(value: Json): string {
  if (typeof value === 'string') return value;
  // 0.1 + 0.2 is for machines; a person reads at most six digits after the point.
  if (typeof value === 'number') return String(Math.round(value * 1e6) / 1e6);
  return JSON.stringify(value);
}

function splitText(text: string, check: (source: string) => void): (string | Expression)[] {
  const parts: (string | Expression)[] = [];
  let rest = 0;
  for (let open = text.indexOf('${'); open !== -1; open = text.indexOf('${', rest)) {
    const close = closingBrace(text, open + 2);
    if (open > rest) parts.push(text.slice(rest, open));
    const expression = compileExpression(text.slice(open + 2, close).trim());
    check(expression.source);
    parts.push(expression);
    rest = close + 1;
  }
  if (rest < text.length) parts.push(text.slice(rest));
  return parts;
}

/** Where the expression that starts at `from` ends: braces and quoted texts inside it belong to it. */
function closingBrace(text: string, from: number): number {
  let depth = 0;
  let quote = '';
  for (let i = from; i < text.length; i++) {
    const char = text[i]!;
    if (quote) {
      if (char === '\\') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '{') depth++;
    else if (char === '}' && depth-- === 0) return i;
  }
  throw new AiosError('expression.syntax', { detail: `${text}: \${ is not closed by }.` });
}
