import { AiosError } from '../kernel/errors.ts';
import { isoMs } from '../kernel/instant.ts';
import type { ValueType } from './view-documents.ts';
import type { FeatureValue } from './windows/state.ts';

/**
 * A value as a feature of a type keeps it: a timestamp (ISO 8601, UTC where it says no zone) in milliseconds, null for nothing and for a number that JSON cannot
 * hold.
 *
 * @throws AiosError `features.invalid_value` when it is of another type
 */
export function typedValue(feature: string, type: ValueType, value: unknown): FeatureValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' && !Number.isFinite(value)) return null;
  if (fits(type, value)) return value as FeatureValue;
  if (type === 'timestamp' && typeof value === 'string') {
    const timeMs = isoMs(value);
    if (timeMs !== undefined) return timeMs;
  }
  throw new AiosError('features.invalid_value', {
    detail: `${feature} is of type ${type} and was given ${JSON.stringify(value)?.slice(0, 100)}.`,
  });
}

/** What a record itself has under a name: a feature may be called as what every object has (`constructor`). */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

function fits(type: ValueType, value: unknown): boolean {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string';
    case 'float64':
      return typeof value === 'number';
    case 'int64':
    case 'timestamp':
      return Number.isSafeInteger(value);
  }
}
