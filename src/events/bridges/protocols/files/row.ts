import type { Json } from '../../../../kernel/json.ts';

export type FileFormat = 'csv' | 'json-lines' | 'parquet';

/** A row of a file; one that cannot be read is its text, with the fault. */
export interface Row {
  readonly value: { readonly json: Json } | Uint8Array;
  /** Its line in the file, or its number in a file without lines, from 1. */
  readonly line: number;
  readonly fault?: string;
  /** Of its text; in a file without lines, of its JSON. */
  readonly bytes: number;
  /** Where the next row begins. */
  readonly next: RowPlace;
}

/** The line that comes next, and its byte where the file has lines. */
export interface RowPlace {
  readonly byte: number;
  readonly line: number;
}

export interface RowOptions {
  readonly format: FileFormat;
  /** Of CSV; a comma when left out. */
  readonly delimiter: string;
  /** Names of the columns of a CSV file without a header. */
  readonly columns?: readonly string[] | undefined;
  readonly rowBytesMax: number;
}

export const FILE_START: RowPlace = { byte: 0, line: 1 };
