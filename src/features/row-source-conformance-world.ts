import type { Queryable } from '../store/database.ts';
import type { KeyedRow, RowSource, Wanted } from './row-source.ts';
import { compileRowView, type RowView, rowValues } from './row-view.ts';
import type { BatchViewBody, ValueType } from './view-documents.ts';

export type ColumnType = 'text' | 'bigint' | 'double precision' | 'boolean' | 'timestamptz' | 'timestamp';

/** Rows as texts, null for nothing; each source keeps them in its own way. */
export interface GivenRows {
  name: string;
  columns: Record<string, ColumnType>;
  keys: readonly string[];
  rows: readonly (readonly (string | null)[])[];
}

export interface SourceUnderTest {
  readonly source: RowSource;
  readonly tx: Queryable;
  /** Puts rows where the source finds them, in the place of those of that name. @returns what a view names it by */
  put(given: GivenRows): Promise<BatchViewBody['source']>;
}

export const PRICES = {
  sku: 'text',
  at: 'timestamptz',
  written: 'timestamptz',
  price: 'double precision',
  stock: 'bigint',
  listed: 'timestamptz',
  active: 'boolean',
  label: 'text',
} as const;

const FEATURES = {
  price: { type: 'float64' },
  stock: { type: 'int64' },
  listed: { type: 'timestamp' },
  active: { type: 'boolean' },
  label: { type: 'string' },
} as const;

export const HELD = {
  customer: 'bigint',
  valid_from: 'timestamp',
  valid_to: 'timestamp',
  plan: 'text',
} as const;

/** A key, a time and a cut-off. */
export type Asker = readonly [string | null, number, (number | undefined)?];

export const time = (ms: number) => new Date(ms).toISOString();

export class World {
  test!: SourceUnderTest;

  async view(
    given: GivenRows,
    more: Partial<BatchViewBody['source']>,
    features: Record<string, { type: ValueType; column?: string }>,
    { ttl, types }: { ttl?: string; types?: Record<string, 'int64' | 'string'> } = {},
  ): Promise<RowView> {
    const source = { ...(await this.test.put(given)), ...more } as BatchViewBody['source'];
    const body: BatchViewBody = { name: given.name, entity: 'e', source, features, ...(ttl ? { ttl } : {}) };
    return compileRowView(1, body, { joinKeys: [...given.keys], ...(types ? { types } : {}) });
  }

  prices(name: string, rows: GivenRows['rows'], ttl?: string): Promise<RowView> {
    return this.view(
      { name, columns: PRICES, keys: ['sku'], rows },
      { timestamp: 'at', created: 'written' },
      FEATURES,
      ttl ? { ttl } : {},
    );
  }

  /** The vectors of entities at times, with a cut-off where one is given. */
  async past(view: RowView, ...asked: readonly Asker[]) {
    const rows = await this.test.source.history(view, asked.map(wanted));
    return asked.map(([, timeMs], index) => [...rowValues(view, rows[index], timeMs)]);
  }

  /** All pages of a span. */
  async pages(view: RowView, span: { fromMs?: number; toMs: number }, countMax: number) {
    const { source, tx } = this.test;
    const total = await source.count(tx, view, span);
    const rows: KeyedRow[] = [];
    for (;;) {
      const page = await source.page(tx, view, { ...span, after: rows.at(-1)?.keys, countMax });
      rows.push(...page);
      if (page.length < countMax) return { total, rows };
    }
  }
}

function wanted([key, timeMs, recordedByMs]: Asker): Wanted {
  return {
    keys: [key],
    entity: String(key),
    asOf: { timeMs, ...(recordedByMs === undefined ? {} : { recordedByMs }) },
  };
}
