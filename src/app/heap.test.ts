import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const HEAP = pathToFileURL(join(import.meta.dirname, 'heap.ts')).href;

/** Major collections of a process that keeps 32 MB and lets 160 MB more become old, 16 MB at a time. */
async function majorCollections(heapGrowthPercent: number): Promise<number> {
  const script = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { setTimeout as pause } from 'node:timers/promises';
    import { growHeap } from '${HEAP}';
    growHeap({ heapGrowthPercent: ${heapGrowthPercent} });
    let count = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
    }).observe({ entryTypes: ['gc'] });
    const objects = (mb) => Array.from({ length: mb * 8192 }, (_, i) => ({ a: i, b: [i, i, i] })); // about 128 bytes each
    const kept = objects(32);
    globalThis.gc();
    await pause(10);
    count = 0;
    for (let round = 0; round < 40; round++) {
      const old = objects(4);
      globalThis.gc({ type: 'minor' });
      globalThis.gc({ type: 'minor' }); // who lives through two is old
      await pause(2);
      if (old.length === 0) break;
    }
    await pause(10);
    process.stdout.write(String(count + 0 * kept.length));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '-e',
    script,
  ]);
  return Number(stdout);
}

test('a heap that may grow by more is collected less often', async () => {
  const [little, much] = await Promise.all([majorCollections(10), majorCollections(300)]);
  expect(little).toBeGreaterThanOrEqual(3);
  expect(much).toBeLessThan(little / 2);
});
