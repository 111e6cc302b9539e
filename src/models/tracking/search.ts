import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import { type Comparison, parseFilter, parseOrder } from './filter.ts';

/** Where a name of a filter is found: an SQL expression of one value. Names of people are parameters of the statement, never part of its text. */
interface Column {
  readonly sql: string;
  readonly type: 'text' | 'number';
  /** Around a condition on one of many values, such as the datasets of a run. */
  readonly any?: string;
}

/** @param bind adds a parameter to the statement; answers its placeholder */
export type ColumnOf = (entity: string, key: string, bind: (value: unknown) => string) => Column | undefined;

export interface Search {
  filter?: string | undefined;
  orderBy?: readonly string[] | undefined;
  pageToken?: string | undefined;
  maxResults?: number | undefined;
}

export type SearchLimits = Pick<Limits, 'trackingPageCountMax' | 'trackingFilterCountMax'>;

interface Searched {
  /** `select … from …`, whose rows have what the columns name. */
  readonly select: string;
  readonly columnOf: ColumnOf;
  /** Conditions besides the filter. */
  readonly where: (bind: (value: unknown) => string) => readonly string[];
  /** At the end of the order, so that pages neither repeat nor skip. */
  readonly lastOrder: string;
}

/**
 * One page of a search, computed by Postgres.
 *
 * @returns the rows, and the token of the next page where there is one
 * @throws AiosError `experiments.filter_invalid`
 * @example await searchPage(db, limits, searched, { filter: "metrics.auc > 0.8", maxResults: 100 })
 */
export async function searchPage<Row extends object>(
  db: Queryable,
  limits: SearchLimits,
  { select, columnOf, where, lastOrder }: Searched,
  { filter = '', orderBy = [], pageToken, maxResults = 1000 }: Search,
): Promise<{ rows: Row[]; nextPageToken: string | undefined }> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const comparisons = atMost(parseFilter(filter), limits);
  const named = orderBy.filter((text) => text.trim() !== '');
  const conditions = [...where(bind), ...comparisons.map((each) => condition(each, columnOf, bind))];
  const order = atMost(named, limits).map((text) => orderTerm(text, columnOf, bind));
  const count = Math.min(Math.max(1, maxResults), limits.trackingPageCountMax);
  const offset = offsetOf(pageToken);
  const rows = await db.query<Row>(
    `${select} where ${conditions.join(' and ') || 'true'}
     order by ${[...order, lastOrder].join(', ')} limit ${bind(count + 1)} offset ${bind(offset)}`,
    values,
  );
  const nextPageToken = rows.length > count ? tokenOf(offset + count) : undefined;
  return { rows: rows.slice(0, count), nextPageToken };
}

function atMost<T>(parts: readonly T[], { trackingFilterCountMax: countMax }: SearchLimits): readonly T[] {
  if (parts.length <= countMax) return parts;
  throw new AiosError('experiments.filter_invalid', {
    detail: `The search has ${parts.length} parts; ${countMax} are the most. A list of values is one part: key IN ('a', 'b').`,
    extensions: { limitName: 'trackingFilterCountMax', limit: countMax },
  });
}

/** The token of the page that begins after so many rows. */
function tokenOf(offset: number): string {
  return Buffer.from(JSON.stringify({ offset })).toString('base64url');
}

function offsetOf(token: string | undefined): number {
  if (!token) return 0;
  try {
    const { offset } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { offset: number };
    if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  } catch {
    // told below, as any other text that is no token
  }
  throw new AiosError('experiments.filter_invalid', {
    detail: 'The page token is none that a search has given.',
  });
}

function columnFor(
  { entity, key }: { entity: string; key: string },
  columnOf: ColumnOf,
  bind: (value: unknown) => string,
): Column {
  const column = columnOf(entity, key, bind);
  if (column) return column;
  throw new AiosError('experiments.filter_invalid', { detail: `There is no ${entity} “${key}” here.` });
}

function condition(comparison: Comparison, columnOf: ColumnOf, bind: (value: unknown) => string): string {
  const column = columnFor(comparison, columnOf, bind);
  const written = compared(comparison, column, bind);
  return column.any === undefined ? written : `exists (${column.any} where ${written})`;
}

function compared(
  { key, operator, value }: Comparison,
  { sql, type }: Column,
  bind: (value: unknown) => string,
): string {
  const cast = type === 'number' ? 'float8' : 'text';
  const typed = (each: string | number) => {
    if (type === 'text') return String(each);
    if (typeof each === 'number') return each;
    throw new AiosError('experiments.filter_invalid', {
      detail: `${key} is a number, and “${each}” is a text.`,
    });
  };
  switch (operator) {
    case 'IS NULL':
    case 'IS NOT NULL':
      return `${sql} ${operator.toLowerCase()}`;
    case 'IN':
    case 'NOT IN': {
      const all = bind((value as readonly (string | number)[]).map(typed));
      return operator === 'IN' ? `${sql} = any(${all}::${cast}[])` : `${sql} <> all(${all}::${cast}[])`;
    }
    case 'LIKE':
    case 'ILIKE':
      if (type === 'number')
        throw new AiosError('experiments.filter_invalid', {
          detail: `${key} is a number: ${operator} compares texts.`,
        });
      return `${sql} ${operator.toLowerCase()} ${bind(String(value))}::text`;
    default:
      return `${sql} ${operator} ${bind(typed(value as string | number))}::${cast}`;
  }
}

/** What has no value stands last, whichever the direction; NaN too. */
function orderTerm(text: string, columnOf: ColumnOf, bind: (value: unknown) => string): string {
  const order = parseOrder(text);
  const { sql, type, any } = columnFor(order, columnOf, bind);
  if (any !== undefined)
    throw new AiosError('experiments.filter_invalid', { detail: `“${text}” has many values in a run.` });
  const sorted = type === 'number' ? `nullif((${sql})::float8, 'NaN')` : sql;
  return `${sorted} ${order.isAscending ? 'asc' : 'desc'} nulls last`;
}
