import { infiniteQueryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { JsonObject, Page } from './shapes.ts';

interface AnsweredBy {
  model: string;
  version: number;
}

/** A request that was kept for the log of a model. */
export interface SampledRequest extends JsonObject {
  id: string;
  at: string;
  version: number;
  status: string;
  latencyMs: number;
  request: JsonObject;
  answer: JsonObject | null;
  error: (JsonObject & { code: string }) | null;
  answeredBy: (JsonObject & AnsweredBy) | null;
  caller: (JsonObject & { id: string }) | null;
  redacted: string[];
  truncated: boolean;
}

export function requestsPath(model: string): string {
  return `/api/v1/models/${encodeURIComponent(model)}/requests`;
}

export const modelRequestsQuery = (model: string, filters: { status: string | undefined }) =>
  infiniteQueryOptions({
    queryKey: ['model', model, 'requests', filters],
    queryFn: ({ pageParam }) =>
      get<Page<SampledRequest>>(requestsPath(model), { ...filters, cursor: pageParam, limit: 20 }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
    refetchInterval: 5_000,
  });
