import type { ValueType } from '../view-documents.ts';
import type { FeatureValue } from '../windows/state.ts';
import { identifier, literal } from './duckdb.ts';
import { SQL_TYPES } from './file-relation.ts';

/** The type of a column that holds values of a type and a default of another: the narrowest that holds both. */
function widened(type: ValueType, otherwise: FeatureValue): ValueType {
  if (otherwise === null) return type;
  const isNumber = typeof otherwise === 'number';
  switch (type) {
    case 'int64':
    case 'timestamp':
      return isNumber && Number.isSafeInteger(otherwise) ? type : isNumber ? 'float64' : 'string';
    case 'float64':
      return isNumber ? type : 'string';
    default:
      return typeof otherwise === type ? type : 'string';
  }
}

/** The type of a column by its declaration, if it has one, and its values: the narrowest that holds all. */
export class ColumnType {
  #type: ValueType | undefined;

  constructor(declared: ValueType | undefined) {
    this.#type = declared;
  }

  note(value: FeatureValue): void {
    if (value === null) return;
    if (this.#type !== undefined) this.#type = widened(this.#type, value);
    else
      this.#type = typeof value === 'number' ? 'float64' : typeof value === 'boolean' ? 'boolean' : 'string';
  }

  /** A column that nothing declares and that has no value is of numbers. */
  get type(): ValueType {
    return this.#type ?? 'float64';
  }
}

/** A value in DuckDB as a column of a feature: a time, kept in milliseconds, becomes one. */
export function outputColumn(sql: string, name: string, type: ValueType, otherwise: FeatureValue): string {
  const column = widened(type, otherwise);
  const value = column === type ? sql : `${sql}::${SQL_TYPES[column]}`;
  const filled = otherwise === null ? value : `coalesce(${value}, ${literalOf(otherwise, column)})`;
  return `${column === 'timestamp' ? `make_timestamptz(${filled} * 1000)` : filled} as ${identifier(name)}`;
}

function literalOf(value: number | string | boolean, type: ValueType): string {
  const kept = type === 'timestamp' ? 'bigint' : SQL_TYPES[type];
  return `${literal(String(value))}::${kept}`;
}
