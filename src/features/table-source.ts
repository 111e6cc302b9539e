import { AiosError } from '../kernel/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import type { OnlineRow } from './online-store.ts';
import type { KeyedRow, Page, RowSource, Wanted } from './row-source.ts';
import { checkCreated, FOREVER_MS, type RowView, unfit, withoutColumns } from './row-view.ts';
import { typedValue } from './values.ts';
import type { FeatureValue } from './windows/state.ts';

/** What was found out about a table, as pieces of SQL. */
interface Statements {
  readonly history: string;
  readonly page: (isIncremental: boolean, isLater: boolean) => string;
  readonly count: (isIncremental: boolean) => string;
}

const KEY_TYPES = /^(text|character varying|character|uuid|smallint|integer|bigint|boolean)(\(|$)/;
const TIME_TYPES = /^(timestamp|date)/;
const FRACTIONS = /^(numeric|real|double)/;

/** Batch views over tables of the same database, in the schemas that the operator allows. */
export class TableSources implements RowSource {
  readonly #db: Database;
  readonly #schemas: readonly string[];
  readonly #statements = new WeakMap<RowView, Promise<Statements>>();

  constructor(db: Database, schemas: readonly string[]) {
    this.#db = db;
    this.#schemas = schemas;
  }

  async history(view: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]> {
    if (wanted.some(({ asOf }) => asOf.recordedByMs !== undefined)) checkCreated(view);
    const ask = async () =>
      this.#db.queryDynamic<OnlineRow & { index: number }>((await this.#of(view)).history, [
        wanted.map((_, index) => index),
        wanted.map(({ asOf }) => asOf.timeMs),
        wanted.map(({ asOf }) => asOf.recordedByMs ?? null),
        ...view.keyColumns.map((_, at) => wanted.map(({ keys }) => keys[at] ?? null)),
      ]);
    const rows = await ask()
      .catch((error: unknown) => {
        if (!isAnother(error)) throw error;
        this.#statements.delete(view); // the table is not the one that was looked at
        return ask();
      })
      .catch((error: unknown) => told(view, error, wanted));
    const found = new Array<OnlineRow | undefined>(wanted.length);
    for (const { index, ...row } of rows) found[index] = typedRow(view, row);
    return found;
  }

  async page(tx: Queryable, view: RowView, { fromMs, toMs, after, countMax }: Page): Promise<KeyedRow[]> {
    const { page } = await this.#of(view);
    const values = [toMs, countMax, ...(fromMs === undefined ? [] : [fromMs]), ...(after ?? [])];
    const rows = await tx
      .query<KeyedRow>(page(fromMs !== undefined, after !== undefined), values)
      .catch((error: unknown) => told(view, error));
    return rows.map((row) => ({ ...typedRow(view, row), keys: row.keys }));
  }

  async count(
    tx: Queryable,
    view: RowView,
    { fromMs, toMs }: Pick<Page, 'fromMs' | 'toMs'>,
  ): Promise<number> {
    this.#statements.delete(view); // a pass begins: the table may be another one than at the last
    const { count } = await this.#of(view);
    const values = fromMs === undefined ? [toMs] : [toMs, fromMs];
    const [row] = await tx
      .query<{ count: number }>(count(fromMs !== undefined), values)
      .catch((error: unknown) => told(view, error));
    return row!.count;
  }

  #of(view: RowView): Promise<Statements> {
    let statements = this.#statements.get(view);
    if (!statements) {
      statements = this.#inspect(view);
      statements.catch(() => this.#statements.delete(view)); // the table may be made, or allowed, later
      this.#statements.set(view, statements);
    }
    return statements;
  }

  async #inspect(view: RowView): Promise<Statements> {
    const source = view.table!;
    const [schema, table] = source.table.split('.') as [string, string];
    if (!this.#schemas.includes(schema)) {
      throw new AiosError('features.source_not_allowed', {
        detail: `The view “${view.name}” reads ${source.table}; AIOS_FEATURE_SCHEMAS allows ${this.#schemas.join(', ') || 'none'}.`,
      });
    }
    const found = await this.#db.query<{ name: string; type: string; number: number; kind: string }>(
      `select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, a.attnum as number, c.relkind as kind
       from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
       where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped`,
      [schema, table],
    );
    if (found.length === 0) throw unfit(view, 'there is no such table');
    const types = new Map(found.map(({ name, type }) => [name, type]));
    const { timestamp, created, validFrom, validTo } = source;
    const columns = [...view.keyColumns, ...view.features.map(({ column }) => column)];
    const times = [timestamp, created, validFrom, validTo].flatMap((name) => name ?? []);
    const missing = [...columns, ...times].filter((name) => !types.has(name));
    if (missing.length > 0) throw withoutColumns(view, missing, [...types.keys()]);
    const strange = view.keyColumns.filter((name) => !KEY_TYPES.test(types.get(name)!));
    if (strange.length > 0) throw unfit(view, `the key ${strange[0]} is of type ${types.get(strange[0]!)}`);
    const timeless = times.filter(
      (name) => !TIME_TYPES.test(types.get(name)!) && types.get(name) !== 'bigint',
    );
    if (timeless.length > 0)
      throw unfit(view, `${timeless[0]} is of type ${types.get(timeless[0]!)}, no time`);
    if ('rpm'.includes(found[0]!.kind)) await this.#checkIndex(view, found);
    return statementsOf(view, types);
  }

  /** Each entity is looked up by its keys: without an index that would read the whole table for each. */
  async #checkIndex(view: RowView, found: readonly { name: string; number: number }[]): Promise<void> {
    const indexes = await this.#db.query<{ numbers: string }>(
      'select indkey::text as numbers from pg_index where indrelid = $1::regclass and indisvalid and indpred is null',
      [quoted(view.table!.table)],
    );
    const numbers = view.keyColumns.map((key) => found.find(({ name }) => name === key)!.number);
    const isCovered = indexes.some(({ numbers: text }) => {
      const leading = text.split(' ').slice(0, numbers.length).map(Number);
      return numbers.every((number) => leading.includes(number));
    });
    if (isCovered) return;
    const { timestamp, validFrom, table } = view.table!;
    const columns = [...view.keyColumns, timestamp ?? validFrom].join(', ');
    throw unfit(view, `no index begins with its keys; create index on ${table} (${columns})`);
  }
}

