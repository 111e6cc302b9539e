import { queryOptions } from '@tanstack/react-query';
import { get, type Problem } from './request.ts';
import type { JsonObject, Page } from './shapes.ts';

export interface ColumnProfile {
  nulls: number;
  distinct: number;
  min?: number | string;
  max?: number | string;
  mean?: number;
  stddev?: number;
  histogram?: number[];
  top?: [value: string, count: number][];
}

export interface DatasetVersion {
  dataset: string;
  version: number;
  digest: string;
  sizeBytes: number;
  rows: number;
  columns: { name: string; type: string; role: string }[];
  query: JsonObject & {
    pins: { kind: string; name: string; version: string }[];
    createdBefore?: string;
    entities: { events?: { type: string; filter?: string }; rows?: number; file?: string };
  };
  profile: Record<string, ColumnProfile>;
  parts: Record<string, number> | null;
  models: { name: string; version: number }[];
  createdAt: string;
  createdBy: string;
  deletedAt?: string;
}

export interface Dataset {
  name: string;
  definitionVersion: number;
  definition: {
    description?: string;
    owner?: string;
    licence?: string;
    service?: string;
    views?: string[];
    retention?: string;
    intendedUses?: string[];
  };
  newest?: DatasetVersion;
}

export function datasetPath(name: string): string {
  return `/api/v1/datasets/${encodeURIComponent(name)}`;
}

export const datasetsQuery = queryOptions({
  queryKey: ['datasets'],
  queryFn: () => get<Page<Dataset>>('/api/v1/datasets'),
  refetchInterval: 10_000,
});

export const datasetQuery = (name: string) =>
  queryOptions({
    queryKey: ['datasets', name],
    queryFn: () => get<Dataset>(datasetPath(name)),
  });

export const datasetVersionsQuery = (name: string) =>
  queryOptions({
    queryKey: ['datasets', name, 'versions'],
    queryFn: () => get<Page<DatasetVersion>>(`${datasetPath(name)}/versions`),
    refetchInterval: 10_000,
  });

/** A version that was asked for. */
export interface DatasetBuild {
  id: string;
  dataset: string;
  status: 'running' | 'done' | 'failed' | 'canceled';
  /** So far; `total` where they are counted before. */
  rows: number;
  total?: number;
  requestedBy: string;
  requestedAt: string;
  problem?: Problem;
}

export const BUILDS_PATH = '/api/v1/dataset-builds';

/** The newest of a dataset; asked again soon while one is under way. */
export const datasetBuildsQuery = (name: string) =>
  queryOptions({
    queryKey: ['datasets', name, 'builds'],
    queryFn: () => get<Page<DatasetBuild>>(`${BUILDS_PATH}?dataset=${encodeURIComponent(name)}`),
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ status }) => status === 'running') ? 1_000 : 10_000,
  });
