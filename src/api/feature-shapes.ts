import { Type } from 'typebox';
import type { SpineRow } from '../features/historical.ts';
import type { JsonObject } from '../kernel/json.ts';

/** Entities, rows or places in one request. */
export const ENTITIES_MAX = 10_000;

/** Views in one request that names no service. */
export const VIEWS_MAX = 100;

export const Time = Type.String({ format: 'date-time' });

/** Places in the past: the keys of an entity, a `timestamp`, and the values that a request would bring. */
export const Spine = Type.Array(Type.Object({ timestamp: Time }, { additionalProperties: true }), {
  minItems: 1,
  maxItems: ENTITIES_MAX,
});

/** What a row holds beside its keys are the values that a request would bring. */
export function spineRow(createdBefore?: string) {
  const recordedByMs = createdBefore === undefined ? undefined : Date.parse(createdBefore);
  return ({ timestamp, ...values }: { timestamp: string }): SpineRow => ({
    keys: values as JsonObject,
    request: values as JsonObject,
    asOf: { timeMs: Date.parse(timestamp), ...(recordedByMs === undefined ? {} : { recordedByMs }) },
  });
}
