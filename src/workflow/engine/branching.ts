import type { Json } from '../../kernel/json.ts';
import { Abandoned } from '../catalog/flow-errors.ts';
import type { Branch } from '../interpreter/branch.ts';
import { LiveBranch } from './branch.ts';
import type { Recorder } from './recorder.ts';

/** What parallel branches of a run do, each given its own branch. */
export type Bodies = readonly ((branch: Branch) => Promise<Json>)[];

interface Run {
  readonly recorder: Pick<Recorder, 'find' | 'record'>;
  /** The run was canceled in an earlier life, and is replayed to where it stood. */
  readonly canceling: boolean;
}

/** Runs the bodies until one resolves or rejects; which one is recorded, and the others are given up. */
export async function race(
  { recorder, canceling }: Run,
  key: string,
  parent: LiveBranch,
  bodies: Bodies,
): Promise<{ winner: number; value: Json }> {
  const chosen = recorder.find(key)?.n;
  const own = new LiveBranch(parent);
  if (chosen !== undefined) return { winner: chosen, value: await bodies[chosen]!(own) };
  const runners = bodies.map(() => new LiveBranch(own));
  if (canceling && own.abandoned) {
    // The clean-up inside comes before the clean-up around it.
    await Promise.allSettled(bodies.map((body, index) => body(runners[index]!)));
    throw new Abandoned();
  }
  let winner = -1;
  try {
    const value = await Promise.race(
      bodies.map(async (body, index) => {
        try {
          return await body(runners[index]!);
        } finally {
          if (winner === -1) {
            winner = index;
            // What ends because all of it is given up has won nothing.
            if (!own.abandoned) recorder.record({ k: key, n: index });
          }
        }
      }),
    );
    return { winner, value };
  } finally {
    for (const [index, runner] of runners.entries()) if (index !== winner) runner.abandon();
  }
}

/** Runs all bodies; the first that rejects gives up the others, and is recorded. */
export async function all(
  { recorder, canceling }: Run,
  key: string,
  parent: LiveBranch,
  bodies: Bodies,
): Promise<Json[]> {
  const runners = bodies.map(() => new LiveBranch(parent));
  // A replay must not go further in the other branches than the first time: only the one that failed is run.
  const failed = recorder.find(key)?.n;
  if (failed !== undefined) return [await bodies[failed]!(runners[failed]!)];
  if (canceling && parent.abandoned) {
    const ends = await Promise.allSettled(bodies.map((body, index) => body(runners[index]!)));
    if (ends.some(({ status }) => status === 'rejected')) throw new Abandoned();
    return ends.map((end) => (end as PromiseFulfilledResult<Json>).value);
  }
  let first = true;
  try {
    return await Promise.all(
      bodies.map(async (body, index) => {
        try {
          return await body(runners[index]!);
        } catch (error) {
          if (first && !(error instanceof Abandoned)) recorder.record({ k: key, n: index });
          first = false;
          throw error;
        }
      }),
    );
  } catch (error) {
    for (const runner of runners) runner.abandon();
    throw error;
  }
}
