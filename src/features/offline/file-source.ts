import { AiosError } from '../../kernel/errors.ts';
import type { Queryable } from '../../store/database.ts';
import type { OnlineRow } from '../online-store.ts';
import type { KeyedRow, Page, RowSource, Wanted } from '../row-source.ts';
import { checkCreated, type RowView, sourceOf, timesOf } from '../row-view.ts';
import { typedValue } from '../values.ts';
import type { FeatureValue } from '../windows/state.ts';
import type { DuckDb } from './duckdb.ts';
import { asWritten, type FileRelation, fileError, fileRelation, keysOf } from './file-relation.ts';
import type { OfflineJobs, OpenJob } from './jobs.ts';
import { joinAsOf } from './point-in-time.ts';

type FileRow = { t: number; c: number | null; e: number | null } & Record<string, unknown>;
type Span = Pick<Page, 'fromMs' | 'toMs'>;

/** The newest rows of a view over a span of time: worked out once for a pass, whose pages are read from them. */
interface Newest {
  readonly of: string;
  readonly job: OpenJob;
  readonly relation: FileRelation;
  readonly entities: number;
  /** Closes it when no page was asked for in a while: its pass went on in another process, or failed. */
  readonly idle: NodeJS.Timeout;
}

const NEWEST_IDLE_MS = 60_000;

/** Batch views over CSV and Parquet files below the folders that the operator allows; each question reads the files as they are then. */
export class FileSources implements RowSource {
  readonly #jobs: OfflineJobs;
  #newest: Newest | undefined;

  constructor(jobs: OfflineJobs) {
    this.#jobs = jobs;
  }

  async history(view: RowView, wanted: readonly Wanted[]): Promise<(OnlineRow | undefined)[]> {
    if (wanted.some(({ asOf }) => asOf.recordedByMs !== undefined)) checkCreated(view);
    const rows = await this.#jobs.run(async (duck) => {
      const relation = await relationOf(duck, view, this.#jobs);
      await writeSpine(duck, relation, wanted);
      await joinFiles(duck, relation, { spine: 'spine', out: 'found', ttlUs: undefined });
      return duck.all<FileRow & { idx: number }>('select * from found');
    });
    const found = new Array<OnlineRow | undefined>(wanted.length);
    for (const row of rows) found[row.idx] = onlineRow(view, row);
    return found;
  }

  async page(_: Queryable, view: RowView, { after, countMax, ...span }: Page): Promise<KeyedRow[]> {
    const { job, relation } = await this.#newestOf(view, span);
    const keys = keysOf(view);
    const cursor = relation.keyTypes.map((type, at) => `$${at + 2}::${type}`);
    const later = after ? `where (${keys.join(', ')}) > (${cursor.join(', ')})` : '';
    const rows = await job.use((duck) =>
      duck.all<FileRow>(`select * from newest ${later} order by ${keys.join(', ')} limit $1`, [
        countMax,
        ...(after ?? []),
      ]),
    );
    if (rows.length < countMax) await this.close();
    return rows.map((row) => ({ ...onlineRow(view, row), keys: keys.map((key) => String(row[key])) }));
  }

  async count(_: Queryable, view: RowView, span: Span): Promise<number> {
    return (await this.#newestOf(view, span)).entities;
  }

  async close(): Promise<void> {
    const newest = this.#newest;
    this.#newest = undefined;
    clearTimeout(newest?.idle);
    await newest?.job.close();
  }

  async #newestOf(view: RowView, span: Span): Promise<Newest> {
    const of = JSON.stringify([view.name, view.version, span.fromMs, span.toMs]);
    if (this.#newest?.of === of) {
      this.#newest.idle.refresh();
      return this.#newest;
    }
    await this.close();
    const job = await this.#jobs.open();
    try {
      const { relation, entities } = await job.use(async (duck) => {
        const read = await relationOf(duck, view, this.#jobs);
        return { relation: read, entities: await writeNewest(duck, read, span) };
      });
      const idle = setTimeout(() => void this.close(), NEWEST_IDLE_MS).unref();
      this.#newest = { of, job, relation, entities, idle };
      return this.#newest;
    } catch (error) {
      await job.close();
      throw error;
    }
  }
}

