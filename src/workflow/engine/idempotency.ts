import { digestOf } from '../../kernel/canonical.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { type Flow, stepIdOf, stepsById, withoutAttempts } from '../language/flow.ts';
import type { Entry } from './stored-run.ts';

/** The key under which a journal holds what earlier attempts of its run sent out. */
export const SENT = '^sent';

/** For each key, what was sent under it: the digest of the input, and the attempt of the run whose key it took. */
type Memory = { [key: string]: [digest: string, attempt: number][] };

/**
 * Which idempotency key an effect takes that an earlier attempt of the run has already made (decisions/0012): the same one when it sends the same, so that
 * a receiver knows the repetition; one of its own when it sends something else, so that the receiver does not answer with what it did before.
 */
export class SentBefore {
  readonly #memory: Memory;
  readonly #attempt: number;

  constructor(memory: Json | undefined, attempt: number) {
    this.#memory = { ...(isObject(memory) ? (memory as unknown as Memory) : {}) };
    this.#attempt = attempt;
  }

  /** What follows the key of a step: nothing, or `~` and the number of the attempt that first sent this. */
  suffix(key: string, sent: Json): string {
    const attempt = this.#attemptOf(key, sent);
    return attempt === 1 ? '' : `~${attempt}`;
  }

  #attemptOf(key: string, sent: Json): number {
    const before = this.#memory[key];
    if (!before) return 1;
    const digest = digestOf(sent);
    return before.find(([known]) => known === digest)?.[1] ?? this.#attempt;
  }

  /** What the next attempt has to know: this memory, and what of it is about to be done anew. */
  with(dropped: readonly Entry[], flow: Flow): Memory {
    const nodes = stepsById(flow);
    const memory: Memory = { ...this.#memory };
    for (const { k, i, o } of dropped) {
      const node = nodes.get(stepIdOf(k));
      const isEffect = node?.type === 'call' && node.primitive.kind === 'effect';
      const sent = isEffect ? i : node?.type === 'emit' && isObject(o) ? sentEvent(o) : undefined;
      if (sent === undefined) continue;
      const key = isEffect ? withoutAttempts(k) : k;
      const digest = digestOf(sent);
      const known = memory[key] ?? [];
      if (known.some(([other]) => other === digest)) continue;
      memory[key] = [...known, [digest, this.#attemptOf(key, sent)]];
    }
    return memory;
  }
}

/** An event as far as the flow says what it is: the engine gives it its id, its time and its trace. */
export function sentEvent({ id: _, time: __, traceparent: ___, ...event }: JsonObject): JsonObject {
  return event;
}
