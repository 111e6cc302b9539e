import type { RunAttribute } from './attributes.ts';
import type { RunAttempt } from './operation-store.ts';
import type { Entry, RunChange, StoredRun } from './run-store.ts';

/** A run as the memory store keeps it. */
export interface Row extends StoredRun {
  worker: string | null;
  /** Entries by the number of their barrier. */
  barriers: Map<number, readonly Entry[]>;
  attributes?: readonly RunAttribute[];
  /** Its attempts before the present one. */
  earlier?: readonly { told: RunAttempt; entries: readonly Entry[] }[];
}

/** What was asked while the run was on its way out of memory is not lost: it is then paused, or due at once to be canceled. */
export function askedMeanwhile(
  requested: StoredRun['requested'],
  { status, worker, wakeAtMs, updatedAtMs }: Omit<RunChange, 'entries' | 'seq' | 'insert'>,
): Pick<StoredRun, 'status' | 'requested' | 'wakeAtMs'> {
  if (worker !== null || (status !== 'waiting' && status !== 'pending') || requested === null)
    return { status, requested: worker === null ? null : requested, wakeAtMs };
  if (requested === 'pause') return { status: 'paused', requested: null, wakeAtMs };
  return { status: 'waiting', requested, wakeAtMs: updatedAtMs };
}

export function entriesOf(row: Row | undefined): Entry[] {
  const barriers = [...(row?.barriers ?? [])].sort(([a], [b]) => a - b);
  return structuredClone(barriers.flatMap(([, entries]) => entries));
}

export function stored({ worker: _, barriers: __, ...run }: Row): StoredRun {
  return structuredClone(run);
}