/** The files of a view, as a relation. @throws AiosError `features.source_not_allowed`, `features.source_unfit` */
export async function relationOf(
  duck: DuckDb,
  view: RowView,
  jobs: Pick<OfflineJobs, 'locate'>,
): Promise<FileRelation> {
  let path: string;
  try {
    path = jobs.locate(view.files!.csv ?? view.files!.parquet!);
  } catch (error) {
    throw new AiosError('features.source_not_allowed', {
      detail: `The view “${view.name}” reads the ${sourceOf(view)}. ${(error as AiosError).message}`,
      cause: error,
    });
  }
  return fileRelation(duck, view, path);
}

/** `joinAsOf`, with what DuckDB says of a file as a fault of the view. @throws AiosError `features.source_unfit` */
export async function joinFiles(
  duck: DuckDb,
  relation: FileRelation,
  join: Parameters<typeof joinAsOf>[2],
): Promise<void> {
  await joinAsOf(duck, relation, join).catch((error: unknown) => {
    throw fileError(relation.view, error);
  });
}

/** The entities that came in or were closed in a span, with their newest rows at its end. @returns how many */
async function writeNewest(duck: DuckDb, relation: FileRelation, { fromMs, toMs }: Span): Promise<number> {
  const { view, sql } = relation;
  const keys = keysOf(view);
  const { created, validTo } = timesOf(view);
  const since = ['t', ...(created ? ['c'] : []), ...(validTo ? ['e'] : [])];
  const scope = [
    `t <= ${toMs * 1000}`,
    ...keys.map((key) => `${key} is not null`),
    ...(fromMs === undefined ? [] : [`(${since.map((name) => `${name} > ${fromMs * 1000}`).join(' or ')})`]),
  ];
  await duck
    .run(
      `create temp table spine as select row_number() over () as idx, *, ${toMs * 1000} as t, null::bigint as r
       from (select distinct ${keys.join(', ')} from ${sql} where ${scope.join(' and ')})`,
    )
    .catch((error: unknown) => {
      throw fileError(view, error);
    });
  await joinFiles(duck, relation, { spine: 'spine', out: 'found', ttlUs: undefined });
  const values = ['t', 'c', 'e', ...view.features.map((_, at) => `f${at}`)].map((name) => `n.${name}`);
  return duck.run(
    `create temp table newest as select ${[...keys.map((key) => `s.${key}`), ...values].join(', ')}
     from spine s join found n using (idx) order by ${keys.map((key) => `s.${key}`).join(', ')}`,
  );
}

/** @throws AiosError `features.invalid_key` */
async function writeSpine(
  duck: DuckDb,
  { view, keyTypes }: FileRelation,
  wanted: readonly Wanted[],
): Promise<void> {
  const rows = wanted.map(({ keys, asOf }, i) => ({
    i,
    ...Object.fromEntries(keys.map((key, at) => [`k${at}`, key])),
    t: asOf.timeMs * 1000,
    r: asOf.recordedByMs === undefined ? null : asOf.recordedByMs * 1000,
  }));
  const keys = keysOf(view);
  const shape = Object.fromEntries([
    ...keys.map((key) => [key, 'VARCHAR']),
    ...['i', 't', 'r'].map((name) => [name, 'BIGINT']),
  ]);
  await duck
    .run(
      `create temp table spine as select w.i as idx, ${keys.map((key, at) => `${asWritten(`w.${key}`, keyTypes[at]!)} as ${key}`).join(', ')}, w.t, w.r
       from (select unnest(from_json($1::json, $2)) as w)`,
      [JSON.stringify(rows), JSON.stringify([shape])],
    )
    .catch((error: unknown) => {
      throw invalidKey(view, error);
    });
}

/** What DuckDB says of a key that is not of the files' type. */
export function invalidKey(view: RowView, error: unknown): unknown {
  return error instanceof AiosError && error.code === 'features.offline_failed'
    ? new AiosError('features.invalid_key', {
        detail: `The view “${view.name}”: ${error.message}`,
        cause: error,
      })
    : error;
}

/** Of microseconds; those of `infinity` are past what a number tells apart. */
function msOf(us: number | bigint): number {
  return Math.ceil(Number(us) / 1000);
}

function onlineRow(view: RowView, row: FileRow): OnlineRow {
  const values: Record<string, FeatureValue> = {};
  for (const [at, { name, type }] of view.features.entries()) {
    const value = row[`f${at}`];
    values[name] = typedValue(
      `${view.name}.${name}`,
      type,
      typeof value === 'bigint' ? Number(value) : value,
    );
  }
  return {
    timeMs: msOf(row.t),
    createdMs: row.c === null ? 0 : msOf(row.c),
    validToMs: row.e === null ? null : msOf(row.e),
    values,
  };
}
