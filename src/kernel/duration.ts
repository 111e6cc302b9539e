import { AiosError } from './errors.ts';

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PART_MS: { readonly [part: string]: number } = {
  days: UNIT_MS.d,
  hours: UNIT_MS.h,
  minutes: UNIT_MS.m,
  seconds: UNIT_MS.s,
  milliseconds: UNIT_MS.ms,
};
const SHORT = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
// Years and months have no fixed length, so they are refused rather than guessed.
const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** A thousand years: with much longer ones the end of a wait is a time that neither the database nor JavaScript can write. */
const DURATION_DAYS_MAX = 365_000;

/** The duration object of the Open Workflow Specification (dsl-reference, "Duration"). */
export interface DurationParts {
  days?: number;
  hours?: number;
  minutes?: number;
  seconds?: number;
  milliseconds?: number;
}

/**
 * A duration in whole milliseconds, from `90d`, `30s`, ISO 8601 (`P90D`, `PT30S`) or the specification's object: a time in parts of them comes back shorter
 * from the database than it was, and a run would be woken before it is due.
 *
 * @throws AiosError `definition.duration`
 * @example parseDuration('90d') === parseDuration('P90D') && parseDuration({ hours: 2 }) === 7_200_000
 */
export function parseDuration(value: string | DurationParts): number {
  const ms = Math.round(typeof value === 'object' ? sumOf(value) : textMs(value));
  if (ms <= DURATION_DAYS_MAX * UNIT_MS.d) return ms;
  throw new AiosError('definition.duration', {
    detail: `${JSON.stringify(value)} is longer than ${DURATION_DAYS_MAX} days.`,
  });
}

function textMs(value: string): number {
  const short = SHORT.exec(value);
  if (short) return Number(short[1]) * UNIT_MS[short[2] as keyof typeof UNIT_MS];
  const iso = ISO.exec(value);
  if (!iso || value === 'P' || value.endsWith('T')) {
    throw new AiosError('definition.duration', {
      detail: `“${value}” is not a duration such as PT5M, 5m or P1D; months and years have no fixed length.`,
    });
  }
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = iso
    .slice(1)
    .map((part) => Number(part ?? 0));
  return (weeks * 7 + days) * UNIT_MS.d + hours * UNIT_MS.h + minutes * UNIT_MS.m + seconds * UNIT_MS.s;
}

/** What an expression gives is of any form: a part that is no number would make a time that never comes. */
function sumOf(value: DurationParts): number {
  const parts = Object.entries(value ?? {});
  const isPart = ([name, part]: [string, unknown]) =>
    Object.hasOwn(PART_MS, name) && typeof part === 'number' && part >= 0 && Number.isFinite(part);
  if (parts.length === 0 || !parts.every(isPart)) {
    throw new AiosError('definition.duration', {
      detail: `${JSON.stringify(value)} is not a duration such as { minutes: 5 } or { days: 1, hours: 12 }: ${Object.keys(PART_MS).join(', ')}, each a number from 0 on.`,
    });
  }
  return parts.reduce((sum, [name, part]) => sum + part * PART_MS[name]!, 0);
}
