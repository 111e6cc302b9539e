import { isObject, type Json, type JsonObject } from '../../src/kernel/json.ts';
import { compileSchema, type Validator } from '../../src/kernel/schema.ts';
import { EVENT_SCHEMAS } from './schemas.ts';

const validators: Readonly<Record<string, Validator>> = Object.fromEntries(
  Object.entries(EVENT_SCHEMAS).map(([name, schema]) => [name, compileSchema(schema)]),
);
const ENDS = new Set<unknown>(['COMPLETE', 'ABORT', 'FAIL']);

/**
 * What in an event is not as OpenLineage 2-0-2 has it, facets with it; nothing when all is.
 *
 * @example faultsOfEvent({ schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent' }) // ['/: eventTime is required', …]
 */
export function faultsOfEvent(event: Json): string[] {
  const url = isObject(event) ? String(event.schemaURL) : '';
  const validate = validators[url.slice(url.lastIndexOf('/') + 1)];
  if (!validate) return [`${url} is no schema of an event`];
  return validate(event).map(({ path, message }) => `${path}: ${message}`);
}

/**
 * What is wrong with the order of the events of runs: each begins with one START, nothing follows its end, and no event is older than the one before it.
 *
 * @param events of any number of runs, as they were told to one receiver
 * @example faultsOfOrder([{ eventType: 'COMPLETE', run: { runId: 'a' }, … }]) // ['a: COMPLETE before START']
 */
export function faultsOfOrder(events: readonly JsonObject[]): string[] {
  const faults: string[] = [];
  const last = new Map<string, JsonObject>();
  for (const event of events) {
    if (!isObject(event.run)) continue;
    const id = String(event.run.runId);
    const before = last.get(id);
    const type = String(event.eventType);
    if ((type === 'START') === (before !== undefined))
      faults.push(`${id}: ${type} ${before ? 'after' : 'before'} START`);
    if (before && ENDS.has(before.eventType)) faults.push(`${id}: ${type} after its end`);
    if (before && Date.parse(String(event.eventTime)) < Date.parse(String(before.eventTime)))
      faults.push(`${id}: ${type} is older than what was told before`);
    last.set(id, event);
  }
  return faults;
}
