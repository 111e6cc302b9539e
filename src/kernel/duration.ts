import { AiosError } from './errors.ts';

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SHORT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
// Years and months have no fixed length, so they are refused rather than guessed.
const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** The duration object of the Open Workflow Specification (dsl-reference, "Duration"). */
export interface DurationParts {
  days?: number;
  hours?: number;
  minutes?: number;
  seconds?: number;
  milliseconds?: number;
}

/**
 * A duration in milliseconds, from `90d`, `30s`, ISO 8601 (`P90D`, `PT30S`) or the specification's object.
 *
 * @throws AiosError `definition.duration`
 * @example parseDuration('90d') === parseDuration('P90D') && parseDuration({ hours: 2 }) === 7_200_000
 */
export function parseDuration(value: string | DurationParts): number {
  if (typeof value === 'object') {
    const { days = 0, hours = 0, minutes = 0, seconds = 0, milliseconds = 0 } = value;
    return days * UNIT_MS.d + hours * UNIT_MS.h + minutes * UNIT_MS.m + seconds * UNIT_MS.s + milliseconds;
  }
  const short = SHORT.exec(value);
  if (short) return Number(short[1]) * UNIT_MS[short[2] as keyof typeof UNIT_MS];
  const iso = ISO.exec(value);
  if (!iso || value === 'P' || value.endsWith('T')) {
    throw new AiosError('definition.duration', {
      detail: `“${value}” is not a duration, as PT5M, 5m and P1D are; months and years have no fixed length.`,
    });
  }
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = iso
    .slice(1)
    .map((part) => Number(part ?? 0));
  return (weeks * 7 + days) * UNIT_MS.d + hours * UNIT_MS.h + minutes * UNIT_MS.m + seconds * UNIT_MS.s;
}
