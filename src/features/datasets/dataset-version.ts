import { digestOf } from '../../kernel/canonical.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { ListedViews } from '../projections.ts';
import { type CompiledService, type FeaturePin, pinsOf } from '../service.ts';
import type { DatasetProfile } from './column-profile.ts';
import type { DatasetColumn } from './columns.ts';
import type { DatasetBody, EntityEvents } from './dataset-kind.ts';
import type { RowFormat } from './entity-rows.ts';
import type { Snapshot } from './snapshot.ts';

/** What a version was made of: enough to make it again as long as the log and the tables hold what they held. */
export interface DatasetQuery {
  readonly service?: string;
  readonly views?: ListedViews['views'];
  readonly fullFeatureNames?: boolean;
  readonly pins: readonly FeaturePin[];
  readonly entities:
    | { readonly events: EntityEvents; readonly from?: string; readonly to?: string }
    | { readonly rows: number }
    | { readonly file: RowFormat };
  /** The cut-off: only what had been recorded by then counted. */
  readonly createdBefore?: string;
  /** When it was asked. */
  readonly asked: string;
}

/** An immutable snapshot of a dataset; times are milliseconds. */
export interface DatasetVersion {
  readonly dataset: string;
  readonly version: number;
  /** Of the definition of the dataset. */
  readonly definitionVersion: number;
  /** Of the Parquet file. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly rows: number;
  readonly columns: readonly DatasetColumn[];
  readonly query: DatasetQuery;
  readonly profile: DatasetProfile;
  /** Rows of each part, where the dataset is split. */
  readonly parts: Readonly<Record<string, number>> | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly deletedAt: number | null;
  readonly deletedBy: string | null;
  /** Versions of models that were trained on it. */
  readonly models: readonly { readonly name: string; readonly version: number }[];
}

/** Who did it, as the audit log names actors. */
export interface Actor {
  readonly kind: string;
  readonly id: string;
}

/** A change, for the audit log: its writes are committed with the change. */
export interface DatasetChange {
  readonly action: 'version-made' | 'version-deleted';
  readonly dataset: string;
  readonly version: number;
  readonly digest: string;
  readonly rows: number;
  readonly by: Actor;
  readonly at: number;
  readonly reason?: string;
}

/** Where entity rows come from, where the definition does not say it. */
export type EntitySource =
  | { readonly rows: readonly JsonObject[] }
  | { readonly file: { readonly content: AsyncIterable<Uint8Array>; readonly format: RowFormat } };

/** What of a request a query tells. */
interface AskedQuery {
  readonly source: BuildSource | null;
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly recordedByMs: number | null;
  readonly requestedAt: number;
}

export interface NewVersion {
  readonly name: string;
  /** Event times, the end exclusive. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly source?: EntitySource | undefined;
  /** Only what had been recorded by then counts. */
  readonly createdBeforeMs?: number | undefined;
  readonly by: Actor;
}

/** What a version is made of, told before it is made. */
export function queryOf(
  body: DatasetBody,
  service: CompiledService,
  { source, fromMs, toMs, recordedByMs, requestedAt }: AskedQuery,
): DatasetQuery {
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    ...(body.service === undefined ? {} : { service: body.service }),
    ...(body.views === undefined ? {} : { views: body.views }),
    ...(body.fullFeatureNames === undefined ? {} : { fullFeatureNames: body.fullFeatureNames }),
    pins: pinsOf(service),
    entities: source ?? {
      events: body.entities!.events,
      ...(fromMs === null ? {} : { from: iso(fromMs) }),
      ...(toMs === null ? {} : { to: iso(toMs) }),
    },
    ...(recordedByMs === null ? {} : { createdBefore: iso(recordedByMs) }),
    asked: iso(requestedAt),
  };
}

/** Two versions of one content are one, if they were made by the same versions of views, up to the same cut-off. */
export function fingerprintOf({ digest, columns }: Snapshot, { pins, createdBefore }: DatasetQuery): string {
  return digestOf({ digest, columns, pins, createdBefore: createdBefore ?? null } as unknown as Json);
}

/** What was sent with a request: rows, which are kept as JSON lines, or a file. */
export type BuildSource = { readonly rows: number } | { readonly file: RowFormat };
