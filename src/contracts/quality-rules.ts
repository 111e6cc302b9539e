import { canonicalize } from '../kernel/canonical.ts';
import type { CloudEvent } from '../kernel/cloudevent.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { compileSchema } from '../kernel/schema.ts';
import { unknownKeywords } from '../kernel/schema-keywords.ts';
import { Distinct, type DistinctState } from './distinct.ts';

/** What is measured, in the words of the Open Data Contract Standard 3.1; `freshness` and `failedRule` are ours. */
const METRICS = [
  'rowCount',
  'nullValues',
  'missingValues',
  'invalidValues',
  'duplicateValues',
  'freshness',
] as const;
type Metric = (typeof METRICS)[number];

/** What a measured value must be; of the standard. */
interface Threshold {
  mustBe?: number;
  mustNotBe?: number;
  mustBeGreaterThan?: number;
  mustBeGreaterOrEqualTo?: number;
  mustBeLessThan?: number;
  mustBeLessOrEqualTo?: number;
  mustBeBetween?: [number, number];
  mustNotBeBetween?: [number, number];
}

const THRESHOLDS = [
  ...(['mustBe', 'mustNotBe', 'mustBeGreaterThan', 'mustBeGreaterOrEqualTo'] as const),
  ...(['mustBeLessThan', 'mustBeLessOrEqualTo', 'mustBeBetween', 'mustNotBeBetween'] as const),
];

/**
 * One rule of `quality`. With `rule` (CEL over `data` and `event`) it is about each event: what fails it is refused, put into quarantine, or, with `alert`,
 * let in and counted. With `metric` it is measured over windows of event time.
 */
export interface QualityRule extends Threshold {
  /** Names the rule where two would have the same name: `nullValues customerId`. */
  name?: string;
  rule?: string;
  message?: string;
  onFail?: 'refuse' | 'quarantine' | 'alert';
  metric?: Metric;
  /** Dotted path below `data`: `customer.country`. */
  property?: string;
  arguments?: JsonObject;
  /** `percent` of the events of the window; `rows` when left out. Of freshness: seconds. */
  unit?: 'rows' | 'percent';
  /** A duration: `PT1H` when left out. */
  window?: string;
  severity?: 'info' | 'warning' | 'error';
}

/** What is counted of a rule in a window. */
export interface Counters {
  rows: number;
  /** Events that count against the rule: null, missing, invalid, failed; those with a value, where values are counted as distinct. */
  matching: number;
  distinct?: DistinctState;
  /** Time of the newest event, not after that of its recording, milliseconds since the epoch; 0 for none. */
  newestMs: number;
}

/** A rule that is measured, ready to count. */
export interface MeasuredRule {
  readonly name: string;
  readonly rule: QualityRule;
  readonly windowMs: number;
  /** Nothing is counted: the value is for how long the log is whole at the end of the window, in seconds. */
  readonly isOfLog?: boolean;
  /** Whether an event counts against the rule; of distinct values the value itself, nothing when it has none. */
  matches(event: CloudEvent, recordedAtMs: number): boolean | string | undefined;
  /** What the rule comes to at the end of a window; nothing when there was nothing to measure. */
  value(counters: Counters, windowEndMs: number, newestMs: number): number | undefined;
  holds(value: number): boolean;
}

const DEFAULT_WINDOW = 'PT1H';

export type WindowLimits = Pick<Limits, 'contractQualityWindowMinMs' | 'contractQualityWindowMaxMs'>;

/** Shape of a rule in a contract's document. */
export const QUALITY_SCHEMA: JsonObject = {
  type: 'object',
  additionalProperties: false,
  oneOf: [{ required: ['rule', 'message'] }, { required: ['metric'] }],
  properties: {
    name: { type: 'string', minLength: 1 },
    rule: { type: 'string' },
    message: { type: 'string' },
    onFail: { enum: ['refuse', 'quarantine', 'alert'] },
    metric: { enum: [...METRICS] },
    property: { type: 'string', minLength: 1 },
    arguments: {
      type: 'object',
      properties: { validValues: { type: 'array' }, missingValues: { type: 'array' } },
    },
    unit: { enum: ['rows', 'percent'] },
    window: { type: 'string' },
    severity: { enum: ['info', 'warning', 'error'] },
    mustBe: { type: 'number' },
    mustNotBe: { type: 'number' },
    mustBeGreaterThan: { type: 'number' },
    mustBeGreaterOrEqualTo: { type: 'number' },
    mustBeLessThan: { type: 'number' },
    mustBeLessOrEqualTo: { type: 'number' },
    mustBeBetween: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 },
    mustNotBeBetween: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 },
  },
  dependentSchemas: {
    metric: { properties: { onFail: { const: 'alert' } } },
  },
};

