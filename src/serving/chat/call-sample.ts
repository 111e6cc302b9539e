import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

const REDACTED = '[redacted]';
const DATA_URL_CHARS = 64; // its media type; what follows is a picture or a sound

/** What may be kept of a body in OpenAI's protocol. */
interface BodySample {
  readonly body: JsonObject;
  /** True when something was too long to be kept. */
  readonly truncated: boolean;
}

/**
 * A copy of a body, bounded, without what is redacted: `content` hides the member of this name wherever it stands, `messages.content` where it stands
 * anywhere in a `messages`; the places in lists do not count. What was sent as base64 in a URL is cut after its type.
 *
 * @param bytesMax about: JSON text in the encoding of strings
 * @example sampleOfBody({ messages: [{ role: 'user', content: 'secret' }] }, ['messages.content'], 16_384).body
 * // { messages: [{ role: 'user', content: '[redacted]' }] }
 */
export function sampleOfBody(body: JsonObject, redact: readonly string[], bytesMax: number): BodySample {
  const copy = new Copy(
    redact.map((path) => path.split('.').reverse()),
    bytesMax,
  );
  return { body: copy.of(body, []) as JsonObject, truncated: copy.isTruncated };
}

class Copy {
  readonly #hidden: readonly (readonly string[])[];
  #left: number;
  isTruncated = false;

  /** @param hidden paths, the last name first */
  constructor(hidden: readonly (readonly string[])[], bytesMax: number) {
    this.#hidden = hidden;
    this.#left = bytesMax;
  }

  /** @param trail names of the members that lead here, the last first */
  of(value: Json, trail: readonly string[]): Json {
    if (typeof value === 'string') return this.#text(value);
    this.#left -= 2;
    if (Array.isArray(value)) {
      const kept: Json[] = [];
      for (const one of value) {
        if (!this.#hasRoom()) break;
        kept.push(this.of(one, trail));
      }
      return kept;
    }
    if (!isObject(value)) return value;
    const kept: JsonObject = {};
    for (const [name, member] of Object.entries(value)) {
      if (!this.#hasRoom()) break;
      this.#left -= name.length + 4;
      const at = [name, ...trail];
      kept[name] = this.#isHidden(at) ? REDACTED : this.of(member, at);
    }
    return kept;
  }

  #text(text: string): string {
    const long = text.startsWith('data:') && text.length > DATA_URL_CHARS;
    const wanted = long ? `${text.slice(0, DATA_URL_CHARS)}… (${text.length} characters)` : text;
    const kept = wanted.slice(0, Math.max(0, this.#left));
    this.#left -= kept.length + 2;
    if (long || kept.length < wanted.length) this.isTruncated = true;
    return kept;
  }

  #isHidden(trail: readonly string[]): boolean {
    return this.#hidden.some((path) => path[0] === trail[0] && isUnder(path, trail));
  }

  #hasRoom(): boolean {
    if (this.#left <= 0) this.isTruncated = true;
    return this.#left > 0;
  }
}

/** Whether the names of a path lead here in their order; others may stand between them: who hides too much is safer than who hides too little. */
function isUnder(path: readonly string[], trail: readonly string[]): boolean {
  let at = 0;
  for (const name of trail) if (name === path[at]) at++;
  return at === path.length;
}
