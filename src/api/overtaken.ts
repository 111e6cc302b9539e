import { AiosError } from '../kernel/errors.ts';

/** How often a change is made again that another one came before. */
const CHANGE_TRIES = 10;

/**
 * Makes a change that reads what it changes, and again where another one came in between.
 *
 * @param change commits through a gate that refuses with `store.conflict`
 * @throws AiosError `store.conflict` when others always come first, and what the change throws
 * @example await untilFirst(async () => { const before = await mode(); await commit.commit([change(before, 'FULL')]); })
 */
export async function untilFirst<Result>(change: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await change();
    } catch (error) {
      const isOvertaken = error instanceof AiosError && error.code === 'store.conflict';
      if (!isOvertaken || tries === CHANGE_TRIES) throw error;
    }
  }
}