/** True for a rule that lets events in and is measured over windows. */
export function isMeasured({ metric, onFail }: QualityRule): boolean {
  return metric !== undefined || onFail === 'alert';
}

/**
 * Bounds of the window of a rule that someone writes. A rule that was accepted under other limits goes on.
 *
 * @throws AiosError `definition.invalid`, with the limit that it breaks
 * @example checkWindow(measuredRule({ metric: 'rowCount', window: '0s' }), limits) // throws
 */
export function checkWindow({ rule, windowMs }: MeasuredRule, limits: WindowLimits): void {
  const { contractQualityWindowMinMs: min, contractQualityWindowMaxMs: max } = limits;
  const limitName =
    windowMs < min ? 'contractQualityWindowMinMs' : windowMs > max ? 'contractQualityWindowMaxMs' : undefined;
  if (limitName === undefined) return;
  throw new AiosError('definition.invalid', {
    detail: `A window is from ${min} to ${max} ms (the limits contractQualityWindowMinMs and contractQualityWindowMaxMs); “${rule.window ?? DEFAULT_WINDOW}” is not`,
    extensions: { limitName, limit: limits[limitName] },
  });
}

/**
 * Holds a measured rule to having something to measure and a result that it can come to: one that always holds, or never, says nothing of data.
 *
 * @throws AiosError `definition.invalid`
 * @example checkMeasure({ metric: 'freshness' }) // throws: its value is never 0
 */
export function checkMeasure(rule: QualityRule): void {
  const { metric, arguments: bounds = {}, mustBeBetween: within, mustNotBeBetween: outside } = rule;
  const invalid = (detail: string) => new AiosError('definition.invalid', { detail });
  if (metric === 'freshness' && !THRESHOLDS.some((name) => rule[name] !== undefined))
    throw invalid('freshness needs a bound in seconds, such as `mustBeLessThan: 3600`');
  if (metric === 'invalidValues' && Object.keys(bounds).length === 0)
    throw invalid(
      'invalidValues needs `arguments` that say which values are valid, such as `{ validValues: [a, b] }` or `{ minimum: 0 }`',
    );
  const [slip] = metric === 'invalidValues' ? unknownKeywords(withoutListed(bounds)) : [];
  if (slip)
    throw invalid(
      `${slip.message}, nor is it \`validValues\`, so no value would be invalid by it${slip.meant === undefined ? '' : `; meant is perhaps ${slip.meant}`}`,
    );
  for (const [low, high] of [within ?? [], outside ?? []])
    if (low !== undefined && low > high!)
      throw invalid(`from ${low} to ${high} there is no value; put the smaller bound first`);
}

/**
 * @throws AiosError `definition.duration`, `expression.syntax`
 * @example measuredRule({ metric: 'nullValues', property: 'customerId', unit: 'percent', mustBeLessThan: 5 })
 */
export function measuredRule(rule: QualityRule): MeasuredRule {
  return {
    name: nameOf(rule),
    rule,
    windowMs: parseDuration(rule.window ?? DEFAULT_WINDOW),
    matches: matcherOf(rule),
    value: (counters, windowEndMs, newestMs) => measuredValue(rule, counters, windowEndMs, newestMs),
    holds: (value) => holds(rule, value),
  };
}

function nameOf({ name, rule, metric, property }: QualityRule): string {
  return name ?? [metric ?? rule, property].filter(Boolean).join(' ');
}

export function noCounters(): Counters {
  return { rows: 0, matching: 0, newestMs: 0 };
}

