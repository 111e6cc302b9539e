import type { Queryable } from '../store/database.ts';
import { type Write, write } from '../store/lane.ts';
import { addCounts, type BothCounts, emptyCounts, SIDES, type Side } from './rollout-figures.ts';
import { countsLane } from './rollout-lanes.ts';
import type { ArmSums } from './sequential-test.ts';

/** What one process counted for a rollout since it was asked last. */
export type CountedSplit = { readonly id: string } & BothCounts;

const WINDOWS = 10; // of the guards' time, so that what is judged is at most a tenth older than asked for
const TOTAL = -1;

interface Window {
  readonly slot: number;
  readonly start: number;
  readonly counts: BothCounts;
}

interface Kept {
  readonly total: BothCounts;
  window: Window;
}

/**
 * The counts of this process as rows that only it writes: a ring of windows and the total, for each rollout. Writing a row again changes nothing, so
 * a lost answer does no harm; a process that ends loses at most what it had not written, and its rows go on counting.
 */
export class RolloutCounting {
  readonly #process: string;
  readonly #kept = new Map<string, Kept>();

  /** @param process an id that no other process has, or had */
  constructor(process: string) {
    this.#process = process;
  }

  /** The rows to write after more was counted. */
  add(
    counted: readonly CountedSplit[],
    windowSecondsOf: (id: string) => number | undefined,
    now: number,
  ): Write[] {
    return counted.flatMap((counts) => {
      const windowSeconds = windowSecondsOf(counts.id);
      if (windowSeconds === undefined) {
        this.#kept.delete(counts.id);
        return [];
      }
      const kept = this.#keptOf(counts.id, windowSeconds, now);
      for (const side of SIDES) {
        addCounts(kept.total[side], counts[side]);
        addCounts(kept.window.counts[side], counts[side]);
      }
      const { window, total } = kept;
      const row = { rollout: counts.id, process: this.#process };
      return [
        write(countsLane, { ...row, slot: window.slot, windowStart: window.start, counts: window.counts }),
        write(countsLane, { ...row, slot: TOTAL, windowStart: window.start, counts: total }),
      ];
    });
  }

  /** Forgets rollouts that have ended. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#kept.keys()) if (!ids.has(id)) this.#kept.delete(id);
  }

  #keptOf(id: string, windowSeconds: number, now: number): Kept {
    const widthMs = (windowSeconds * 1000) / WINDOWS;
    const turn = Math.floor(now / widthMs);
    const start = turn * widthMs;
    const known = this.#kept.get(id);
    if (known?.window.start === start) return known;
    const window = { slot: turn % (WINDOWS + 1), start, counts: newCounts() };
    const kept = { total: known?.total ?? newCounts(), window };
    this.#kept.set(id, kept);
    return kept;
  }
}

interface CountsRow {
  slot: number;
  window_start: number;
  counts: BothCounts;
}

/** What all processes counted for a rollout: in the guards' time, and since it began. */
export async function readCounts(
  db: Queryable,
  rollout: string,
  windowSeconds: number,
  now: number,
): Promise<{ recent: BothCounts; total: BothCounts }> {
  const rows = await db.query<CountsRow>(
    'select slot, window_start, counts from model_rollout_counts where rollout = $1',
    [rollout],
  );
  const [recent, total] = [newCounts(), newCounts()];
  const oldest = now - windowSeconds * 1000;
  for (const { slot, window_start, counts } of rows) {
    if (slot !== TOTAL && window_start + (windowSeconds * 1000) / WINDOWS <= oldest) continue;
    const to = slot === TOTAL ? total : recent;
    for (const side of SIDES) addCounts(to[side], counts[side]);
  }
  return { recent, total };
}

export function newCounts(): BothCounts {
  return { champion: emptyCounts(), challenger: emptyCounts() };
}

/** The outcomes of an A/B test so far, by the version that their keys were given to. */
export async function readArms(db: Queryable, rollout: string): Promise<Record<Side, ArmSums>> {
  const rows = await db.query<{ side: Side; count: number; sum: number; sum_of_squares: number }>(
    'select side, count, sum, sum_of_squares from model_rollout_arms where rollout = $1',
    [rollout],
  );
  const arm = (wanted: Side): ArmSums => {
    const row = rows.find(({ side }) => side === wanted);
    return { count: Number(row?.count ?? 0), sum: row?.sum ?? 0, sumOfSquares: row?.sum_of_squares ?? 0 };
  };
  return { champion: arm('champion'), challenger: arm('challenger') };
}
