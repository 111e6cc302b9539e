/**
 * Takes secrets out of a text that comes in pieces, wherever the pieces are cut: what may be the beginning of a secret is held back until the next piece,
 * or the end, tells. Where two begin at one place the longest counts.
 *
 * @example const redaction = new StreamRedaction(['abcdef']); redaction.add('is abc') // 'is '; then redaction.add('def.') // '***.'
 */
export class StreamRedaction {
  readonly #secrets: readonly string[];
  readonly #pattern: RegExp | undefined;
  readonly #longest: number;
  #held = '';

  /** @param secrets those that are empty are none */
  constructor(secrets: readonly string[]) {
    this.#secrets = [...new Set(secrets)]
      .filter((secret) => secret.length > 0)
      .sort((a, b) => b.length - a.length);
    this.#longest = this.#secrets[0]?.length ?? 0;
    if (this.#longest > 0) this.#pattern = new RegExp(this.#secrets.map(literal).join('|'), 'g');
  }

  /** What of the text so far may be told. */
  add(piece: string): string {
    if (!this.#pattern) return piece;
    const text = this.#held + piece;
    return this.#cleaned(text, this.#undecidedFrom(text));
  }

  /** What was held back, once nothing more comes. */
  end(): string {
    return this.#cleaned(this.#held, this.#held.length);
  }

  #cleaned(text: string, undecidedFrom: number): string {
    let clean = '';
    let at = 0;
    for (const { index, 0: secret } of this.#pattern ? text.matchAll(this.#pattern) : []) {
      if (index >= undecidedFrom) break;
      clean += `${text.slice(at, index)}***`;
      at = index + secret.length;
    }
    const until = Math.max(at, undecidedFrom);
    this.#held = text.slice(until);
    return clean + text.slice(at, until);
  }

  /** Where the longest end of the text begins that a secret begins with. */
  #undecidedFrom(text: string): number {
    for (let from = Math.max(0, text.length - this.#longest + 1); from < text.length; from++) {
      const end = text.slice(from);
      if (this.#secrets.some((secret) => secret.length > end.length && secret.startsWith(end))) return from;
    }
    return text.length;
  }
}

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