/** Counts an event: a few additions, and one hash where values are told apart. */
export function count(
  counters: Counters,
  rule: MeasuredRule,
  event: CloudEvent,
  recordedAtMs: number,
  distinct: Distinct | undefined,
): void {
  counters.rows++;
  // One event with a time of the year 9999 would be the newest for good, and no source would ever be stale.
  counters.newestMs = Math.max(counters.newestMs, Math.min(Date.parse(event.time), recordedAtMs));
  const matching = rule.matches(event, recordedAtMs);
  if (typeof matching === 'string') {
    counters.matching++;
    distinct?.add(matching);
  } else if (matching) counters.matching++;
}

/** Of arguments what is a schema. */
function withoutListed({ validValues: _, ...bounds }: JsonObject): JsonObject {
  return bounds;
}

function matcherOf(rule: QualityRule): MeasuredRule['matches'] {
  const { metric, property } = rule;
  const valueAt = (event: CloudEvent) => at((event.data ?? null) as Json, property);
  if (rule.rule !== undefined) {
    const isHeld = compileExpression(rule.rule);
    return (event) => {
      try {
        return isHeld({ data: event.data, event }) !== true;
      } catch {
        return true; // a rule that cannot work on an event does not hold
      }
    };
  }
  if (metric === 'nullValues') return (event) => valueAt(event) === null;
  if (metric === 'missingValues') {
    const missing = ((rule.arguments?.missingValues as Json[] | undefined) ?? []).map((value) =>
      canonicalize(value),
    );
    return (event) => {
      const value = valueAt(event);
      return value === undefined || value === null || missing.includes(canonicalize(value));
    };
  }
  if (metric === 'invalidValues') {
    const { validValues } = rule.arguments ?? {};
    const validate = compileSchema({
      ...withoutListed(rule.arguments ?? {}),
      ...(validValues === undefined ? {} : { enum: validValues }),
    });
    return (event) => {
      const value = valueAt(event);
      return value !== undefined && value !== null && validate(value).length > 0;
    };
  }
  if (metric === 'duplicateValues') {
    return (event) => {
      const value = valueAt(event);
      return value === undefined || value === null ? undefined : canonicalize(value);
    };
  }
  return () => false;
}

function measuredValue(
  rule: QualityRule,
  counters: Counters,
  windowEndMs: number,
  newestMs: number,
): number | undefined {
  const { rows, matching, distinct } = counters;
  if (rule.metric === 'rowCount') return rows;
  if (rule.metric === 'freshness')
    return newestMs === 0 ? undefined : Math.max(0, (windowEndMs - newestMs) / 1000);
  if (rows === 0) return undefined;
  const against =
    rule.metric === 'duplicateValues' ? Math.max(0, matching - Distinct.from(distinct).count()) : matching;
  return rule.unit === 'percent' ? (100 * against) / rows : against;
}

/** Without any threshold nothing may count against a rule. */
function holds(rule: QualityRule, value: number): boolean {
  const { mustBeBetween: within, mustNotBeBetween: outside } = rule;
  const tests: (boolean | undefined)[] = [
    rule.mustBe === undefined ? undefined : value === rule.mustBe,
    rule.mustNotBe === undefined ? undefined : value !== rule.mustNotBe,
    rule.mustBeGreaterThan === undefined ? undefined : value > rule.mustBeGreaterThan,
    rule.mustBeGreaterOrEqualTo === undefined ? undefined : value >= rule.mustBeGreaterOrEqualTo,
    rule.mustBeLessThan === undefined ? undefined : value < rule.mustBeLessThan,
    rule.mustBeLessOrEqualTo === undefined ? undefined : value <= rule.mustBeLessOrEqualTo,
    within && value >= within[0] && value <= within[1],
    outside && (value < outside[0] || value > outside[1]),
  ];
  if (tests.every((test) => test === undefined)) return rule.metric === 'rowCount' ? value > 0 : value === 0;
  return tests.every((test) => test !== false);
}

function at(value: Json, path: string | undefined): Json | undefined {
  let found: Json | undefined = value;
  for (const name of path?.split('.') ?? []) {
    if (Array.isArray(found)) found = found[Number(name)];
    else found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return found;
}
