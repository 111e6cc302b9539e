import { type TSchema, Type } from 'typebox';
import type { SpineRow } from '../features/historical.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';

export type RowLimits = Pick<Limits, 'featureRequestRowsMax'>;

export const Time = Type.String({ format: 'date-time' });

/** Entities, rows or places of one request. */
export function rowsOf<Row extends TSchema>(row: Row, limits: RowLimits, description?: string) {
  return Type.Array(row, {
    minItems: 1,
    maxItems: limits.featureRequestRowsMax,
    ...(description === undefined ? {} : { description }),
  });
}

/** Places in the past: the keys of an entity, a `timestamp`, and the values that a request would bring. */
export function spineOf(limits: RowLimits) {
  return rowsOf(Type.Object({ timestamp: Time }, { additionalProperties: true }), limits);
}

/** What a row holds beside its keys are the values that a request would bring. */
export function spineRow(createdBefore?: string) {
  const recordedByMs = createdBefore === undefined ? undefined : Date.parse(createdBefore);
  return ({ timestamp, ...values }: { timestamp: string }): SpineRow => ({
    keys: values as JsonObject,
    request: values as JsonObject,
    asOf: { timeMs: Date.parse(timestamp), ...(recordedByMs === undefined ? {} : { recordedByMs }) },
  });
}
