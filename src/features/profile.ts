import { countDistinct, type Distinct, distinctOf, mergeDistinct } from './windows/distinct.ts';
import type { FeatureValue } from './windows/state.ts';

/** Deciles, from the smallest to the largest value: eleven numbers. */
type Deciles = readonly number[];

/** How the values of one feature lie. */
interface FeatureProfile {
  readonly kind: 'number' | 'category';
  readonly nullShare: number;
  readonly distinct: number;
  /** Of numbers. */
  readonly mean?: number;
  readonly stddev?: number;
  readonly deciles?: Deciles;
  /** Share of the values in each bin between deciles that differ; of categories by value, the rarest together as `''`. */
  readonly shares: Readonly<Record<string, number>>;
}

export interface Profile {
  readonly rows: number;
  readonly features: Readonly<Record<string, FeatureProfile>>;
}

/** How far a sample may lie from its reference before that is a finding. */
export interface Thresholds {
  /** Of rows that a sample needs to be judged at all. */
  readonly rowsMin: number;
  /** Difference of the shares of nulls. */
  readonly nullShare: number;
  /** Difference of the means, in standard deviations of the reference. */
  readonly mean: number;
  /** Difference of the 10 %, 50 % and 90 % quantiles, in distances from 10 % to 90 % of the reference. */
  readonly quantile: number;
  /** By which factor the share of distinct values among the rows may differ. */
  readonly distinct: number;
  /** Population stability index; 0.1 is called small in the field, 0.25 large. */
  readonly psi: number;
  /** Share of values below the smallest or above the largest of the reference. */
  readonly outside: number;
}

const THRESHOLDS: Thresholds = {
  rowsMin: 30,
  nullShare: 0.05,
  mean: 0.25,
  quantile: 0.25,
  distinct: 2,
  psi: 0.2,
  outside: 0.01,
};

/** Categories that are told apart; the others are counted together. */
const CATEGORIES_MAX = 50;
/** A share of nothing would make the index infinite. */
const SHARE_MIN = 1e-4;

/** One way in which a sample is not like its reference. */
export interface Finding {
  readonly feature: string;
  readonly check:
    | 'rows'
    | 'missing'
    | 'type'
    | 'nullShare'
    | 'mean'
    | 'quantile'
    | 'distinct'
    | 'psi'
    | 'outside';
  readonly expected: number | string;
  readonly found: number | string;
  readonly threshold: number;
  readonly message: string;
}

/**
 * The profile of many vectors.
 *
 * @example profileOf(['score'], [[0.5], [null]]).features.score.nullShare // 0.5
 */
export function profileOf(names: readonly string[], rows: readonly (readonly FeatureValue[])[]): Profile {
  const features = names.map(
    (name, at) => [name, featureProfile(rows.map((row) => row[at] ?? null))] as const,
  );
  return { rows: rows.length, features: Object.fromEntries(features) };
}

function featureProfile(all: readonly FeatureValue[]): FeatureProfile {
  const values = all.filter((value) => value !== null);
  const nullShare = all.length === 0 ? 0 : 1 - values.length / all.length;
  let distinct: Distinct = [];
  for (const value of values) distinct = mergeDistinct(distinct, distinctOf(value));
  const common = { nullShare, distinct: countDistinct(distinct) };
  if (values.length > 0 && values.every((value) => typeof value === 'number')) {
    const sorted = Float64Array.from(values).sort();
    const largest = Math.max(Math.abs(sorted[0]!), Math.abs(sorted.at(-1)!));
    // The square of a number past 1e154 is none: such a feature is measured in units of its largest value.
    const unit = largest > 1e150 ? largest : 1;
    const units = sorted.map((value) => value / unit);
    const sum = units.reduce((whole, value) => whole + value, 0);
    // Rounding puts the mean of equal values beside them, and by another digit for another number of them.
    const mean = Math.min(Math.max(sum / units.length, units[0]!), units.at(-1)!);
    const spread = units.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deciles = Array.from({ length: 11 }, (_, i) => quantile(units, i / 10) * unit);
    return {
      kind: 'number',
      ...common,
      mean: mean * unit,
      stddev:
        sorted.length > 1 ? Math.min(Math.sqrt(spread / (sorted.length - 1)) * unit, Number.MAX_VALUE) : 0,
      deciles,
      shares: binShares(deciles, sorted),
    };
  }
  return { kind: 'category', ...common, shares: categoryShares(values.map(String)) };
}

/** By linear interpolation between the two nearest values (type 7, as numpy does). */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}

/** Shares of values in the bins that the inner deciles of a reference bound, by the number of the bin. */
function binShares(deciles: Deciles, values: Float64Array): Record<string, number> {
  const bounds = [...new Set(deciles.slice(1, -1))];
  const counts = new Array<number>(bounds.length + 1).fill(0);
  for (const value of values) {
    const above = bounds.findIndex((bound) => value < bound);
    const bin = above === -1 ? bounds.length : above;
    counts[bin] = counts[bin]! + 1;
  }
  return Object.fromEntries(counts.map((count, bin) => [String(bin), count / values.length]));
}

function categoryShares(values: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const shares = new Map<string, number>(); // a category may be called `__proto__`
  for (const [index, [value, count]] of ranked.entries()) {
    const name = index < CATEGORIES_MAX ? value : '';
    shares.set(name, (shares.get(name) ?? 0) + count / values.length);
  }
  return Object.fromEntries(shares);
}

