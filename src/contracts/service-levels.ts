import type { JsonObject } from '../kernel/json.ts';
import { type MeasuredRule, measuredRule } from './quality-rules.ts';

/** Who answers for a contract, as in `team` of the Open Data Contract Standard. */
export interface TeamMember {
  username: string;
  name?: string;
  role?: string;
}

/** A service level, as in `slaProperties` of the Open Data Contract Standard. */
export interface ServiceLevel {
  /**
   * `latency`: from an event's time to its place in the log; `frequency`: how far apart events come at most; `retention`, as a number: how long they are
   * kept. Others are told, not measured.
   */
  property: string;
  value: number | string;
  unit?: string;
  element?: string;
  description?: string;
}

const MEMBER: JsonObject = { type: 'string', minLength: 1 };
export const TEAM_SCHEMA: JsonObject = {
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['username'],
    properties: { username: MEMBER, name: MEMBER, role: MEMBER },
  },
};
const YEAR_MS = 365 * 86_400_000;
const TIME_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
  y: YEAR_MS,
  yr: YEAR_MS,
  year: YEAR_MS,
  years: YEAR_MS,
};
const MEASURED = ['latency', 'frequency', 'retention'];
export const SERVICE_LEVELS_SCHEMA: JsonObject = {
  type: 'array',
  items: {
    type: 'object',
    additionalProperties: false,
    required: ['property', 'value'],
    properties: {
      property: MEMBER,
      value: { type: ['number', 'string'] },
      unit: MEMBER,
      element: MEMBER,
      description: MEMBER,
    },
    // A retention in words or as a duration is told.
    if: {
      anyOf: [
        { properties: { property: { enum: ['latency', 'frequency'] } } },
        { properties: { property: { const: 'retention' }, value: { type: 'number' } } },
      ],
    },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      required: ['unit'],
      properties: { value: { type: 'number', exclusiveMinimum: 0 }, unit: { enum: Object.keys(TIME_UNITS) } },
    },
  },
};

/**
 * The levels that can be measured, as rules over windows: of latency, that no event of an hour came later; of frequency, that each such time had an event;
 * of retention, that what was dropped of the log had been kept for so long.
 *
 * @example serviceLevelRules([{ property: 'latency', value: 5, unit: 'm' }])[0].name // 'latency 5 m'
 */
export function serviceLevelRules(levels: readonly ServiceLevel[]): MeasuredRule[] {
  return levels.flatMap(({ property, value, unit, description }) => {
    if (!MEASURED.includes(property) || typeof value !== 'number') return [];
    const ms = value * TIME_UNITS[unit!]!;
    const name = `${property} ${value} ${unit}`;
    const told = description === undefined ? {} : { message: description };
    if (property === 'retention') {
      const rule = measuredRule({ name, metric: 'freshness', mustBeGreaterOrEqualTo: ms / 1000, ...told }); // in seconds, as freshness is
      return [{ ...rule, isOfLog: true }];
    }
    if (property === 'frequency')
      return [
        measuredRule({ name, metric: 'rowCount', window: windowText(ms), mustBeGreaterThan: 0, ...told }),
      ];
    const rule = measuredRule({ name, metric: 'invalidValues', mustBe: 0, ...told });
    return [{ ...rule, matches: (event, recordedAtMs) => recordedAtMs - Date.parse(event.time) > ms }];
  });
}

/** Without an exponent, which no duration has. */
function windowText(ms: number): string {
  return `${ms.toLocaleString('en', { useGrouping: false, maximumFractionDigits: 20 })}ms`;
}
