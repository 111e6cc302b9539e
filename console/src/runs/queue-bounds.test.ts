import { expect, it } from 'vitest';
import { boundsOf } from './queue-bounds.ts';

it('says what a queue holds its runs to', () => {
  expect(boundsOf({ concurrency: 8, perKey: 1, rate: { limit: 100, period: 'PT1M' } })).toBe(
    '8 at once · 1 of a key · 100 in PT1M · keys take turns',
  );
  expect(boundsOf({ perWorker: 2, hold: 'whole' })).toBe('2 in a process · slots are kept while runs wait');
  expect(boundsOf({})).toBe('no bounds');
  expect(boundsOf(undefined)).toMatch(/workers/);
});
