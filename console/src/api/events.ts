import type { JsonObject } from './shapes.ts';

export interface LoggedEvent extends JsonObject {
  id: string;
  source: string;
  type: string;
  partition: number;
  offset: number;
  recordedAt: string;
}

export interface DeadLetter {
  id: string;
  group: string;
  position: { partition: number; offset: number };
  event: JsonObject & { id: string; type: string; source: string };
  problem: { code?: string; title?: string; detail?: string; hint?: string };
  attempts: number;
  failedAt: string;
  status: 'open' | 'replayed' | 'dismissed';
}
