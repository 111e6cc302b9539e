import { queryOptions } from '@tanstack/react-query';
import { get, type Problem } from './request.ts';
import type { Page } from './shapes.ts';

/** A historical join of files: entities at times in the past, with the features of a service. */
export interface FeatureJoin {
  id: string;
  service: string;
  entities: string;
  out: string;
  createdBefore?: string;
  status: 'running' | 'done' | 'failed' | 'canceled';
  /** So far; `total` once they are counted. */
  rows: number;
  total?: number;
  requestedBy: string;
  requestedAt: string;
  endedAt?: string;
  problem?: Problem;
}

export const JOINS_PATH = '/api/v1/features/joins';

/** The newest; asked again soon while one is under way. */
export const featureJoinsQuery = queryOptions({
  queryKey: ['features', 'joins'],
  queryFn: () => get<Page<FeatureJoin>>(JOINS_PATH),
  refetchInterval: ({ state }) =>
    state.data?.items.some(({ status }) => status === 'running') ? 1_000 : 10_000,
});
