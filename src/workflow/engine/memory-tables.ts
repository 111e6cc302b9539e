import type { Row } from './memory-rows.ts';
import type { Signal, Subscription } from './stored-run.ts';

/** The rows of a memory store. */
export interface MemoryTables {
  readonly runs: Map<string, Row>;
  readonly signals: Map<string, Signal>;
  readonly subscriptions: Map<string, Subscription>;
}
