import { type Decimal, decimalText, parseDecimal, plus, unitsIn } from './windows/decimal.ts';
import type { Tile, TilePlan } from './windows/tile.ts';

/**
 * The numbers of a tile as Postgres keeps them: the first eight each in a column (an array costs 0.4 µs a tile to take apart and put together), the others in
 * one list. Sums are whole units of a fixed scale, exact in a double below 2^53, which costs 1 µs less than `numeric`; the part of a sum that is not (digits
 * beyond the scale, and what would have passed 2^53) is in `decimals` beside it, null as long as there is none. Both parts are added, so the sum is exact.
 */
export const NUMBER_COLUMNS = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'] as const;

/** Digits behind the point that whole units hold: of a sum up to 9·10^9, of a sum of squares up to 9·10^11. */
const SCALES = { sums: 6, squares: 4 } as const;
/** From here on doubles are not all whole numbers: 2^53. */
const UNITS_END = '9007199254740992';

const LISTS = ['counts', 'mins', 'maxs', 'sums', 'squares'] as const;
type List = (typeof LISTS)[number];

/** A number of a tile: where it is in memory and, by its index, in a row. */
interface Place {
  readonly list: List;
  readonly at: number;
}

interface Exact extends Place {
  readonly list: 'sums' | 'squares';
  /** Its index among all numbers. */
  readonly index: number;
}

function numbersOf({ sizes }: TilePlan): Place[] {
  return LISTS.flatMap((list) => Array.from({ length: sizes[list] }, (_, at) => ({ list, at })));
}

function exactOf(plan: TilePlan): Exact[] {
  return numbersOf(plan).flatMap(({ list, at }, index) =>
    list === 'sums' || list === 'squares' ? [{ list, at, index }] : [],
  );
}

/** A list of values per number of the tiles, and of what whole units cannot hold (undefined where nothing is left over). */
export function numberParameters(
  tiles: readonly Tile[],
  plan: TilePlan,
): { numbers: number[][]; decimals: (string | null)[][] | undefined } {
  let isWhole = true;
  const numbers = numbersOf(plan).map(({ list, at }) => {
    if (list !== 'sums' && list !== 'squares') return tiles.map((tile) => tile[list][at]!);
    return tiles.map((tile) => {
      const units = unitsIn(tile[list][at]!, SCALES[list]);
      if (units === undefined) isWhole = false;
      return units ?? 0;
    });
  });
  if (isWhole) return { numbers, decimals: undefined };
  const decimals = exactOf(plan).map(({ list, at }) =>
    tiles.map((tile) => {
      const sum = tile[list][at]!;
      return unitsIn(sum, SCALES[list]) === undefined ? decimalText(sum) : null;
    }),
  );
  return { numbers, decimals };
}

/** What a statement that adds tiles says of their numbers: columns, how they are made of what is sent, and how they are merged. */
export interface NumberClauses {
  readonly sent: readonly { name: string; type: string }[];
  readonly columns: readonly string[];
  readonly made: readonly string[];
  readonly sets: readonly string[];
}

export function numberClauses(plan: TilePlan, withDecimals: boolean): NumberClauses {
  const places = numbersOf(plan);
  const exact = exactOf(plan);
  const sent = places.map((_, index) => ({ name: `x${index}`, type: 'float8' }));
  const direct = places.slice(0, NUMBER_COLUMNS.length);
  const columns: string[] = direct.map((_, index) => NUMBER_COLUMNS[index]!);
  const made = direct.map((_, index) => `x${index}`);
  const merged = places.map(({ list }, index) => mergedNumber(list, index));
  const sets = direct.map((_, index) => `${NUMBER_COLUMNS[index]!} = ${merged[index]!}`);
  if (places.length > direct.length) {
    columns.push('floats');
    made.push(`array[${sent.slice(direct.length).map(({ name }) => name)}]`);
    sets.push(`floats = array[${merged.slice(direct.length).join(', ')}]`);
  }
  if (exact.length > 0) sets.push(`decimals = ${mergedDecimals(exact, withDecimals)}`);
  if (withDecimals) {
    sent.push(...exact.map((_, at) => ({ name: `d${at}`, type: 'text' })));
    columns.push('decimals');
    made.push(`array[${exact.map((_, at) => `d${at}::numeric`).join(', ')}]`);
  }
  return { sent, columns, made, sets };
}

function numberIn(row: 't' | 'excluded', index: number): string {
  const column = NUMBER_COLUMNS[index];
  return column ? `${row}.${column}` : `${row}.floats[${index - NUMBER_COLUMNS.length + 1}]`;
}

function mergedNumber(list: List, index: number): string {
  const before = numberIn('t', index);
  const added = numberIn('excluded', index);
  if (list === 'counts') return `${before} + ${added}`;
  if (list === 'mins') return `least(${before}, ${added})`;
  if (list === 'maxs') return `greatest(${before}, ${added})`;
  return `case when ${fits(index)} then ${before} + ${added} else ${added} end`;
}

function fits(index: number): string {
  return `abs(${numberIn('t', index)} + ${numberIn('excluded', index)}) < ${UNITS_END}`;
}

/** Units that would be too many go to the decimals whole. */
function mergedDecimals(exact: readonly Exact[], withDecimals: boolean): string {
  const parts = exact.map(({ list, index }, at) => {
    const carried = `${numberIn('t', index)}::bigint::numeric * 1e-${SCALES[list]}::numeric`;
    const added = withDecimals ? ` + coalesce(excluded.decimals[${at + 1}], 0)` : '';
    return `coalesce(t.decimals[${at + 1}], 0)${added} + case when ${fits(index)} then 0 else ${carried} end`;
  });
  const list = `array[${parts.join(', ')}]`;
  const allFit = exact.map(({ index }) => fits(index)).join(' and ');
  return withDecimals ? list : `case when ${allFit} then t.decimals else ${list} end`;
}

/** The numbers of a row. */
export type StoredNumbers = { [column in (typeof NUMBER_COLUMNS)[number]]: number | null } & {
  floats: number[] | null;
  decimals: (string | null)[] | null;
};

/** The lists of a tile from its row. */
export function tileNumbers(
  row: StoredNumbers,
  plan: TilePlan,
): Pick<Tile, 'counts' | 'mins' | 'maxs' | 'sums' | 'squares'> {
  const { counts, mins, maxs, sums, squares } = plan.sizes;
  let next = 0;
  const take = (count: number) => {
    const taken = new Array<number>(count);
    for (let at = 0; at < count; at++, next++) {
      const column = NUMBER_COLUMNS[next];
      taken[at] = column ? row[column]! : row.floats![next - NUMBER_COLUMNS.length]!;
    }
    return taken;
  };
  let exact = 0;
  const takeExact = (count: number, scale: number) =>
    take(count).map((units): Decimal => {
      const rest = row.decimals?.[exact++] ?? null;
      const whole = { units, scale };
      return rest === null ? whole : plus(whole, parseDecimal(rest));
    });
  return {
    counts: take(counts),
    mins: take(mins),
    maxs: take(maxs),
    sums: takeExact(sums, SCALES.sums),
    squares: takeExact(squares, SCALES.squares),
  };
}
