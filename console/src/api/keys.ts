import { queryOptions } from '@tanstack/react-query';
import { pagesOf } from './queries.ts';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

/** Of a person or a program; the secret itself is told once, to whoever made it. */
export interface Key {
  id: string;
  name: string;
  roles: string[];
  groups: string[];
  createdAt: string;
  createdBy: string;
  lastUsedAt?: string;
  /** In force for good without one. */
  expiresAt?: string;
  revokedAt?: string;
  /** The training that it was made for. */
  trainingRun?: string;
}

export const KEYS_PATH = '/api/v1/keys';

/** Those in force; all of them. */
export const keysQuery = queryOptions({
  queryKey: ['keys', 'in-force'],
  queryFn: () => get<Page<Key>>(KEYS_PATH),
});

/** Those that were revoked or have expired, the last first. */
export const endedKeysQuery = pagesOf<Key>(['keys', 'ended'], KEYS_PATH, { state: 'ended', limit: 100 });
