import { AiosError } from '../../kernel/errors.ts';

type Value = string | number | readonly (string | number)[] | null;

/** One comparison of a filter; `entity` is what stands before the first dot, `attribute` where nothing does. */
export interface Comparison {
  readonly entity: string;
  readonly key: string;
  readonly operator: Operator;
  /** A list for IN; null for IS NULL. */
  readonly value: Value;
}

export interface Order {
  readonly entity: string;
  readonly key: string;
  readonly isAscending: boolean;
}

type Operator = (typeof OPERATORS)[number] | 'IN' | 'NOT IN' | 'IS NULL' | 'IS NOT NULL';
const OPERATORS = ['=', '!=', '>', '>=', '<', '<=', 'LIKE', 'ILIKE'] as const;

interface Token {
  readonly kind: 'word' | 'quoted' | 'text' | 'number' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

const TOKEN =
  /\s*(?:(?<quoted>`[^`]*`)|(?<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w]))|(?<word>[A-Za-z_][\w./:-]*)|(?<sign><=|>=|!=|<>|[=<>(),.]))/y;

/** MLflow's names for what a key is looked up in. */
const ENTITIES: Readonly<Record<string, string>> = {
  attribute: 'attribute',
  attributes: 'attribute',
  attr: 'attribute',
  run: 'attribute',
  metric: 'metric',
  metrics: 'metric',
  param: 'param',
  params: 'param',
  parameter: 'param',
  parameters: 'param',
  tag: 'tag',
  tags: 'tag',
  dataset: 'dataset',
  datasets: 'dataset',
};

/**
 * Reads a filter of MLflow's search calls: comparisons joined by AND (mlflow.org, “Search Runs”, “Search Syntax Overview”).
 *
 * @throws AiosError `experiments.filter_invalid` with the place
 * @example parseFilter("metrics.auc > 0.8 and params.`max depth` = '6'")[0].operator // '>'
 */
export function parseFilter(text: string): Comparison[] {
  const reader = new Reader(text);
  const found: Comparison[] = [];
  if (reader.peek().kind === 'end') return found;
  do found.push(comparison(reader));
  while (reader.takeWord('AND'));
  reader.end();
  return found;
}

/**
 * Reads one of the texts that `order_by` holds.
 *
 * @throws AiosError `experiments.filter_invalid` with the place
 * @example parseOrder('metrics.auc DESC') // { entity: 'metric', key: 'auc', isAscending: false }
 */
export function parseOrder(text: string): Order {
  const reader = new Reader(text);
  const name = identifier(reader);
  const isAscending = !reader.takeWord('DESC');
  if (isAscending) reader.takeWord('ASC');
  reader.end();
  return { ...name, isAscending };
}

function comparison(reader: Reader): Comparison {
  const name = identifier(reader);
  if (reader.takeWord('IS')) {
    const operator = reader.takeWord('NOT') ? 'IS NOT NULL' : 'IS NULL';
    if (!reader.takeWord('NULL')) reader.fail('NULL');
    return { ...name, operator, value: null };
  }
  if (reader.takeWord('NOT')) {
    if (!reader.takeWord('IN')) reader.fail('IN');
    return { ...name, operator: 'NOT IN', value: list(reader) };
  }
  if (reader.takeWord('IN')) return { ...name, operator: 'IN', value: list(reader) };
  const { text } = reader.next();
  const operator = OPERATORS.find((each) => each === (text === '<>' ? '!=' : text.toUpperCase()));
  if (!operator) return reader.fail('an operator such as =, !=, <, LIKE or IN', text);
  return { ...name, operator, value: value(reader) };
}

function identifier(reader: Reader): { entity: string; key: string } {
  const first = reader.next();
  if (first.kind === 'quoted') return { entity: 'attribute', key: unquoted(first.text) };
  if (first.kind !== 'word') return reader.fail('a name', first.text);
  const dot = first.text.indexOf('.');
  if (dot < 0) return { entity: 'attribute', key: first.text };
  const entity = ENTITIES[first.text.slice(0, dot).toLowerCase()];
  if (entity === undefined)
    return reader.fail('attributes, metrics, params, tags or datasets before the dot', first.text);
  const rest = first.text.slice(dot + 1);
  if (rest !== '') return { entity, key: rest };
  const key = reader.next();
  if (key.kind !== 'quoted' && key.kind !== 'text') return reader.fail('a key', key.text);
  return { entity, key: unquoted(key.text) };
}

function value(reader: Reader): string | number {
  const { kind, text } = reader.next();
  if (kind === 'number') return Number(text);
  if (kind === 'text') return unquoted(text);
  return reader.fail('a number, or a text in quotes', text);
}

function list(reader: Reader): (string | number)[] {
  if (reader.next().text !== '(') reader.fail('a list in parentheses');
  const values: (string | number)[] = [];
  for (;;) {
    values.push(value(reader));
    const { text } = reader.next();
    if (text === ')') return values;
    if (text !== ',') reader.fail('a comma or the end of the list', text);
  }
}

function unquoted(text: string): string {
  const quote = text[0]!;
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}

/** Goes along a text, a token at a time. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  peek(): Token {
    const at = this.#at;
    const token = this.next();
    this.#at = at;
    return token;
  }

  next(): Token {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match) {
      this.#at = TOKEN.lastIndex;
      const [kind, text] = Object.entries(match.groups!).find(([, group]) => group !== undefined)!;
      return { kind: kind as Token['kind'], text: text!, at: match.index };
    }
    if (this.#text.slice(this.#at).trim() === '') return { kind: 'end', text: 'the end', at: this.#at };
    return this.fail('a name, a value or an operator');
  }

  takeWord(word: string): boolean {
    const token = this.peek();
    if (token.kind !== 'word' || token.text.toUpperCase() !== word) return false;
    this.next();
    return true;
  }

  end(): void {
    const { kind, text } = this.peek();
    if (kind !== 'end') this.fail('AND or the end (OR and parentheses are not part of the grammar)', text);
  }

  fail(expected: string, found = this.#text.slice(this.#at, this.#at + 20)): never {
    throw new AiosError('experiments.filter_invalid', {
      detail: `“${this.#text}”, before character ${this.#at + 1}: ${expected} was expected, not “${found}”.`,
    });
  }
}
