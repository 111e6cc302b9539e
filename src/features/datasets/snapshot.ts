import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { keyText } from '../compiled.ts';
import type { KeyType } from '../entity.ts';
import type { Vectors } from '../feature-store.ts';
import type { SpineRow } from '../historical.ts';
import { type DuckDb, identifier, literal } from '../offline/duckdb.ts';
import { FOREVER_MS } from '../row-view.ts';
import type { CompiledService } from '../service.ts';
import { joinKeyTypes } from '../service-views.ts';
import type { FeatureValue } from '../windows/state.ts';
import { type ColumnType, type DatasetColumn, SeenType, SQL_TYPES } from './columns.ts';
import type { SplitBody } from './dataset-kind.ts';
import { partByHash, partByTime } from './split.ts';

/** What a snapshot is made of. */
export interface SnapshotRequest {
  readonly service: CompiledService;
  readonly rows: Iterable<readonly SpineRow[]> | AsyncIterable<readonly SpineRow[]>;
  readonly labels: readonly string[];
  readonly split: SplitBody | undefined;
}

/** A Parquet file that was written, and what it holds. */
export interface Snapshot {
  readonly path: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly rows: number;
  readonly columns: readonly DatasetColumn[];
}

interface Dependencies {
  readonly features: {
    historical(service: CompiledService, spine: readonly SpineRow[]): Promise<Pick<Vectors, 'rows'>>;
  };
  readonly limits: Pick<Limits, 'datasetRowsMax'>;
  /** Called with the rows that have been staged so far. */
  told(rows: number): void;
}

/** Rows of a row group: the unit in which readers of Parquet skip and stream. */
const ROW_GROUP_ROWS = 122_880;
/** Rows whose vectors are asked for together. */
const CHUNK_ROWS = 2_000;
/** Views over files read these once for each chunk: about 20 MB of rows are held for it; with 50,000 the process came to 1.2 GB for 1M rows × 20 columns. */
const FILE_CHUNK_ROWS = 20_000;
const TIME = 'timestamp';
const PART = 'split';

/**
 * Writes entity rows with their vectors as one Parquet file. The rows are ordered by time, keys and all other columns, and the writer's settings are
 * fixed: the same content gives the same bytes. Rows pass through a file of JSON lines, so that memory is bounded whatever their number.
 *
 * @throws AiosError `datasets.entity_rows`, `request.too_large`, and those of a historical query
 */
export async function writeSnapshot(
  duck: DuckDb,
  request: SnapshotRequest,
  dependencies: Dependencies,
): Promise<Snapshot> {
  const staged = join(duck.folder, 'rows.jsonl');
  const path = join(duck.folder, 'data.parquet');
  const staging = new Staging(request);
  await pipeline(Readable.from(staging.lines(request.rows, dependencies)), createWriteStream(staged));
  if (staging.count === 0) throw new AiosError('datasets.entity_rows', { detail: 'There is no entity row.' });
  const columns = staging.columns();
  const types = columns.filter(({ role }) => role !== 'split' || request.split?.by === 'hash');
  const declared = types.map(({ name, type }) => `${literal(name)}: ${literal(SQL_TYPES[type])}`);
  await duck.run(
    `create view staged as select * from read_json(${literal(staged)}, format = 'newline_delimited', columns = {${declared.join(', ')}})`,
  );
  const chosen = columns.map(({ name, role }) =>
    role === 'split' && request.split?.by === 'time'
      ? `${partByTime(request.split, identifier(TIME), 'staged')} as ${identifier(name)}`
      : identifier(name),
  );
  const order = columns
    .filter(({ role }) => role !== 'split')
    .toSorted((a, b) => Number(b.role === 'timestamp') - Number(a.role === 'timestamp'))
    .map(({ name }) => identifier(name));
  await duck.run(
    `copy (select ${chosen.join(', ')} from staged order by ${order.join(', ')}) to ${literal(path)}
     (format parquet, compression zstd, row_group_size ${ROW_GROUP_ROWS}, preserve_order true)`,
  );
  const sha256 = createHash('sha256');
  await pipeline(createReadStream(path), sha256);
  const { size: sizeBytes } = await stat(path);
  return { path, digest: `sha256:${sha256.digest('hex')}`, sizeBytes, rows: staging.count, columns };
}

/** The same rows in pieces of at least `count`, but for the last. */
async function* regrouped(rows: SnapshotRequest['rows'], count: number): AsyncGenerator<readonly SpineRow[]> {
  let held: SpineRow[] = [];
  for await (const chunk of rows) {
    held = held.length === 0 ? [...chunk] : held.concat(chunk);
    if (held.length < count) continue;
    yield held;
    held = [];
  }
  if (held.length > 0) yield held;
}

