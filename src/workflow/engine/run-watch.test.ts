import { expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import { MemoryRunStore } from './memory-store.ts';
import { RunWatch } from './run-watch.ts';

it('who waits for a run is told why it cannot be looked at, and nothing goes on looking', async () => {
  const looks: string[] = [];
  const store = Object.assign(new MemoryRunStore(), {
    find: async (runId: string) => {
      looks.push(runId);
      throw new AiosError('store.unavailable');
    },
  });
  const watch = new RunWatch({ store, pollMs: 1, isHeld: () => false, takesRuns: true });
  await expect(watch.waitFor('run_1', 60_000, false)).rejects.toMatchObject({ code: 'store.unavailable' });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(looks).toEqual(['run_1']);
});
