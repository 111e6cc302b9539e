/** What a jq program names that its meaning depends on. */
export interface JqScan {
  /** Where the text ends: behind its last character, or at the bracket that closes something opened before it. */
  readonly end: number;
  /** Variables that the program names, without `$`. */
  readonly variables: ReadonlySet<string>;
  /** The first word that would answer differently at another time or in another process. */
  readonly forbidden: string | undefined;
}

/**
 * Words of jq that read a clock, the process or its input, or write beside the result: a replay would not come to the same answer
 * (jq manual, "Dates", "I/O", "$ENV, env", "Modules").
 */
const FORBIDDEN = new Set(
  'now localtime strflocaltime input inputs env debug stderr halt halt_error input_filename input_line_number get_search_list import include modulemeta'.split(
    ' ',
  ),
);
const FORBIDDEN_VARIABLES = new Set(['ENV', '__prog_args']);
const WORD = /[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*/y;
const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Reads a jq program's words without understanding it, strings with their interpolations included.
 *
 * @example scanJq('.a + $item.price }', 0) // { end: 17, variables: { item }, forbidden: undefined }
 */
export function scanJq(source: string, from = 0): JqScan {
  const scanner = new Scanner(source, from);
  scanner.program();
  return { end: scanner.at, variables: scanner.variables, forbidden: scanner.forbidden };
}

class Scanner {
  readonly variables = new Set<string>();
  forbidden: string | undefined;
  at: number;
  readonly #source: string;

  constructor(source: string, from: number) {
    this.#source = source;
    this.at = from;
  }

  /** Up to the bracket that closes what was opened before, or the end. */
  program(): void {
    const open: string[] = [];
    let before = '';
    for (; this.at < this.#source.length; this.at++) {
      const char = this.#source[this.at]!;
      if (char === '"') this.#string();
      else if (char === '#') this.#comment();
      else if (OPENING.includes(char)) open.push(char);
      else if (CLOSING.includes(char)) {
        if (open.pop() !== OPENING[CLOSING.indexOf(char)]) return;
      } else if (/[A-Za-z_]/.test(char)) {
        this.#word(before, open.at(-1));
        before = 'a';
        continue;
      }
      if (!/\s/.test(char)) before = char;
    }
  }

  #word(before: string, inside: string | undefined): void {
    WORD.lastIndex = this.at;
    const [word] = WORD.exec(this.#source)!;
    this.at += word.length - 1;
    if (before === '$') {
      if (FORBIDDEN_VARIABLES.has(word)) this.forbidden ??= `$${word}`;
      else if (word !== '__loc__') this.variables.add(word);
      return;
    }
    const isKey = inside === '{' && (before === '{' || before === ',');
    if (before !== '.' && !isKey && FORBIDDEN.has(word)) this.forbidden ??= word;
  }

  #string(): void {
    for (this.at++; this.at < this.#source.length; this.at++) {
      const char = this.#source[this.at];
      if (char === '"') return;
      if (char !== '\\') continue;
      this.at++;
      if (this.#source[this.at] === '(') {
        this.at++;
        this.program();
      }
    }
  }

  #comment(): void {
    const end = this.#source.indexOf('\n', this.at);
    this.at = end === -1 ? this.#source.length : end;
  }
}
