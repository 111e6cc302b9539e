import { AiosError } from '../kernel/errors.ts';

const ATTEMPTS_MAX = 5; // each lost race means that another process made a change

/** Decides again what another process got ahead of: `work` reads, decides and commits behind a gate. */
export async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** True when a gate refused a change because another came first. */
export function isConflict(error: unknown): boolean {
  return error instanceof AiosError && error.code === 'store.conflict';
}