function statementsOf(view: RowView, types: ReadonlyMap<string, string>): Statements {
  const { timestamp, created, validFrom, validTo } = view.table!;
  const table = quoted(view.table!.table);
  const column = (name: string) => `t."${name}"`;
  const isTime = (name: string) => types.get(name) !== 'bigint';
  // Rounded up: a row of 12:00:00.0005 counts at 12:00:00.001 in either form.
  const finiteMs = (name: string) => `ceil(extract(epoch from ${column(name)}) * 1000)::bigint`;
  const msOf = (name: string) =>
    isTime(name)
      ? `case when isfinite(${column(name)}) then ${finiteMs(name)} when ${column(name)} < 'epoch' then ${-FOREVER_MS} when ${column(name)} > 'epoch' then ${FOREVER_MS} end`
      : column(name);
  const at = (name: string, ms: string) =>
    isTime(name) ? `timestamptz 'epoch' + ${ms} * interval '1 millisecond'` : ms;
  const time = timestamp ?? validFrom!;
  const values = `json_build_object(${view.features
    .map(
      ({ name, type, column: from }) =>
        `'${name}', ${columnValue(type, column(from), types.get(from)!, finiteMs(from))}`,
    )
    .join(', ')})`;
  const row = `${msOf(time)} as "timeMs", ${created ? `coalesce(${msOf(created)}, 0)` : '0::bigint'} as "createdMs",
    ${validTo ? `nullif(${msOf(validTo)}, ${FOREVER_MS})` : 'null::bigint'} as "validToMs", ${values} as "values"`;
  const end =
    validTo && `coalesce(${column(validTo)}, ${isTime(validTo) ? "'infinity'" : FOREVER_MS}) desc, `;
  const newest = `order by ${column(time)} desc, ${end ?? ''}${created ? `${column(created)} desc nulls last, ` : ''}${values}::text collate "C" desc limit 1`;
  const keys = view.keyColumns.map(column);
  const keyTypes = view.keyColumns.map((name) => types.get(name)!);
  const wanted = keys.map((_, index) => `k${index}`);
  // A cast alone reads `007` as 7, and cuts a text to the length of its column: the key of another entity.
  const cast = (index: number) => `w.k${index}::${keyTypes[index]}`;
  const given = keys
    .map((key, index) => `${key} = ${cast(index)} and ${cast(index)}::text = w.k${index}`)
    .join(' and ');
  const same = keys.map((key, index) => `${key} = w.k${index}`).join(' and ');
  const since = (ms: string) =>
    [time, created, validTo]
      .flatMap((name) => (name ? [`${column(name)} > ${at(name, ms)}`] : []))
      .join(' or ');
  const scope = (isIncremental: boolean, ms: string) =>
    `${column(time)} <= ${at(time, '$1::bigint')} and ${keys.map((key) => `${key} is not null`).join(' and ')}${isIncremental ? ` and (${since(ms)})` : ''}`;
  return {
    history: `select w.index, r.* from unnest($1::int[], $2::bigint[], $3::bigint[], ${wanted.map((_, i) => `$${i + 4}::text[]`).join(', ')})
        as w(index, time_ms, recorded_ms, ${wanted.join(', ')})
      cross join lateral (select ${row} from ${table} t where ${given} and ${column(time)} <= ${at(time, 'w.time_ms')}
        ${created ? `and (w.recorded_ms is null or ${column(created)} <= ${at(created, 'w.recorded_ms')})` : ''} ${newest}) r`,
    page(isIncremental, isLater) {
      const first = isIncremental ? 4 : 3;
      const after = `(${keyTypes.map((type, index) => `$${first + index}::${type}`).join(', ')})`;
      return `select array[${wanted.map((key) => `w.${key}::text`).join(', ')}] as keys, r.* from (
          select distinct ${keys.map((key, index) => `${key} as k${index}`).join(', ')} from ${table} t
          where ${scope(isIncremental, '$3::bigint')} ${isLater ? `and (${keys.join(', ')}) > ${after}` : ''}
          order by ${wanted.join(', ')} limit $2) w
        cross join lateral (select ${row} from ${table} t where ${same} and ${column(time)} <= ${at(time, '$1::bigint')} ${newest}) r
        order by ${wanted.map((key) => `w.${key}`).join(', ')}`;
    },
    count: (isIncremental) =>
      `select count(*) from (select distinct ${keys.join(', ')} from ${table} t where ${scope(isIncremental, '$2::bigint')}) k`,
  };
}

