/** States of one pattern: `{1000}` in `{1000}` would make a million of one character. */
const STATES_MAX = 10_000;
const REPEAT_MAX = 1_000; // as RE2

type State =
  | { readonly kind: 'char'; readonly fits: (character: string) => boolean; next: number }
  | { readonly kind: 'split'; readonly to: number[] }
  | { readonly kind: 'assert'; readonly holds: (before: string, after: string) => boolean; next: number }
  | { readonly kind: 'match' };

/** A part of a pattern: adds its states before one that is there, and answers where it begins. */
type Part = (program: State[], next: number) => number;
interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

const WORD = /^\w$/;
const isWord = (character: string) => WORD.test(character);
const ASSERTIONS: Readonly<Record<string, (before: string, after: string) => boolean>> = {
  A: (before) => before === '',
  z: (_, after) => after === '',
  b: (before, after) => isWord(before) !== isWord(after),
  B: (before, after) => isWord(before) === isWord(after),
};
const lineBegins = (before: string) => before === '' || before === '\n';
const lineEnds = (_: string, after: string) => after === '' || after === '\n';

/**
 * Whether a text matches a regular expression, in time linear in the text whatever the pattern: JavaScript's own engine takes 2ⁿ steps for `^(a+)+$`, and the
 * process stands still meanwhile. The syntax is RE2's, as CEL has it (langdef.md, "Regular Expressions"): no back-references and nothing that looks around.
 *
 * @returns the test; compiled patterns are the caller's to keep
 * @throws Error saying what is not allowed, with its place
 * @example compileLinear('^[A-Z]{2}\\d+$')('AB12') // true
 */
export function compileLinear(pattern: string): (text: string) => boolean {
  const parser = new Parser(pattern);
  const part = parser.parse();
  if (parser.isSimple) {
    try {
      const native = new RegExp(pattern, 'u');
      return (text) => native.test(text);
    } catch {
      // RE2 allows what JavaScript does not
    }
  }
  const program: State[] = [{ kind: 'match' }];
  const start = part(program, 0);
  return (text) => run(program, start, text);
}

/** All states at once, character by character; a match may begin at each. */
function run(program: readonly State[], start: number, text: string): boolean {
  const seen = new Int32Array(program.length).fill(-1);
  let current: number[] = [];
  let before = '';
  for (let at = 0, step = 0; ; step++) {
    const after = at < text.length ? String.fromCodePoint(text.codePointAt(at)!) : '';
    const waiting: number[] = [];
    const open = [start, ...current.reverse()];
    while (open.length > 0) {
      const index = open.pop()!;
      if (seen[index] === step) continue;
      seen[index] = step;
      const state = program[index]!;
      if (state.kind === 'match') return true;
      if (state.kind === 'split') open.push(...state.to);
      else if (state.kind === 'char') waiting.push(index);
      else if (state.holds(before, after)) open.push(state.next);
    }
    if (after === '') return false;
    current = [];
    for (const index of waiting) {
      const state = program[index] as Extract<State, { kind: 'char' }>;
      if (state.fits(after)) current.push(state.next);
    }
    before = after;
    at += after.length;
  }
}

class Parser {
  readonly #pattern: string;
  #at = 0;
  #varying = 0;
  #isUnbounded = false;
  #hasChoice = false;
  #hasFlags = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  /** Whether JavaScript's engine, which is ten times as fast, needs no more than a few steps for each character: one way to go on at every place. */
  get isSimple(): boolean {
    const isAnchored = this.#pattern.startsWith('^');
    return !this.#hasChoice && !this.#hasFlags && this.#varying <= 1 && (isAnchored || !this.#isUnbounded);
  }

