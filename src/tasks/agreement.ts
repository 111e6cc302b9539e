/** Agreement beyond chance, with its uncertainty. */
export interface Kappa {
  /** Cases that were rated. */
  readonly count: number;
  /** Share of the cases on which the raters agree, 0 to 1. */
  readonly agreement: number;
  /** 1 is full agreement, 0 what chance gives; null when chance alone gives full agreement, so that nothing can be said. */
  readonly kappa: number | null;
  /** Large-sample standard error; null when it cannot be computed. */
  readonly standardError: number | null;
  /** 95 % confidence interval, within -1 and 1. */
  readonly interval: readonly [low: number, high: number] | null;
}

/** How often the one rater said `rows[i]` and the other `columns[j]`. */
export interface ConfusionTable {
  readonly categories: readonly string[];
  /** `counts[i][j]`: the first rater said category i, the second category j. */
  readonly counts: readonly (readonly number[])[];
}

const Z_95 = 1.959963984540054; // the 97.5th percentile of the normal distribution
const UNCERTAIN: Pick<Kappa, 'kappa' | 'standardError' | 'interval'> = {
  kappa: null,
  standardError: null,
  interval: null,
};

/**
 * The table of what two raters said of the same cases; categories in the order of their names.
 *
 * @example confusionTable([['approve', 'approve'], ['approve', 'refuse']]).counts // [[1, 1], [0, 0]]
 */
export function confusionTable(pairs: readonly (readonly [string, string])[]): ConfusionTable {
  const categories = [...new Set(pairs.flat())].sort();
  const place = new Map(categories.map((category, index) => [category, index]));
  const counts = categories.map(() => categories.map(() => 0));
  for (const [first, second] of pairs) counts[place.get(first)!]![place.get(second)!]! += 1;
  return { categories, counts };
}

/**
 * Cohen's kappa of two raters (Cohen 1960), with the standard error of Fleiss, Cohen and Everitt (1969), which holds away from 0 too.
 *
 * @example cohenKappa([[20, 5], [10, 15]]).kappa // 0.4
 */
export function cohenKappa(counts: ConfusionTable['counts']): Kappa {
  const total = sum(counts.map(sum));
  if (total === 0) return { count: 0, agreement: 0, ...UNCERTAIN };
  const p = counts.map((row) => row.map((count) => count / total));
  const rows = p.map(sum);
  const columns = p.map((_, j) => sum(p.map((row) => row[j]!)));
  const observed = sum(p.map((row, i) => row[i]!));
  const expected = sum(rows.map((share, i) => share * columns[i]!));
  if (1 - expected < Number.EPSILON * 8) return { count: total, agreement: observed, ...UNCERTAIN };
  const kappa = (observed - expected) / (1 - expected);
  const diagonal = sum(p.map((row, i) => row[i]! * (1 - (rows[i]! + columns[i]!) * (1 - kappa)) ** 2));
  const others = sum(
    p.map((row, i) => sum(row.map((share, j) => (i === j ? 0 : share * (columns[i]! + rows[j]!) ** 2)))),
  );
  const variance = diagonal + (1 - kappa) ** 2 * others - (kappa - expected * (1 - kappa)) ** 2;
  const standardError = Math.sqrt(Math.max(0, variance) / total) / (1 - expected);
  return { count: total, agreement: observed, ...interval(kappa, standardError) };
}

/**
 * Fleiss' kappa of cases that were each rated by the same number of raters, not always the same ones (Fleiss 1971); its standard error by the
 * jackknife over the cases. `ratings[i][j]` counts the raters of case i that chose category j.
 *
 * @throws RangeError when the cases have different numbers of raters, or fewer than two
 * @example fleissKappa([[0, 2], [2, 0], [1, 1]]).agreement // 0.667
 */
export function fleissKappa(ratings: readonly (readonly number[])[]): Kappa {
  const count = ratings.length;
  if (count === 0) return { count: 0, agreement: 0, ...UNCERTAIN };
  const raters = sum(ratings[0]!);
  if (raters < 2 || ratings.some((row) => sum(row) !== raters))
    throw new RangeError('each case needs the same number of raters, two at least');
  const totals = ratings[0]!.map((_, j) => sum(ratings.map((row) => row[j]!)));
  const pairsOf = (row: readonly number[]) => sum(row.map((n) => n * (n - 1))) / (raters * (raters - 1));
  const agreements = ratings.map(pairsOf);
  const all = sum(agreements);
  const kappa = fleissOf(all, totals, count, raters);
  const agreement = all / count;
  if (kappa === null) return { count, agreement, ...UNCERTAIN };
  const without = ratings.map((row, i) =>
    fleissOf(
      all - agreements[i]!,
      totals.map((n, j) => n - row[j]!),
      count - 1,
      raters,
    ),
  );
  const left = without.filter((value) => value !== null);
  if (count < 2 || left.length < count)
    return { count, agreement, kappa, standardError: null, interval: null };
  const mean = sum(left) / count;
  const standardError = Math.sqrt(((count - 1) / count) * sum(left.map((value) => (value - mean) ** 2)));
  return { count, agreement, ...interval(kappa, standardError) };
}

function fleissOf(
  agreements: number,
  totals: readonly number[],
  count: number,
  raters: number,
): number | null {
  if (count === 0) return null;
  const expected = sum(totals.map((total) => (total / (count * raters)) ** 2));
  return 1 - expected < Number.EPSILON * 8 ? null : (agreements / count - expected) / (1 - expected);
}

function interval(kappa: number, standardError: number): Pick<Kappa, 'kappa' | 'standardError' | 'interval'> {
  const reach = Z_95 * standardError;
  return {
    kappa,
    standardError,
    interval: [Math.max(-1, kappa - reach), Math.min(1, kappa + reach)],
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