/** `schema.table` as SQL takes it whatever its letters; the document's schema lets nothing but letters, digits and `_` through. */
function quoted(table: string): string {
  return table
    .split('.')
    .map((name) => `"${name}"`)
    .join('.');
}

function columnValue(type: string, column: string, found: string, finiteMs: string): string {
  switch (type) {
    case 'boolean':
      return `${column}::boolean`;
    case 'int64': // 3.7 as it is, which is refused: a cast would make 4 of it
      return FRACTIONS.test(found)
        ? `case when ${column} in ('NaN', 'Infinity', '-Infinity') then null
            when ${column} = trunc(${column}) then to_json(${column}::bigint) else to_json(${column}) end`
        : `${column}::bigint`;
    case 'float64': // what JSON cannot hold is nothing
      return `case when ${column}::float8 in ('NaN', 'Infinity', '-Infinity') then null else ${column}::float8 end`;
    case 'timestamp':
      return TIME_TYPES.test(found)
        ? `case when isfinite(${column}) then ${finiteMs} end`
        : `${column}::bigint`;
    default:
      return `${column}::text`;
  }
}

function typedRow<Row extends OnlineRow>(view: RowView, row: Row): OnlineRow {
  const values: Record<string, FeatureValue> = {};
  for (const { name, type, column } of view.features) {
    try {
      values[name] = typedValue(column, type, row.values[name]);
    } catch (error) {
      throw unfit(view, (error as Error).message.replace(/\.$/, ''), error);
    }
  }
  return { timeMs: row.timeMs, createdMs: row.createdMs, validToMs: row.validToMs, values };
}

/** SQLSTATE 42: the table is not what it was. */
function isAnother(error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('42');
}

/** SQLSTATE 22: a value does not fit its type, of a key that was asked for or of the table. */
function told(view: RowView, error: unknown, wanted: readonly Wanted[] = []): never {
  const { code, message } = error as { code?: unknown; message: string };
  const isKey = wanted.some(({ keys }) => keys.some((key) => key !== null && message.includes(`"${key}"`)));
  if (isAnother(error) || (String(code).startsWith('22') && !isKey)) throw unfit(view, message, error);
  if (code === '22P02' || code === '22003') {
    throw new AiosError('features.invalid_key', {
      detail: `The view “${view.name}”: ${(error as Error).message}.`,
      cause: error,
    });
  }
  throw error;
}
