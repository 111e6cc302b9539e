import { AiosError } from '../kernel/errors.ts';

/** A fault of one of the rows that are computed together, until somebody knows which row of the question that is. */
class RowFault extends Error {
  /** The first is 0. */
  readonly at: number;

  constructor(at: number, cause: unknown) {
    super((cause as Error).message, { cause });
    this.at = at;
  }
}

/** The fault of a row, of which `toldRow` makes what the caller is told. */
export function ofRow(at: number, cause: unknown): Error {
  return new RowFault(at, cause);
}

/** Computes rows one after the other: what fails is the fault of its row. */
export function rowByRow<T>(count: number, compute: (at: number) => T): T[] {
  const rows = new Array<T>(count);
  let at = 0;
  try {
    for (; at < count; at++) rows[at] = compute(at);
  } catch (error) {
    throw ofRow(at, error);
  }
  return rows;
}

/**
 * The error of a question of which one row failed: of several rows it says which, from 1 on, in `row`, too. Anything else as it is.
 *
 * @param place how many rows of the question are in front of those that were computed, and how many it has
 */
export function toldRow(error: unknown, { before, count }: { before: number; count: number }): unknown {
  if (!(error instanceof RowFault)) return error;
  const { at, cause } = error;
  if (count === 1 || !(cause instanceof AiosError)) return cause;
  const { code, message, issues, extensions } = cause;
  const row = before + at + 1;
  return new AiosError(code, {
    ...{ detail: `Row ${row}: ${message}`, issues: [...issues], extensions: { ...extensions, row }, cause },
  });
}
