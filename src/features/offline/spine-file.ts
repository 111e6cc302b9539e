import { AiosError } from '../../kernel/errors.ts';
import type { CompiledService } from '../service.ts';
import { joinKeyTypes } from '../service-views.ts';
import { type DuckDb, identifier, literal } from './duckdb.ts';
import { asWritten, type FileRelation, FOREVER_US, keysOf, micros } from './file-relation.ts';
import { invalidKey } from './file-source.ts';

/** The entities of a historical join as the table `given` of DuckDB: the columns of their file, the row's number `aios_row`, its time `aios_time` in microseconds. */
export interface GivenEntities {
  readonly rows: number;
  /** The columns of the file, in their order. */
  readonly columns: readonly string[];
  /** The one with the time of a row. */
  readonly timestamp: string;
}

interface EntityFile {
  path: string;
  /** The column with the time of a row; `timestamp` or `event_timestamp` when left out. */
  timestamp?: string | undefined;
}

const TIME_NAMES = ['timestamp', 'event_timestamp'];

/**
 * Reads the entities of a historical join.
 *
 * @throws AiosError `features.entities_unfit` when the file has no time or cannot be read, `features.missing_key`, `features.file_not_allowed`
 */
export async function readEntities(
  duck: DuckDb,
  service: CompiledService,
  file: EntityFile,
): Promise<GivenEntities> {
  try {
    return await read(duck, service, file);
  } catch (error) {
    if (!(error instanceof AiosError) || error.code !== 'features.offline_failed') throw error;
    const isThere = !error.message.includes('No files found');
    const detail = isThere ? error.message : `There is no file ${file.path}.`;
    throw new AiosError('features.entities_unfit', { detail, cause: error });
  }
}

async function read(
  duck: DuckDb,
  service: CompiledService,
  { path, timestamp }: EntityFile,
): Promise<GivenEntities> {
  const isCsv = !path.endsWith('.parquet');
  const columnsOf = async (from: string) =>
    new Map(
      (await duck.all<{ column_name: string; column_type: string }>(`describe select * from ${from}`)).map(
        (row): [string, string] => [row.column_name, row.column_type],
      ),
    );
  const parquet = `read_parquet(${literal(path)}, hive_partitioning = false)`;
  const csv = `read_csv(${literal(path)}, header = true, hive_partitioning = false, sample_size = -1`;
  let columns = await columnsOf(isCsv ? `${csv})` : parquet);
  const time = timeColumn(columns, timestamp);
  const keys = [...joinKeyTypes(service)].map(([key, type]): [string, string] => [
    key,
    type === 'int64' ? 'bigint' : 'varchar',
  ]);
  const missing = keys.map(([key]) => key).filter((key) => !columns.has(key));
  if (missing.length > 0)
    throw new AiosError('features.missing_key', {
      detail: `The entities have no column ${missing.join(', ')}, a join key of the service “${service.name}”.`,
    });
  // As SQL compares names of columns: without their case.
  const answered = new Set(service.names.map((name) => name.toLowerCase()));
  const clash = [...columns.keys()].filter((name) => answered.has(name.toLowerCase()));
  if (clash.length > 0)
    throw entitiesUnfit(`they have a column ${clash.join(', ')}, as the service has a feature`);
  let from = parquet;
  if (isCsv) {
    // What looks like a number is one, but for keys, where 007 is not 7, and for the time.
    const types = [...keys, [time, 'varchar']].map(([name, type]) => `${literal(name!)}: ${literal(type!)}`);
    from = `${csv}, types = {${types.join(', ')}})`;
    columns = await columnsOf(from);
  }
  const micro = micros(time, columns.get(time)!, isCsv);
  if (!micro) throw entitiesUnfit(`${time} is of type ${columns.get(time)}, no time`);
  const rows = await duck.run(
    `create temp table given as select row_number() over () as aios_row, ${wholeMs(micro)} as aios_time, * from ${from}`,
  );
  const [unfit] = await duck.all<{ endless: boolean }>(
    `select aios_time is not null as endless from given where aios_time is null or abs(aios_time) >= ${FOREVER_US} limit 1`,
  );
  if (unfit) throw entitiesUnfit(unfit.endless ? `a row has an infinite ${time}` : `a row has no ${time}`);
  return { rows, columns: [...columns.keys()], timestamp: time };
}

/** A vector is as of a millisecond, whichever door asks: microseconds, without what is finer, before 1970 too. */
function wholeMs(micro: string): string {
  return `(${micro}) - ((${micro}) % 1000 + 1000) % 1000`;
}

function timeColumn(columns: ReadonlyMap<string, string>, asked: string | undefined): string {
  const found = (asked === undefined ? TIME_NAMES : [asked]).find((name) => columns.has(name));
  if (found !== undefined) return found;
  throw entitiesUnfit(`they have no column ${asked ?? TIME_NAMES.join(' or ')}`);
}

function entitiesUnfit(reason: string): AiosError {
  return new AiosError('features.entities_unfit', { detail: `The entities: ${reason}.` });
}

/** Makes the table `spine` that a view over files is joined with: `names` are the columns of its join keys. @throws AiosError `features.invalid_key` */
export async function spineOf(
  duck: DuckDb,
  { view, keyTypes }: FileRelation,
  names: readonly string[],
  recordedByMs: number | undefined,
): Promise<void> {
  // An empty key names nobody, whichever door asks.
  const typed = keyTypes.map((type, at) => {
    const column = identifier(names[at]!);
    return view.keyTypes?.[view.joinKeys[at]!] === 'int64' ? `${column}::${type}` : asWritten(column, type);
  });
  const keys = keysOf(view).map(
    (key, at) => `${keyTypes[at] === 'varchar' ? `nullif(${typed[at]}, '')` : typed[at]} as ${key}`,
  );
  const cutoff = recordedByMs === undefined ? 'null::bigint' : `${recordedByMs * 1000}::bigint`;
  await duck
    .run(
      `create or replace temp table spine as select aios_row as idx, ${keys.join(', ')}, aios_time as t, ${cutoff} as r from given`,
    )
    .catch((error: unknown) => {
      throw invalidKey(view, error);
    });
}
