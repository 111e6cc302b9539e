import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

interface Choice {
  readonly message: JsonObject;
  readonly calls: JsonObject[];
  reason: Json;
}

/**
 * The answer that chunks of a stream add up to, in the form of a whole one: texts one after the other, calls of tools by their index.
 *
 * @example answer.take({ choices: [{ index: 0, delta: { content: 'Hel' } }] }); answer.take({ choices: [{ index: 0, delta: { content: 'lo' } }] })
 * answer.toJson() // { choices: [{ index: 0, message: { content: 'Hello' }, finish_reason: null }] }
 */
export class StreamedAnswer {
  #head: JsonObject = {};
  #usage: Json | undefined;
  readonly #choices = new Map<number, Choice>();

  take({ id, created, model, choices, usage }: JsonObject): void {
    if (this.#head.id === undefined && id !== undefined)
      this.#head = { id, created: created ?? 0, model: model ?? '' };
    if (isObject(usage)) this.#usage = usage;
    for (const choice of Array.isArray(choices) ? choices : []) if (isObject(choice)) this.#choice(choice);
  }

  toJson(): JsonObject {
    const choices = [...this.#choices].map(([index, { message, calls, reason }]) => ({
      index,
      message: { ...message, ...(calls.length > 0 && { tool_calls: calls.filter(Boolean) }) },
      finish_reason: reason,
    }));
    return { ...this.#head, choices, ...(this.#usage !== undefined && { usage: this.#usage }) };
  }

  #choice({ index, delta, finish_reason: reason }: JsonObject): void {
    const at = Number(index ?? 0);
    const choice = this.#choices.get(at) ?? { message: {}, calls: [], reason: null };
    this.#choices.set(at, choice);
    if (typeof reason === 'string') choice.reason = reason;
    if (!isObject(delta)) return;
    const { tool_calls: calls, ...said } = delta;
    append(choice.message, said);
    for (const call of Array.isArray(calls) ? calls : []) {
      if (!isObject(call)) continue;
      const { index: place, ...part } = call;
      const position = Number(place ?? 0);
      // A server's number, not ours: one that is not a place in a list would make one of any length.
      if (!(Number.isInteger(position) && position >= 0 && position <= choice.calls.length)) continue;
      choice.calls[position] ??= {};
      append(choice.calls[position] as JsonObject, part);
    }
  }
}

/** Texts that come in parts are `content`, `arguments` and the like; what names something comes whole. */
const WHOLE = new Set(['role', 'id', 'type']);

function append(to: JsonObject, part: JsonObject): void {
  for (const [name, value] of Object.entries(part)) {
    if (name === '__proto__') continue; // what a server sends reaches no prototype
    const earlier = Object.hasOwn(to, name) ? to[name] : undefined;
    if (isObject(value)) {
      const member = isObject(earlier) ? earlier : {};
      append(member, value);
      to[name] = member;
    } else if (typeof value === 'string' && typeof earlier === 'string' && !WHOLE.has(name))
      to[name] = earlier + value;
    else if (value !== null || earlier === undefined) to[name] = value;
  }
}
