import type { ScoreOutputs } from '../hosting/score.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';

/** How far the answers of two versions to one request agree. */
export interface Agreement {
  readonly rows: number;
  readonly agreed: number;
  /** How many numbers were compared; those that are NaN on either side are not. */
  readonly differences: number;
  readonly differenceSum: number;
  readonly differenceMax: number;
}

type Element = number | bigint | boolean | string;

/** One output: its elements, so many to a row, and whether they are classes (labels, flags, texts) or amounts. */
interface Column {
  readonly name: string;
  readonly width: number;
  readonly isClass: boolean;
  at(index: number): Element;
}

const AMOUNTS: ReadonlySet<string> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);

/**
 * Compares two answers row by row. A row agrees when it has the same class: outputs that are no floating-point numbers are equal; where there are none,
 * the greatest of an output with several columns stands at the same place, and a single number lies within the tolerance.
 *
 * @example agreementOf({ score: 0.2 }, { score: 0.21 }, 0.05) // { rows: 1, agreed: 1, differences: 1, differenceSum: 0.01, differenceMax: 0.01 }
 */
export function agreementOf(
  a: readonly Tensor[] | ScoreOutputs,
  b: readonly Tensor[] | ScoreOutputs,
  tolerance: number,
): Agreement {
  const [left, right] = [columnsOf(a), columnsOf(b)];
  const pairs = left.columns.map((column) => [
    column,
    right.columns.find(({ name }) => name === column.name),
  ]);
  const { rows } = left;
  const same = rows === right.rows && pairs.every(([one, other]) => other && one!.width === other.width);
  if (!same) return { rows, agreed: 0, differences: 0, differenceSum: 0, differenceMax: 0 };
  const both = pairs as [Column, Column][];
  const classes = both.filter(([{ isClass }]) => isClass);
  const amounts = both.filter(([{ isClass }]) => !isClass);
  let agreed = 0;
  for (let row = 0; row < rows; row++) {
    const agrees =
      classes.length > 0
        ? classes.every(([one, other]) => isEqual(one, other, row))
        : amounts.every(([one, other]) => isAlike(one, other, row, tolerance));
    if (agrees) agreed++;
  }
  return { rows, agreed, ...differencesOf(amounts, rows) };
}

function differencesOf(amounts: readonly [Column, Column][], rows: number) {
  let differences = 0;
  let differenceSum = 0;
  let differenceMax = 0;
  for (const [one, other] of amounts) {
    for (let i = 0; i < rows * one.width; i++) {
      const difference = Math.abs(Number(one.at(i)) - Number(other.at(i)));
      if (!Number.isFinite(difference)) continue;
      differences++;
      differenceSum += difference;
      differenceMax = Math.max(differenceMax, difference);
    }
  }
  return { differences, differenceSum, differenceMax };
}

function isEqual(one: Column, other: Column, row: number): boolean {
  for (let i = row * one.width; i < (row + 1) * one.width; i++) if (one.at(i) !== other.at(i)) return false;
  return true;
}

function isAlike(one: Column, other: Column, row: number, tolerance: number): boolean {
  if (one.width > 1) return greatest(one, row) === greatest(other, row);
  const [a, b] = [Number(one.at(row)), Number(other.at(row))];
  return Object.is(a, b) || Math.abs(a - b) <= tolerance;
}

function greatest(column: Column, row: number): number {
  let best = row * column.width;
  for (let i = best + 1; i < (row + 1) * column.width; i++) if (column.at(i) > column.at(best)) best = i;
  return best;
}

function columnsOf(answer: readonly Tensor[] | ScoreOutputs): { rows: number; columns: Column[] } {
  if (!Array.isArray(answer)) return { rows: 1, columns: Object.entries(answer).map(columnOfResult) };
  const rows = answer[0]?.shape[0] ?? 1;
  const columns = answer.map((tensor: Tensor): Column => {
    const { name, datatype, data } = tensor;
    const at =
      data instanceof ByteStrings
        ? (index: number) => Buffer.from(data.element(index)).toString('latin1') // texts, or bytes that are none
        : (index: number) => elementOf(tensor, index)!;
    return { name, width: data.length / (rows || 1), isClass: !AMOUNTS.has(datatype), at };
  });
  return { rows, columns };
}

function columnOfResult([name, value]: [string, ScoreOutputs[string]]): Column {
  const values = Array.isArray(value) ? value : [value];
  const isClass = typeof values[0] === 'string' || typeof values[0] === 'boolean';
  return { name, width: values.length, isClass, at: (index) => values[index] ?? Number.NaN };
}
