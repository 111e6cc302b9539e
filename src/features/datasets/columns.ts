import type { Json } from '../../kernel/json.ts';
import type { ValueType } from '../view-documents.ts';

/** A column of a dataset; `entity` names a row (a join key or its time), `value` came with the entity rows. */
export interface DatasetColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly role: 'key' | 'timestamp' | 'value' | 'label' | 'feature' | 'split';
}

/** Types of values, and `json` for objects and lists. */
export type ColumnType = ValueType | 'json';

/** The types of DuckDB and Parquet; an instant is kept in microseconds, in UTC. */
export const SQL_TYPES: Readonly<Record<ColumnType, string>> = {
  boolean: 'BOOLEAN',
  int64: 'BIGINT',
  float64: 'DOUBLE',
  string: 'VARCHAR',
  timestamp: 'TIMESTAMPTZ',
  json: 'VARCHAR',
};

/**
 * Finds the type of a column whose type nobody declares: the narrowest that holds all its values. Numbers of a feature are `float64`, so
 * that a feature that happens to be whole has the same type in every version.
 *
 * @example const seen = new SeenType(); seen.add(1); seen.add(0.5); seen.type // 'float64'
 */
export class SeenType {
  readonly #isFeature: boolean;
  #type: ColumnType | undefined;

  constructor(isFeature = false) {
    this.#isFeature = isFeature;
  }

  add(value: Json): void {
    if (value === null) return;
    const type = this.#typeOf(value);
    if (this.#type === type) return;
    if (this.#type === undefined) this.#type = type;
    else if (isNumeric(this.#type) && isNumeric(type)) this.#type = 'float64';
    else this.#type = this.#type === 'json' || type === 'json' ? 'json' : 'string';
  }

  /** Of a column without any value too: text. */
  get type(): ColumnType {
    return this.#type ?? 'string';
  }

  #typeOf(value: Json): ColumnType {
    switch (typeof value) {
      case 'boolean':
        return 'boolean';
      case 'number':
        return Number.isSafeInteger(value) && !this.#isFeature ? 'int64' : 'float64';
      case 'string':
        return 'string';
      default:
        return 'json';
    }
  }
}

function isNumeric(type: ColumnType): boolean {
  return type === 'int64' || type === 'float64';
}
