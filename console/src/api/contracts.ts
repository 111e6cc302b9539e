import { queryOptions } from '@tanstack/react-query';
import { pagesOf } from './queries.ts';
import { get, type Problem } from './request.ts';
import type { Json, JsonObject, Page } from './shapes.ts';

interface ContractBody extends JsonObject {
  version: string;
  owner: string;
  schema: JsonObject;
}

export interface Contract {
  name: string;
  body: ContractBody & { description?: string; compatibility?: string };
  createdAt: string;
}

export interface Release {
  version: string;
  createdAt: string;
  createdBy: string;
  compatibility: string;
  deprecation?: { deprecatedAt: string; sunsetAt?: string; message: string };
  body: ContractBody & {
    description?: string;
    contentModel?: string;
    onInvalid?: string;
    team?: { username: string; name?: string; role?: string }[];
    slaProperties?: { property: string; value: Json; unit?: string; description?: string }[];
    quality?: JsonObject[];
  };
}

interface Use {
  kind: string;
  name: string;
  roles: string[];
  paths: string[];
}

export interface Quality {
  rules: { rule: string; status: 'passed' | 'failed'; judgedUntil: string }[];
  windows: { rule: string; start: string; rows: number; late: number; value?: number; status: string }[];
}

export interface Diff {
  from: string;
  to: string;
  changes: { path: string; before?: Json; after?: Json }[];
  findings: { code: string; direction: string; path: string; message: string; hint: string }[];
}

export interface Quarantined {
  id: string;
  contract: string;
  version: string;
  event: JsonObject & { id: string; type: string };
  problem: Problem;
  arrivedAt: string;
}

export function contractPath(name: string): string {
  return `/api/v1/contracts/${encodeURIComponent(name)}`;
}

export const contractsQuery = queryOptions({
  queryKey: ['contracts'],
  queryFn: () => get<Page<Contract>>('/api/v1/contracts'),
});

/** The mode of contracts that name none. */
export const defaultCompatibilityQuery = queryOptions({
  queryKey: ['contracts', 'default-compatibility'],
  queryFn: () => get<{ compatibility: string }>('/api/v1/contract-settings/compatibility'),
});

export const releasesQuery = (name: string) =>
  queryOptions({
    queryKey: ['contract', name, 'releases'],
    queryFn: () => get<Page<Release>>(`${contractPath(name)}/releases`),
  });

export const usesQuery = (name: string) =>
  queryOptions({
    queryKey: ['contract', name, 'uses'],
    queryFn: () => get<Page<Use>>(`${contractPath(name)}/uses`),
  });

export const contractQualityQuery = (name: string) =>
  queryOptions({
    queryKey: ['contract', name, 'quality'],
    queryFn: () => get<Quality>(`${contractPath(name)}/quality`, { limit: 48 }),
    refetchInterval: 10_000,
  });

export const diffQuery = (name: string, from: string, to: string) =>
  queryOptions({
    queryKey: ['contract', name, 'diff', from, to],
    queryFn: () => get<Diff>(`${contractPath(name)}/diff`, { from, to }),
  });

export const quarantineQuery = pagesOf<Quarantined>(['quarantine'], '/api/v1/quarantine', {
  status: 'open',
  limit: 100,
});
