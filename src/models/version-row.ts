import type { JsonObject } from '../kernel/json.ts';
import type { ModelDataset } from './datasets.ts';
import { FILES_RUNTIME } from './kept-files.ts';
import type { ModelVersion } from './model-version.ts';
import type { Signature } from './signature.ts';

/** What of `model_versions` the registry keeps in memory. */
export const VERSION_COLUMNS =
  'name, version, runtime, digest, endpoint, fingerprint, size_bytes, signature, card, metadata, datasets, created_at, created_by, started_by';

export interface VersionRow {
  name: string;
  version: number;
  runtime: string;
  digest: string;
  endpoint: JsonObject | null;
  fingerprint: string;
  size_bytes: number;
  signature: Signature;
  card: JsonObject;
  metadata: JsonObject;
  datasets: ModelDataset[];
  created_at: number;
  created_by: string;
  started_by: string | null;
}

/** A version as the registry tells it, with what says that it is the same again. */
export function versionFromRow(row: VersionRow): ModelVersion & { fingerprint: string } {
  const {
    size_bytes: sizeBytes,
    created_at: createdAt,
    created_by: createdBy,
    started_by: startedBy,
    endpoint,
    ...rest
  } = row;
  const status = row.runtime === FILES_RUNTIME ? 'files' : 'ready';
  return { ...rest, ...(endpoint && { endpoint }), sizeBytes, createdAt, createdBy, startedBy, status };
}
