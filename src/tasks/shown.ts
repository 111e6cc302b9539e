import { digestOf } from '../kernel/canonical.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Queue } from './queue-kind.ts';

/** Everything of a case that a person sees. */
export interface Shown {
  readonly title: string;
  readonly context: JsonObject;
  readonly suggestion?: Json | undefined;
  /** To an adjudicator: the answers that differ. */
  readonly answers?: readonly Json[] | undefined;
}

/** Over everything that the person sees: an answer to something else must not count. */
export function shownDigest(
  { title, context, suggestion, answers }: Shown,
  { form, instructions }: Pick<Queue, 'form' | 'instructions'>,
): string {
  const shown = { title, context, suggestion: suggestion ?? null, form, instructions };
  return digestOf(answers ? { ...shown, answers: [...answers] } : shown);
}
