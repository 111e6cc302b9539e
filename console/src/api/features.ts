import { queryOptions } from '@tanstack/react-query';
import { get, type Problem } from './request.ts';
import type { Json, Page } from './shapes.ts';

interface Described {
  description?: string;
  owner?: string;
  tags?: Record<string, string>;
}

export interface FeatureView extends Described {
  name: string;
  version: number;
  kind: 'stream' | 'batch' | 'push' | 'on-demand';
  entity?: string;
  joinKeys: string[];
  status: 'ready' | 'building' | 'not-materialized';
  features: (Described & { name: string; type: string })[];
  newest?: string;
  lateEvents: number;
  services: string[];
  served: { version: number; status: FeatureView['status']; inForce: boolean; heldBy: string[] }[];
}

/** A view that a service lists: its name, or what is other about it there. */
export type ListedView =
  | string
  | {
      view: string;
      name?: string;
      joinKeyMap?: Record<string, string>;
      features?: string[];
      version?: number;
    };

export interface FeatureService extends Described {
  name: string;
  version: number;
  views: ListedView[];
  joinKeys: string[];
  /** Values that the request itself brings, with their types. */
  request: Record<string, string>;
  features: string[];
}

export interface Materialization {
  id: string;
  view: string;
  mode: 'full' | 'incremental';
  status: 'running' | 'done' | 'failed';
  to: string;
  entities: number;
  total?: number;
  /** Entities that went offline: the source has no row of them any more. */
  removed: number;
  requestedBy: string;
  requestedAt: string;
  problem?: Problem;
}

export interface Vectors {
  names: string[];
  rows: Json[][];
}

export const ONLINE_PATH = '/api/v1/features/online';

export function materializePath(view: string): string {
  return `/api/v1/feature-views/${encodeURIComponent(view)}/materialize`;
}

export const featureViewsQuery = queryOptions({
  queryKey: ['features', 'views'],
  queryFn: () => get<Page<FeatureView>>('/api/v1/features/views'),
  refetchInterval: 10_000,
});

export const featureServicesQuery = queryOptions({
  queryKey: ['features', 'services'],
  queryFn: () => get<Page<FeatureService>>('/api/v1/features/services'),
  refetchInterval: 10_000,
});

export const featureViewQuery = (name: string) =>
  queryOptions({
    queryKey: ['features', 'views', name],
    queryFn: () => get<FeatureView>(`/api/v1/features/views/${encodeURIComponent(name)}`),
    refetchInterval: 10_000,
  });

/** Asked again soon while one is under way. */
export const materializationsQuery = (view: string) =>
  queryOptions({
    queryKey: ['features', 'materializations', view],
    queryFn: () => get<Page<Materialization>>('/api/v1/features/materializations', { view }),
    refetchInterval: ({ state }) =>
      state.data?.items.some(({ status }) => status === 'running') ? 1_000 : 10_000,
  });