  parse(): Part {
    const part = this.#alternatives({ i: false, m: false, s: false });
    if (this.#at < this.#pattern.length) throw this.#fault('a bracket that closes nothing');
    return part;
  }

  #alternatives(given: Flags): Part {
    const parts: Part[] = [];
    let flags = given;
    let sequence: Part[] = [];
    for (;;) {
      const next = this.#pattern[this.#at];
      if (next === undefined || next === ')') break;
      if (next === '|') {
        this.#at++;
        this.#hasChoice = true;
        parts.push(inOrder(sequence));
        sequence = [];
        continue;
      }
      const [, on, off = ''] = this.#take(/\(\?([ims]*)(?:-([ims]+))?\)/y) ?? [];
      if (on !== undefined) flags = this.#changed(flags, on, off);
      else sequence.push(this.#repeated(flags));
    }
    parts.push(inOrder(sequence));
    if (parts.length === 1) return parts[0]!;
    return (program, next) =>
      add(program, { kind: 'split', to: parts.map((part) => part(program, next)).reverse() });
  }

  #repeated(flags: Flags): Part {
    const isGroup = this.#pattern[this.#at] === '(';
    const part = this.#atom(flags);
    const [sign, least, comma, most] = this.#take(/[*+?]|\{(\d+)(?:(,)(\d*))?\}/y) ?? [];
    if (sign === undefined) return part;
    this.#take(/\?/y); // which of several matches is found makes no difference to a test
    if (
      /[*+?]|\{\d/y.test(this.#pattern.slice(this.#at, this.#at + 2)) &&
      this.#peeks(/[*+?]|\{\d+(,\d*)?\}/y)
    )
      throw this.#fault('a repetition of a repetition');
    const from = sign === '*' || sign === '?' ? 0 : sign === '+' ? 1 : Number(least);
    const to =
      sign === '?' ? 1 : sign === '*' || sign === '+' || (comma && !most) ? Infinity : Number(most ?? least);
    if (from > REPEAT_MAX || (to !== Infinity && to > REPEAT_MAX) || from > to)
      throw this.#fault(`a repetition is of at most ${REPEAT_MAX}`);
    if (from !== to) this.#varying++;
    if (to === Infinity) this.#isUnbounded = true;
    if (isGroup) this.#hasChoice = true;
    return repeat(part, from, to);
  }

  #atom(flags: Flags): Part {
    const { i: isFolded, m, s } = flags;
    if (this.#take(/\^/y)) return assertion(m ? lineBegins : ASSERTIONS.A!);
    if (this.#take(/\$/y)) return assertion(m ? lineEnds : ASSERTIONS.z!);
    if (this.#take(/\./y)) return character(s ? () => true : (one) => one !== '\n');
    const boundary = this.#take(/\\([AzbB])/y);
    if (boundary) {
      if (boundary[1] === 'A' || boundary[1] === 'z') this.#hasFlags = true; // JavaScript has no such
      return assertion(ASSERTIONS[boundary[1]!]!);
    }
    const set = this.#take(/\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]/suy);
    if (set) return this.#fitting(set[0], isFolded);
    if (this.#take(/\(/y)) return this.#group(flags);
    const escaped = this.#take(
      /\\(?:[pP](?:\{[^}]*\}|\w)|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)/suy,
    );
    if (escaped) return this.#escaped(escaped[0], isFolded);
    const [one] = this.#take(/[^*+?\\[(]/suy) ?? [];
    if (one === undefined)
      throw this.#fault('nothing that could be repeated, or a bracket that does not close');
    if (!isFolded) return character((other) => other === one);
    return this.#fitting(/[\^$.|()[\]{}\\/]/.test(one) ? `\\${one}` : one, true);
  }

  #group(flags: Flags): Part {
    const [kind, on = '', off = ''] = this.#take(/\?(?:P?<[A-Za-z]\w*>|([ims]*)(?:-([ims]+))?:)/y) ?? [];
    if (kind === undefined && this.#pattern[this.#at] === '?')
      throw this.#fault('neither back-references nor looking around: the syntax is RE2’s');
    if (kind?.startsWith('?P')) this.#hasFlags = true;
    const inside = this.#alternatives(on || off ? this.#changed(flags, on, off) : flags);
    if (!this.#take(/\)/y)) throw this.#fault('a bracket that does not close');
    return inside;
  }

  #escaped(text: string, isFolded: boolean): Part {
    if (/^\\[1-9k]/.test(text))
      throw this.#fault('neither back-references nor looking around: the syntax is RE2’s');
    return this.#fitting(text, isFolded);
  }

  /** Whether one character fits a class or an escape is JavaScript's to say: it has one character to look at. */
  #fitting(text: string, isFolded: boolean): Part {
    const written = text
      .replace(/\\x\{([0-9A-Fa-f]+)\}/g, '\\u{$1}')
      .replace(/\\([pP])(\w)/g, '\\$1{$2}')
      .replace(/\[:(\^?)(\w+):\]/g, (_, not: string, name: string) => posix(name, not !== ''))
      .replace(/\\([^\w\s^$\\.*+?()[\]{}|/-])/gu, '$1');
    try {
      const one = new RegExp(`^(?:${written})$`, isFolded ? 'ui' : 'u');
      return character((other) => one.test(other));
    } catch {
      throw this.#fault(`“${text}” is no class of characters`);
    }
  }

  #changed(flags: Flags, on: string, off: string): Flags {
    this.#hasFlags = true;
    const is = (flag: keyof Flags) => (flags[flag] || on.includes(flag)) && !off.includes(flag);
    return { i: is('i'), m: is('m'), s: is('s') };
  }

  #peeks(sticky: RegExp): boolean {
    sticky.lastIndex = this.#at;
    return sticky.test(this.#pattern);
  }

  #take(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#pattern) ?? undefined;
    if (found) this.#at += found[0].length;
    return found;
  }

  #fault(what: string): Error {
    return new Error(
      `the regular expression “${this.#pattern.slice(0, 200)}” has at ${this.#at + 1}: ${what}`,
    );
  }
}

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  space: '\\t-\\r ',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

function posix(name: string, isNot: boolean): string {
  const known = POSIX[name];
  if (known === undefined || isNot) throw new Error(`[:${isNot ? '^' : ''}${name}:] is not known here`);
  return known;
}

function add(program: State[], state: State): number {
  if (program.length >= STATES_MAX)
    throw new Error(`the regular expression has more than ${STATES_MAX} places, repetitions counted`);
  return program.push(state) - 1;
}

const character =
  (fits: (character: string) => boolean): Part =>
  (program, next) =>
    add(program, { kind: 'char', fits, next });

const assertion =
  (holds: (before: string, after: string) => boolean): Part =>
  (program, next) =>
    add(program, { kind: 'assert', holds, next });

const inOrder =
  (parts: readonly Part[]): Part =>
  (program, next) =>
    parts.reduceRight((after, part) => part(program, after), next);

function repeat(part: Part, from: number, to: number): Part {
  return (program, next) => {
    let begin = next;
    if (to === Infinity) {
      const split: State = { kind: 'split', to: [next] };
      begin = add(program, split);
      split.to.push(part(program, begin));
    } else
      for (let n = from; n < to; n++)
        begin = add(program, { kind: 'split', to: [next, part(program, begin)] });
    for (let n = 0; n < from; n++) begin = part(program, begin);
    return begin;
  };
}