/** The ways in which vectors are not like a reference; none when they are. */
export function compareWithProfile(
  reference: Profile,
  names: readonly string[],
  rows: readonly (readonly FeatureValue[])[],
  changed: Partial<Thresholds> = {},
): Finding[] {
  const thresholds = { ...THRESHOLDS, ...changed };
  const found = reference.rows === 0 ? 0 : rows.length;
  if (rows.length < thresholds.rowsMin || reference.rows === 0) {
    const message =
      reference.rows === 0 ? 'the reference is of no rows' : `${rows.length} rows are too few to be judged`;
    return [
      {
        feature: '*',
        check: 'rows',
        expected: thresholds.rowsMin,
        found,
        threshold: thresholds.rowsMin,
        message,
      },
    ];
  }
  return Object.entries(reference.features).flatMap(([feature, expected]) => {
    const at = names.indexOf(feature);
    if (at === -1)
      return [
        finding(feature, 'missing', expected.kind, 'nothing', 0, 'the sample does not have the feature'),
      ];
    const values = rows.map((row) => row[at] ?? null);
    return compareFeature(feature, expected, values, reference.rows, thresholds);
  });
}

function compareFeature(
  feature: string,
  expected: FeatureProfile,
  values: readonly FeatureValue[],
  referenceRows: number,
  thresholds: Thresholds,
): Finding[] {
  const found = featureProfile(values);
  const nulls = checkDistance(
    feature,
    'nullShare',
    expected.nullShare,
    found.nullShare,
    1,
    thresholds.nullShare,
  );
  const present = values.filter((value) => value !== null);
  if (present.length === 0 || expected.nullShare === 1) return nulls;
  if (found.kind !== expected.kind)
    return [
      ...nulls,
      finding(feature, 'type', expected.kind, found.kind, 0, `its values are of kind ${found.kind}`),
    ];
  return [
    ...nulls,
    ...(expected.kind === 'number'
      ? compareNumbers(feature, expected, found, present as number[], thresholds)
      : comparePsi(feature, expected.shares, knownShares(expected.shares, found.shares), thresholds)),
    ...compareDistinct(
      feature,
      expected.distinct / referenceRows,
      found.distinct / values.length,
      thresholds,
    ),
  ];
}

function compareNumbers(
  feature: string,
  expected: FeatureProfile,
  found: FeatureProfile,
  values: readonly number[],
  thresholds: Thresholds,
): Finding[] {
  const deciles = expected.deciles!;
  const outside =
    values.filter((value) => value < deciles[0]! || value > deciles[10]!).length / values.length;
  const width = deciles[9]! - deciles[1]!;
  const shares = binShares(deciles, Float64Array.from(values));
  return [
    ...checkDistance(feature, 'mean', expected.mean!, found.mean!, expected.stddev!, thresholds.mean),
    ...[1, 5, 9].flatMap((decile) =>
      checkDistance(
        feature,
        'quantile',
        deciles[decile]!,
        found.deciles![decile]!,
        width,
        thresholds.quantile,
      ),
    ),
    ...comparePsi(feature, expected.shares, shares, thresholds),
    ...checkDistance(feature, 'outside', 0, outside, 1, thresholds.outside),
  ];
}

/** How far two numbers lie apart, in units of `scale`; a scale of nothing makes every difference one. */
function checkDistance(
  feature: string,
  check: Finding['check'],
  expected: number,
  found: number,
  scale: number,
  threshold: number,
): Finding[] {
  const distance = Math.abs(found - expected);
  if (distance === 0 || (scale > 0 && distance / scale <= threshold)) return [];
  const message = `${check} is ${short(found)}, expected ${short(expected)}`;
  return [finding(feature, check, expected, found, threshold, message)];
}

function compareDistinct(
  feature: string,
  expected: number,
  found: number,
  { distinct: threshold }: Thresholds,
): Finding[] {
  const factor = Math.max(found / expected, expected / found);
  // Below one in ten rows the share says how large the sample is, not how the values lie.
  if (factor <= threshold || Math.max(expected, found) < 0.1) return [];
  const message = `${short(found)} different values for each row, expected ${short(expected)}`;
  return [finding(feature, 'distinct', expected, found, threshold, message)];
}

/** Shares by the categories that a reference tells apart; what it does not know counts as one. */
function knownShares(
  reference: Readonly<Record<string, number>>,
  found: Readonly<Record<string, number>>,
): Record<string, number> {
  const shares = new Map<string, number>();
  for (const [value, share] of Object.entries(found)) {
    const name = Object.hasOwn(reference, value) ? value : '';
    shares.set(name, (shares.get(name) ?? 0) + share);
  }
  return Object.fromEntries(shares);
}

function comparePsi(
  feature: string,
  expected: Readonly<Record<string, number>>,
  found: Readonly<Record<string, number>>,
  { psi: threshold }: Thresholds,
): Finding[] {
  const psi = stabilityIndex(expected, found);
  if (psi <= threshold) return [];
  return [finding(feature, 'psi', 0, psi, threshold, `the population stability index is ${short(psi)}`)];
}

/**
 * The population stability index of two divisions into the same bins: 0 for equal ones; 0.1 is called small in the field, 0.25 large.
 *
 * @param expected shares by bin, of the reference
 * @example stabilityIndex({ a: 0.5, b: 0.5 }, { a: 0.5, b: 0.5 }) // 0
 */
export function stabilityIndex(
  expected: Readonly<Record<string, number>>,
  found: Readonly<Record<string, number>>,
): number {
  let psi = 0;
  for (const name of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const [a, b] = [expected, found].map((shares) =>
      // A category may be called `constructor`.
      Math.max(Object.hasOwn(shares, name) ? shares[name]! : 0, SHARE_MIN),
    ) as [number, number];
    psi += (b - a) * Math.log(b / a);
  }
  return psi;
}

function finding(
  feature: string,
  check: Finding['check'],
  expected: number | string,
  found: number | string,
  threshold: number,
  message: string,
): Finding {
  return { feature, check, expected, found, threshold, message: `${feature}: ${message}` };
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
