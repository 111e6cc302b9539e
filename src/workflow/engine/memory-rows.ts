import type { RunAttribute } from './attributes.ts';
import type { RunAttempt } from './operation-store.ts';
import type { Entry, StoredRun } from './run-store.ts';

/** A run as the memory store keeps it. */
export interface Row extends StoredRun {
  worker: string | null;
  /** Entries by the number of their barrier. */
  barriers: Map<number, readonly Entry[]>;
  attributes?: readonly RunAttribute[];
  /** Its attempts before the present one. */
  earlier?: readonly { told: RunAttempt; entries: readonly Entry[] }[];
}

export function entriesOf(row: Row | undefined): Entry[] {
  const barriers = [...(row?.barriers ?? [])].sort(([a], [b]) => a - b);
  return structuredClone(barriers.flatMap(([, entries]) => entries));
}

export function stored({ worker: _, barriers: __, ...run }: Row): StoredRun {
  return structuredClone(run);
}
