import { digestOf } from '../kernel/canonical.ts';
import { parseDuration } from '../kernel/duration.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { EntityBody } from './entity.ts';
import type { OnlineRow } from './online-store.ts';
import { own } from './values.ts';
import type {
  BatchViewBody,
  FileSourceBody,
  PushViewBody,
  RowTimes,
  TableSourceBody,
  ValueType,
} from './view-documents.ts';
import type { FeatureValue } from './windows/state.ts';

/** The time that stands for `infinity`, as what holds for ever has it; its opposite for `-infinity`. The last one that JavaScript has. */
export const FOREVER_MS = 8_640_000_000_000_000;

interface RowFeature {
  readonly name: string;
  readonly type: ValueType;
  /** Its name in the source. */
  readonly column: string;
}

/** A version of a view over rows: of a table, of files, or of what is pushed. The newest row of an entity counts. */
export interface RowView {
  readonly name: string;
  readonly version: number;
  /**
   * What the online store keeps its rows under: of a batch view its name and what it means, which versions may share; of a push view what was pushed,
   * whatever its version.
   */
  readonly kept: string;
  readonly joinKeys: readonly string[];
  readonly keyTypes: EntityBody['types'];
  readonly features: readonly RowFeature[];
  /** How long a row counts after its time: at the end of it, too. */
  readonly ttlMs: number;
  /** How long before now vectors of the past may be asked for; undefined for the limit of the installation. */
  readonly retentionMs: number | undefined;
  /** False for a view that is for history only. */
  readonly isOnline: boolean;
  /** The name of what is pushed; undefined for a table and for files. */
  readonly push: string | undefined;
  readonly table: TableSourceBody | undefined;
  readonly files: FileSourceBody | undefined;
  /** The columns of the join keys, in their order. */
  readonly keyColumns: readonly string[];
  /** A null for each feature. */
  readonly nothing: readonly FeatureValue[];
}

export function compileRowView(
  version: number,
  body: BatchViewBody | PushViewBody,
  { joinKeys, types }: Pick<EntityBody, 'joinKeys' | 'types'>,
): RowView {
  const { name, ttl, retention, source, features } = body;
  const { keys = {}, online = true } = body as Partial<BatchViewBody>;
  return {
    name,
    version,
    kept: keptOf(body),
    joinKeys,
    keyTypes: types,
    features: Object.entries(features).map(([feature, { type, column }]) => ({
      name: feature,
      type,
      column: column ?? feature,
    })),
    ttlMs: ttl === undefined ? Number.POSITIVE_INFINITY : parseDuration(ttl),
    retentionMs: retention === undefined ? undefined : parseDuration(retention),
    isOnline: online,
    push: 'push' in source ? source.push : undefined,
    table: 'table' in source ? source : undefined,
    files: 'csv' in source || 'parquet' in source ? source : undefined,
    keyColumns: joinKeys.map((key) => keys[key] ?? key),
    nothing: Object.keys(features).map(() => null),
  };
}

/**
 * What the rows of a view are kept under. Of a batch view it is what it means: another description, owner or tag changes nothing of them.
 *
 * @example keptOf({ name: 'scores', entity: 'customer', source: { push: 'scores' }, features: {} }) // 'scores'
 */
export function keptOf(body: BatchViewBody | PushViewBody): string {
  if ('push' in body.source) return body.name;
  const { name, entity, source, keys = {}, ttl, retention, features } = body as BatchViewBody;
  const columns = Object.entries(features).map(([name, { type, column = name }]) => [name, [type, column]]);
  const named = Object.entries(keys).filter(([key, column]) => key !== column);
  const meaning = {
    ...{ entity, source, keys: Object.fromEntries(named), features: Object.fromEntries(columns) },
    ...{ ttl: ttl ?? null, retention: retention ?? null },
  };
  const digest = digestOf(meaning as unknown as JsonObject).slice('sha256:'.length);
  return `${name}@${digest.slice(0, 16)}`;
}

/** The values of a row that counts at a time; nothing of one that is older than the view's `ttl` or holds no more. */
export function rowValues(
  view: RowView,
  row: OnlineRow | undefined,
  timeMs: number,
): readonly FeatureValue[] {
  const counts =
    row !== undefined &&
    row.timeMs <= timeMs &&
    row.timeMs >= timeMs - view.ttlMs &&
    (row.validToMs === null || row.validToMs > timeMs);
  if (!counts) return view.nothing;
  if (row.decodedFor === view) return row.decoded!;
  const values = view.features.map(({ name }) => own(row.values, name) ?? null);
  row.decoded = values;
  row.decodedFor = view;
  return values;
}

/** Of a version of a batch view that is asked for and that no pass has brought online. */
export function firstPass({ name, version }: Pick<RowView, 'name' | 'version'>): AiosError {
  return new AiosError('features.first_pass', {
    detail: `Version ${version} of the view “${name}” waits for its first pass: aios features materialize ${name}.`,
  });
}

/** The columns of a batch view that say when a row counts. */
export function timesOf({ table, files }: RowView): RowTimes {
  return table ?? files!;
}

/** Where the rows of a batch view come from, as messages say it. */
export function sourceOf({ table, files }: RowView): string {
  return table ? `table ${table.table}` : `file ${files!.csv ?? files!.parquet}`;
}

/** @throws AiosError `features.no_cutoff` when a batch view does not say when its rows were written */
export function checkCreated(view: RowView): void {
  if (timesOf(view).created) return;
  throw new AiosError('features.no_cutoff', {
    detail: `The ${sourceOf(view)} of the view “${view.name}” has no “created” column.`,
  });
}

/** A source that is not what its view says. */
export function unfit(view: RowView, reason: string, cause?: unknown): AiosError {
  return new AiosError('features.source_unfit', {
    detail: `The ${sourceOf(view)} of the view “${view.name}”: ${reason}.`,
    cause,
  });
}

/** Columns that are told of a source: a row of data that is taken for the names of a CSV file is seen at once. */
const COLUMNS_TOLD = 12;

/** A source that lacks columns which its view names. */
export function withoutColumns(
  view: RowView,
  missing: readonly string[],
  found: readonly string[],
): AiosError {
  const told = found
    .slice(0, COLUMNS_TOLD)
    .map((name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name));
  const more = found.length > told.length ? `, and ${found.length - told.length} more` : '';
  return unfit(view, `it has no column ${missing.join(', ')}; it has ${told.join(', ') || 'none'}${more}`);
}
