import { TypeError as CelTypeError, Environment, Optional, ParseError } from '@marcbachmann/cel-js';
import { AiosError } from './errors.ts';
import type { Json } from './json.ts';
import { compileLinear } from './linear-regex.ts';

/** A compiled CEL expression: called with the variables in scope, answers with a JSON value. */
export interface Expression {
  readonly source: string;
  (scope: Readonly<Record<string, unknown>>): Json;
}

type Operand = bigint | number;
const ARITHMETIC: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

/** What CEL leaves out and rows of numbers need: it has no way to walk two lists side by side. */
const LIST_FUNCTIONS: Record<string, (list: readonly unknown[]) => unknown> = {
  'sum(list): double': (list) => sumOf('sum', list),
  'mean(list): double': (list) => sumOf('mean', list) / list.length,
  // [[1, 2], [3, 4]] → [[1, 3], [2, 4]]
  'transpose(list): list': transpose,
};

const PATTERNS_MAX = 1_000;
const patterns = new Map<string, (text: string) => boolean>();

/** In the place of the library's `matches`, which hands the pattern to JavaScript's engine: one filter of a reader would stop the process. */
const MATCHES = 'matchesInLinearTime';

function matches(text: string, pattern: string): boolean {
  let test = patterns.get(pattern);
  if (!test) {
    test = compileLinear(pattern);
    if (patterns.size >= PATTERNS_MAX) patterns.clear();
    patterns.set(pattern, test);
  }
  return test(text);
}

/** Calls of `matches` as calls of ours: the library takes no second function of that name. */
function useLinearMatches(node: unknown): void {
  if (Array.isArray(node)) for (const each of node) useLinearMatches(each);
  else if (node !== null && typeof node === 'object') {
    const { op, args } = node as { op?: string; args?: unknown };
    if (op === 'rcall' && Array.isArray(args) && args[0] === 'matches') args[0] = MATCHES;
    useLinearMatches(args);
  }
}

function sumOf(name: string, list: readonly unknown[]): number {
  let sum = 0;
  for (const value of list) {
    if (typeof value !== 'number' && typeof value !== 'bigint')
      throw new Error(`${name}() takes a list of numbers`);
    sum += Number(value);
  }
  return sum;
}

function transpose(lists: readonly unknown[]): unknown[][] {
  const rows = lists as readonly (readonly unknown[])[];
  const [first = []] = rows;
  if (!rows.every((row) => Array.isArray(row) && row.length === (first as unknown[]).length))
    throw new Error('transpose() takes lists of one length');
  return first.map((_, index) => rows.map((row) => row[index]));
}

/**
 * The AIOS profile of CEL (github.com/google/cel-spec, langdef.md): JSON numbers are doubles while a literal `1` is an int,
 * so the mixed operators are registered; fields may be absent (`a.?b.orValue(3)`); nothing has to be declared. `sum`, `mean` and `transpose`
 * are for lists.
 */
function createEnvironment(unlistedVariablesAreDyn = true): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
  });
  for (const [operator, apply] of Object.entries(ARITHMETIC)) {
    const mixed = (a: Operand, b: Operand) => apply(Number(a), Number(b));
    environment.registerOperator(`double ${operator} int: double`, mixed);
    environment.registerOperator(`int ${operator} double: double`, mixed);
  }
  for (const [signature, apply] of Object.entries(LIST_FUNCTIONS))
    environment.registerFunction(signature, apply);
  environment.registerFunction(`string.${MATCHES}(string): bool`, matches);
  environment.registerOperator('double % double: double', (a: number, b: number) => a % b);
  return environment;
}

/**
 * A scope as the library asks for its variables: those of the scope itself, not what every object inherits (`constructor`). One for all expressions,
 * as each is done before the next begins: a copy without a prototype, for each, took 0.4 KB.
 */
class Variables extends Map<string, unknown> {
  #scope: Readonly<Record<string, unknown>> = {};

  during<T>(scope: Readonly<Record<string, unknown>>, work: (variables: this) => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    try {
      return work(this);
    } finally {
      this.#scope = outer;
    }
  }

