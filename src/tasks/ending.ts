import type { Json } from '../kernel/json.ts';
import type { Person } from './candidates.ts';

export type Ending = { id: string; by: Person; atMs: number; minutes: number; contextDigest: string } & (
  | { action: 'complete'; result: Json }
  | { action: 'return'; message: string }
);
