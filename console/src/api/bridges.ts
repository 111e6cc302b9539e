import { queryOptions } from '@tanstack/react-query';
import { get, type Problem } from './request.ts';
import type { JsonObject, Page } from './shapes.ts';

/** A connection to a system that has events of its own, as it fares. */
export interface Bridge {
  name: string;
  /** Of its definition. */
  version: number;
  direction: 'source' | 'sink';
  protocol: string;
  /** waiting: no process runs it at the moment. */
  state: 'running' | 'paused' | 'failing' | 'waiting';
  passed: number;
  rejected: number;
  /** Of a source: its place on the other side. */
  position?: JsonObject;
  /** Whether it can be told to go on from another place. */
  movable: boolean;
  /** Of a sink: events of the log that it has not passed. */
  lag?: number;
  movedAt?: string;
  problem?: Problem;
  problemAt?: string;
  notice?: Problem;
  noticeAt?: string;
}

export function bridgePath(name: string): string {
  return `/api/v1/bridges/${encodeURIComponent(name)}`;
}

export const bridgesQuery = queryOptions({
  queryKey: ['bridges'],
  queryFn: () => get<Page<Bridge>>('/api/v1/bridges'),
  refetchInterval: 5_000,
});