/** Entity rows and their vectors as lines of JSON, and the types that their values have. */
class Staging {
  count = 0;
  readonly #request: SnapshotRequest;
  readonly #joinKeys: ReadonlyMap<string, KeyType | undefined>;
  readonly #declared: ReadonlyMap<string, ColumnType>;
  readonly #features: ReadonlySet<string>;
  /** Of the entity rows, by name. */
  readonly #given = new Map<string, SeenType>();
  /** Of the features, in their order. */
  readonly #made: readonly SeenType[];

  constructor(request: SnapshotRequest) {
    this.#request = request;
    this.#joinKeys = joinKeyTypes(request.service);
    this.#declared = request.service.types;
    this.#features = new Set(request.service.names);
    this.#made = request.service.names.map(() => new SeenType(true));
  }

  async *lines(
    rows: SnapshotRequest['rows'],
    { features, told, limits: { datasetRowsMax: limit } }: Dependencies,
  ): AsyncGenerator<string> {
    const { service, split } = this.#request;
    const together = service.rows.some(({ view }) => view.files) ? FILE_CHUNK_ROWS : CHUNK_ROWS;
    for await (const chunk of regrouped(rows, together)) {
      this.count += chunk.length;
      if (this.count > limit) {
        throw new AiosError('request.too_large', {
          detail: `The dataset has more than ${limit} rows.`,
          extensions: { limitName: 'datasetRowsMax', limit },
        });
      }
      const { rows: vectors } = await features.historical(service, chunk);
      let text = '';
      for (const [index, row] of chunk.entries()) {
        const line = this.#line(row, vectors[index]!);
        if (split?.by === 'hash') line[PART] = partByHash(split, this.#joinKeys, row.keys);
        text += `${JSON.stringify(line)}\n`;
      }
      yield text;
      told(this.count);
    }
  }

  #line({ keys, asOf }: SpineRow, vector: readonly FeatureValue[]): JsonObject {
    const line = Object.create(null) as JsonObject; // a column may be called `__proto__`
    line[TIME] = isoOf(asOf.timeMs);
    for (const [name, value] of Object.entries(keys)) {
      let seen = this.#given.get(name);
      if (!seen) {
        seen = this.#admit(name);
        this.#given.set(name, seen);
      }
      seen.add(value);
      line[name] = this.#joinKeys.get(name) === 'int64' ? digitsOf(value) : value;
    }
    for (const [at, name] of this.#request.service.names.entries()) {
      const value = vector[at]!;
      this.#made[at]!.add(value);
      line[name] =
        this.#declared.get(name) === 'timestamp' && typeof value === 'number' ? isoOf(value) : value;
    }
    return line;
  }

  /** Names of columns are compared without their case, as SQL does. */
  #admit(name: string): SeenType {
    const { service, split } = this.#request;
    const isNamed = (other: string) => other.toLowerCase() === name.toLowerCase();
    const reason =
      name === '' || name.includes('\u0000')
        ? 'it has no name that a file can hold'
        : service.names.some(isNamed)
          ? `the service ${service.name} has a feature of that name`
          : isNamed(TIME) || [...this.#given.keys()].some(isNamed)
            ? 'another column has that name'
            : split && isNamed(PART)
              ? 'the part that a row comes into has that name'
              : undefined;
    if (reason)
      throw new AiosError('datasets.entity_rows', {
        detail: `The column “${name}” cannot be kept: ${reason}.`,
      });
    return new SeenType();
  }

  /** Keys, time, what came with them by name, features in the order of the service, the part. */
  columns(): DatasetColumn[] {
    const { service, labels, split } = this.#request;
    const others = [...this.#given.keys()].filter((name) => !this.#joinKeys.has(name)).sort();
    const absent = labels.filter((label) => !this.#given.has(label) && !this.#features.has(label));
    if (absent.length > 0)
      throw new AiosError('datasets.entity_rows', { detail: `No row has the label ${absent.join(', ')}.` });
    const given = (name: string): ColumnType => this.#given.get(name)?.type ?? 'string';
    return [
      ...[...this.#joinKeys].map(([name, type = given(name)]) => ({ name, type, role: 'key' as const })),
      { name: TIME, type: 'timestamp', role: 'timestamp' },
      ...others.map((name) => ({
        name,
        type: given(name),
        role: labels.includes(name) ? ('label' as const) : ('value' as const),
      })),
      ...service.names.map((name, at) => ({
        name,
        type: this.#declared.get(name) ?? this.#made[at]!.type,
        role: labels.includes(name) ? ('label' as const) : ('feature' as const),
      })),
      ...(split ? [{ name: PART, type: 'string' as const, role: 'split' as const }] : []),
    ];
  }
}

/** A key that is a number as one text; an empty one names nobody. */
function digitsOf(value: Json): string | null {
  return value === null || value === '' ? null : keyText(value, 'int64');
}

/** A time as DuckDB reads it: years past 9999 without the sign that ISO 8601 has before them; null for what is past the last one that JavaScript has. */
function isoOf(ms: number): string | null {
  return Math.abs(ms) <= FOREVER_MS ? new Date(ms).toISOString().replace(/^\+0*/, '') : null;
}
