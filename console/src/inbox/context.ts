import type { Json, JsonObject } from '../api/shapes.ts';
import { label, plainNumber } from '../display/format.ts';

interface Fact {
  name: string;
  value: string;
  /** As the flow said it, where less of it is shown. */
  exact?: string;
}

/** What a task shows, for people: why they are asked, the facts, and what is neither text nor number. */
export interface ShownContext {
  why: string | undefined;
  facts: Fact[];
  rest: JsonObject;
}

/** By these names flows say why a person is asked; the first that is there. */
const WHY = ['why', 'reason', 'question', 'summary'];
const TEXT_CHARS = 400;

export function whyOf(context: JsonObject): string | undefined {
  for (const name of WHY) if (typeof context[name] === 'string') return context[name];
  return undefined;
}

export function showContext(context: JsonObject): ShownContext {
  const shown: ShownContext = { why: whyOf(context), facts: [], rest: {} };
  const whyName = WHY.find((name) => typeof context[name] === 'string');
  for (const [name, value] of Object.entries(context)) {
    if (name === whyName) continue;
    const text = textOf(value);
    if (text === undefined) shown.rest[name] = value;
    else shown.facts.push({ name: label(name), value: text, ...exactOf(value, text) });
  }
  return shown;
}

/** Below it digits tell a person nothing: a purchase a second ago was 0.0000174 days ago. */
const READ_MIN = 0.001;

function readNumber(value: number): string {
  if (value === 0 || Math.abs(value) >= READ_MIN) return plainNumber(value);
  return value > 0 ? `< ${READ_MIN}` : `> −${READ_MIN}`;
}

function exactOf(value: Json, text: string): { exact?: string } {
  const isShort = typeof value === 'number' && String(value) !== text;
  return isShort ? { exact: String(value) } : {};
}

function textOf(value: Json): string | undefined {
  if (value === null) return 'not known';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return readNumber(value);
  if (typeof value !== 'string' || value.length > TEXT_CHARS) return undefined;
  if (/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(value))
    return new Date(value).toLocaleString('en-GB');
  return value;
}
