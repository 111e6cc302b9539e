import type { MetricValue, TrainingRun } from '../api/experiments.ts';

/** As many colours can be told apart in one chart. */
export const CHOSEN_MAX = 8;
/** Chosen where nobody has chosen yet. */
const CHOSEN_FIRST = 5;
/** Of parameters, and of metrics: further ones are counted, not shown. */
const COLUMNS_MAX = 12;
const NOTHING = 'none';

export interface Order {
  part: 'params' | 'metrics';
  key: string;
  isDescending: boolean;
}

/**
 * An order as the API and MLflow write it; names that are no word are in quotes.
 *
 * @example orderText({ part: 'metrics', key: 'val loss', isDescending: true }) // 'metrics."val loss" DESC'
 */
export function orderText({ part, key, isDescending }: Order): string {
  const name = /^[\w./:-]+$/.test(key) ? key : `"${key.replaceAll('"', '""')}"`;
  return `${part}.${name} ${isDescending ? 'DESC' : 'ASC'}`;
}

/** The order of a table after a click on a column: metrics begin with the largest, parameters with the smallest. */
export function nextOrder(current: string | undefined, part: Order['part'], key: string): string {
  const first: Order = { part, key, isDescending: part === 'metrics' };
  const text = orderText(first);
  return current === text ? orderText({ ...first, isDescending: !first.isDescending }) : text;
}

/** The metric of an order, if it is one of these. */
export function orderedMetric(order: string | undefined, keys: readonly string[]): string | undefined {
  return keys.find((key) =>
    [true, false].some((isDescending) => orderText({ part: 'metrics', key, isDescending }) === order),
  );
}

export interface Columns {
  shown: string[];
  more: number;
}

/** The names that any of the runs has a value of, sorted. */
export function columnsOf(runs: readonly TrainingRun[], part: Order['part']): Columns {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run[part])))].sort();
  return { shown: keys.slice(0, COLUMNS_MAX), more: Math.max(0, keys.length - COLUMNS_MAX) };
}

/** The ids of the runs in the chart, as an address has them: without any, the first of the list. */
export function chosenRuns(address: string | undefined, runs: readonly TrainingRun[]): string[] {
  const ids = runs.map(({ id }) => id);
  if (address === undefined) return ids.slice(0, CHOSEN_FIRST);
  const wanted = new Set(address.split(','));
  return ids.filter((id) => wanted.has(id)).slice(0, CHOSEN_MAX);
}

export function toggledRun(chosen: readonly string[], id: string): string {
  const next = chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id];
  return next.join(',') || NOTHING;
}

export interface Line {
  id: string;
  /** Distinct among the lines. */
  name: string;
  /** `[step, value]`; NaN and infinities are gaps. */
  points: [step: number, value: number | null][];
}

/** What a chart of one metric shows: a line for each run. */
export function linesOf(
  runs: readonly Pick<TrainingRun, 'id' | 'name'>[],
  histories: readonly (readonly MetricValue[])[],
): Line[] {
  const counts = new Map<string, number>();
  for (const { name } of runs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return runs.map(({ id, name }, at) => ({
    id,
    name: counts.get(name) === 1 ? name : `${name} (${id.slice(0, 6)})`,
    points: (histories[at] ?? []).map(({ step, value }) => [step, typeof value === 'number' ? value : null]),
  }));
}