  override get(name: string): unknown {
    return Object.hasOwn(this.#scope, name) ? this.#scope[name] : undefined;
  }
}

const variables = new Variables();
const environment = createEnvironment();
/** A filter of a search is compiled here, too: what nobody asks again must not stay. */
const COMPILED_MAX = 10_000;
const compiled = new Map<string, Expression>();

/**
 * Compiles a CEL expression once; the same source gives the same function (definitions repeat their cells).
 *
 * @throws AiosError `expression.syntax` now, `expression.failed` when called on values it cannot work on
 * @example compileExpression('order.total > 100 && has(order.customer)')({ order: { total: 120, customer: 'c' } }) // true
 */
export function compileExpression(source: string): Expression {
  const known = compiled.get(source);
  if (known) return known;
  let parsed: ReturnType<Environment['parse']>;
  try {
    parsed = environment.parse(source);
    useLinearMatches(parsed.ast);
  } catch (error) {
    const detail =
      error instanceof ParseError || error instanceof CelTypeError ? error.message : String(error);
    throw new AiosError('expression.syntax', { detail: `${source}: ${detail}`, cause: error });
  }
  const expression = Object.assign(
    (scope: Readonly<Record<string, unknown>>): Json => {
      try {
        return plain(variables.during(scope, parsed));
      } catch (error) {
        if (error instanceof AiosError) throw error;
        const detail = error instanceof Error ? error.message : String(error);
        throw new AiosError('expression.failed', { detail: `${source}: ${detail}`, cause: error });
      }
    },
    { source },
  );
  if (compiled.size >= COMPILED_MAX) compiled.clear();
  compiled.set(source, expression);
  return expression;
}

/**
 * The type of an expression's answer as far as its text says it, in CEL's words: `dyn` where values decide, undefined where branches differ.
 *
 * @example answerTypeOf('size(data.lines) > 2') // 'bool'; of 'data.total' 'dyn', of 'size(data.lines)' 'int'
 */
export function answerTypeOf(source: string): string | undefined {
  const { valid, type } = environment.check(source);
  return valid ? type : undefined;
}

/**
 * CEL's results as JSON: ints come as BigInt, maps may be Maps, absent optionals are null. A double that JSON cannot hold (1.0 / 0.0) is null, as it would be once it is
 * written; a duration is its seconds (`90s`), bytes are base64, as the JSON mapping of Protocol Buffers has them.
 */
function plain(value: unknown): Json {
  if (isPlain(value)) return value as Json; // most results are parts of the input: not copied
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (typeof value !== 'object' || value === null) return null;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Optional) return value.hasValue() ? plain(value.value()) : null;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  // Unsigned ints, durations and types: the library exports none of these classes, and each knows its own text.
  const whole = value.valueOf();
  if (typeof whole === 'bigint') return plain(whole);
  if (!(value instanceof Map) && Object.prototype.toString.call(value) !== '[object Object]')
    return String(value);
  const entries = value instanceof Map ? [...value.entries()] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, member]) => [String(key), plain(member)]));
}

/** Whether a value is JSON already, all the way down. */
function isPlain(value: unknown): boolean {
  if (value === null) return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return typeof value !== 'bigint' && value !== undefined;
  if (Array.isArray(value)) return value.every(isPlain);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key])) return false;
  return true;
}

/**
 * Finds variables that are none of these, which would fail only when the expression is reached. Other faults of typing are left to the
 * run: values are JSON.
 *
 * @throws AiosError `expression.syntax`, by what is returned
 * @example nameChecker(['amount'])('amuont > 5') // throws: “Unknown variable: amuont; known are amount.”
 */
export function nameChecker(names: readonly string[]): (source: string) => void {
  const strict = createEnvironment(false);
  for (const name of names) strict.registerVariable(name, 'dyn');
  return (source) => {
    const { error } = strict.check(source);
    if (!error || !/unknown variable/i.test(error.message)) return;
    throw new AiosError('expression.syntax', {
      detail: `${error.message.split('\n')[0]}; known are ${names.join(', ')}.`,
    });
  };
}
