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

/** How often one rater said `row` where the other said `column`: a cell of their table that is not empty. */
export interface Cell {
  readonly row: string;
  readonly column: string;
  readonly count: number;
}

/** The table of two raters for people to read. */
export interface ConfusionTable {
  readonly categories: readonly string[];
  /** `counts[i][j]`: the first rater said category i, the second category j. */
  readonly counts: readonly (readonly number[])[];
  /** Cases that are not in it, as it holds the most frequent categories only. */
  readonly omitted: number;
}

const Z_95 = 1.959963984540054; // the 97.5th percentile of the normal distribution
const UNCERTAIN: Pick<Kappa, 'kappa' | 'standardError' | 'interval'> = {
  kappa: null,
  standardError: null,
  interval: null,
};

/**
 * What two raters said of the same cases, counted. Where answers are free text nearly every case is a category of its own: only the cells that are not empty are kept, for 100,000
 * categories have 10 billion.
 *
 * @example cellsOf([['approve', 'approve'], ['approve', 'refuse']]) // [{ row: 'approve', column: 'approve', count: 1 }, …]
 */
export function cellsOf(pairs: readonly (readonly [string, string])[]): Cell[] {
  const rows = new Map<string, Map<string, number>>();
  for (const [row, column] of pairs) {
    const counts = rows.get(row) ?? new Map<string, number>();
    rows.set(row, counts.set(column, (counts.get(column) ?? 0) + 1));
  }
  return [...rows].flatMap(([row, counts]) => [...counts].map(([column, count]) => ({ row, column, count })));
}

/**
 * The cells as a table of the most frequent categories, in the order of their names.
 *
 * @example confusionTable(cellsOf([['approve', 'approve'], ['approve', 'refuse']]), 50).counts // [[1, 1], [0, 0]]
 */
export function confusionTable(cells: readonly Cell[], categoriesMax: number): ConfusionTable {
  const times = new Map<string, number>();
  for (const { row, column, count } of cells)
    for (const category of [row, column]) times.set(category, (times.get(category) ?? 0) + count);
  const frequent = [...times].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).slice(0, categoriesMax);
  const categories = frequent.map(([category]) => category).sort();
  const place = new Map(categories.map((category, index) => [category, index]));
  const counts = categories.map(() => categories.map(() => 0));
  let omitted = 0;
  for (const { row, column, count } of cells) {
    const [i, j] = [place.get(row), place.get(column)];
    if (i === undefined || j === undefined) omitted += count;
    else counts[i]![j] = count;
  }
  return { categories, counts, omitted };
}

/**
 * Cohen's kappa of two raters (Cohen 1960), with the standard error of Fleiss, Cohen and Everitt (1969), which holds away from 0 too.
 *
 * @example cohenKappa([{ row: 'a', column: 'a', count: 35 }, { row: 'a', column: 'b', count: 15 }]).agreement // 0.7
 */
export function cohenKappa(cells: readonly Cell[]): Kappa {
  const total = sum(cells.map(({ count }) => count));
  if (total === 0) return { count: 0, agreement: 0, ...UNCERTAIN };
  const [rows, columns] = [new Map<string, number>(), new Map<string, number>()];
  for (const { row, column, count } of cells) {
    rows.set(row, (rows.get(row) ?? 0) + count);
    columns.set(column, (columns.get(column) ?? 0) + count);
  }
  const shareOf = (counts: ReadonlyMap<string, number>, category: string) =>
    (counts.get(category) ?? 0) / total;
  const same = cells.filter(({ row, column }) => row === column);
  const observed = sum(same.map(({ count }) => count / total));
  const expected = sum([...rows.keys()].map((each) => shareOf(rows, each) * shareOf(columns, each)));
  if (1 - expected < Number.EPSILON * 8) return { count: total, agreement: observed, ...UNCERTAIN };
  const kappa = (observed - expected) / (1 - expected);
  const terms = cells.map(({ row, column, count }) =>
    row === column
      ? (count / total) * (1 - (shareOf(rows, row) + shareOf(columns, row)) * (1 - kappa)) ** 2
      : (count / total) * (1 - kappa) ** 2 * (shareOf(columns, row) + shareOf(rows, column)) ** 2,
  );
  const variance = sum(terms) - (kappa - expected * (1 - kappa)) ** 2;
  const standardError = Math.sqrt(Math.max(0, variance) / total) / (1 - expected);
  return { count: total, agreement: observed, ...interval(kappa, standardError) };
}

/**
 * Fleiss' kappa of cases that were each rated by the same number of raters, not always the same ones (Fleiss 1971); its standard error by the
 * jackknife over the cases. `cases[i]` is what the raters of case i said.
 *
 * @throws RangeError when the cases have different numbers of raters, or fewer than two
 * @example fleissKappa([['b', 'b'], ['a', 'a'], ['a', 'b']]).agreement // 0.667
 */
export function fleissKappa(cases: readonly (readonly string[])[]): Kappa {
  const count = cases.length;
  if (count === 0) return { count: 0, agreement: 0, ...UNCERTAIN };
  const raters = cases[0]!.length;
  if (raters < 2 || cases.some(({ length }) => length !== raters))
    throw new RangeError('each case needs the same number of raters, two at least');
  const said = cases.map(timesOf);
  const totals = timesOf(cases.flat());
  const agreements = said.map(
    (times) => sum([...times.values()].map((n) => n * (n - 1))) / (raters * (raters - 1)),
  );
  const all = sum(agreements);
  const squares = sum([...totals.values()].map((n) => n ** 2));
  const kappa = fleissOf(all, squares, count, raters);
  const agreement = all / count;
  if (kappa === null) return { count, agreement, ...UNCERTAIN };
  const without = said.map((times, i) => {
    const fewer = [...times].map(
      ([category, n]) => totals.get(category)! ** 2 - (totals.get(category)! - n) ** 2,
    );
    return fleissOf(all - agreements[i]!, squares - sum(fewer), count - 1, raters);
  });
  const left = without.filter((value) => value !== null);
  if (count < 2 || left.length < count)
    return { count, agreement, kappa, standardError: null, interval: null };
  const mean = sum(left) / count;
  const standardError = Math.sqrt(((count - 1) / count) * sum(left.map((value) => (value - mean) ** 2)));
  return { count, agreement, ...interval(kappa, standardError) };
}

function timesOf(answers: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const answer of answers) times.set(answer, (times.get(answer) ?? 0) + 1);
  return times;
}

/** @param squares the sum, over the categories, of how often each was chosen, squared */
function fleissOf(agreements: number, squares: number, count: number, raters: number): number | null {
  if (count === 0) return null;
  const expected = squares / (count * raters) ** 2;
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
