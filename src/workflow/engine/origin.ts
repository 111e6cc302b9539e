import type { Json } from '../../kernel/json.ts';
import type { Origin } from './stored-run.ts';

export interface StartRequest {
  workflow: string;
  input?: Json;
  /** The same key, the same run, whoever asks first. */
  idempotencyKey?: string;
  /** Who starts it. */
  startedBy?: string;
}

/** Where a run comes from that is started with an input. @example originOf({ workflow: 'w', input: 1 }) // { input: 1 } */
export function originOf({ input = {}, startedBy }: StartRequest): Origin {
  return startedBy === undefined ? { input } : { input, startedBy };
}
