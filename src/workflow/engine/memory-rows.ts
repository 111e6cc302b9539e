import type { RunAttribute } from './attributes.ts';
import type { RunAttempt } from './operation-store.ts';
import type { Entry, ListedRun, RunChange, StoredRun } from './stored-run.ts';

/** A barrier and those before it. Never changed: a row that is rolled back to still has its own, and a run of 10,000 effects copies nothing. */
export interface KeptBarrier {
  readonly seq: number;
  readonly entries: readonly Entry[];
  readonly before: KeptBarrier | undefined;
}

/** With one more; the same number again is the same barrier, written twice. */
export function withBarrier(
  before: KeptBarrier | undefined,
  seq: number,
  entries: readonly Entry[],
): KeptBarrier {
  for (let at = before; at && at.seq >= seq; at = at.before) if (at.seq === seq) return before!;
  return { seq, entries, before };
}

/** A run as the memory store keeps it. */
export interface Row extends StoredRun {
  worker: string | null;
  /** What its barriers wrote, the last one first. */
  barriers: KeptBarrier;
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
  const barriers: KeptBarrier[] = [];
  for (let at = row?.barriers; at; at = at.before) barriers.push(at);
  barriers.sort((a, b) => a.seq - b.seq);
  return structuredClone(barriers.flatMap(({ entries }) => entries));
}

export function listed(row: Row): ListedRun {
  const { origin: _, result: __, ...run } = stored(row);
  return run;
}

export function stored({ worker: _, barriers: __, ...run }: Row): StoredRun {
  return structuredClone(run);
}
