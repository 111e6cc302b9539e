import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';

export interface LineageNode {
  id: string;
  kind: string;
  name: string;
  version?: string;
  type?: string;
  /** Edges from the node that was asked for; up is negative. */
  depth: number;
}

export interface LineageGraph {
  node: string;
  asOf: string | null;
  nodes: LineageNode[];
  edges: { from: string; to: string }[];
  truncated: boolean;
}

export type LineageDirection = 'up' | 'down' | 'both';

export const lineageQuery = (node: string, direction: LineageDirection, depth: number) =>
  queryOptions({
    queryKey: ['lineage', node, direction, depth],
    queryFn: () => get<LineageGraph>('/api/v1/lineage', { node, direction, depth, limit: 300 }),
    placeholderData: keepPreviousData,
  });
