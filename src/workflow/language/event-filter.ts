import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { ANY_TYPE, type EventFilter } from './flow.ts';
import type { Scope, Template } from './templates.ts';

/** Whether an event is one that the filter means, given the values that its attributes and correlations expect. */
export function matchesEvent(
  filter: EventFilter,
  event: JsonObject,
  attributes: readonly Json[],
  correlate: readonly Json[],
): boolean {
  if (filter.type !== ANY_TYPE && event.type !== filter.type) return false;
  for (const [index, { name, pattern }] of filter.attributes.entries()) {
    const found = event[name] ?? null;
    if (!equal(found, attributes[index] ?? null) && !(typeof found === 'string' && pattern?.test(found)))
      return false;
  }
  if (filter.data && !matchesData(filter.data, event)) return false;
  const scope = eventScope(event);
  let expected = 0;
  for (const { from, expect } of filter.correlate) {
    if (!expect) continue;
    const found = correlationOf(from, scope);
    if (found === null || !equal(found, correlate[expected++] ?? null)) return false;
  }
  return true;
}

/**
 * What a correlation takes out of an event, given what expressions see of it; null when there is nothing to take, and then the event is not the one that is
 * meant: every run that listens sees the events of all others of its type, and one of another form must not fail it, nor hold up the log.
 */
export function correlationOf(from: Template, scope: Scope): Json {
  try {
    return from(scope);
  } catch {
    return null;
  }
}

/**
 * Attributes of filters may be regular expressions (dsl-reference.md, "Event Filter"). The specification does not say how one is told from a text: here what holds
 * none of `* + ? ( ) [ ] { } | ^ $ \` is compared as it stands, so that the dots of `com.example.ordered` mean dots.
 *
 * @returns undefined when the text is no pattern; it is compared as it stands then
 */
export function patternOf(text: string): RegExp | undefined {
  if (!/[*+?()[\]{}|^$\\]/.test(text) || text.includes('${')) return undefined;
  try {
    return new RegExp(`^(?:${text})$`, 'u');
  } catch {
    return undefined;
  }
}

/** What expressions about an event see: its attributes, `data` and `event`; in jq the event is `.`. */
export function eventScope(event: JsonObject): Scope {
  return { ...event, event, data: event.data ?? null, input: event };
}

/** `with.data`: a value to be equal to, or an expression about the data that is true. */
function matchesData(data: NonNullable<EventFilter['data']>, event: JsonObject): boolean {
  const value = event.data ?? null;
  try {
    const found = data({ event, data: value, input: value });
    return found === true || equal(found, value);
  } catch {
    return false; // data of another form is not what is meant
  }
}

export function equal(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => equal(item, b[i]!));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => equal(a[name]!, b[name] ?? null));
}
