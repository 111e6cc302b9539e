import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('every histogram in seconds has bounds of its own: the default ones are for milliseconds', () => {
  const histograms = globSync('src/**/*.ts')
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/createHistogram\([^;]*;/g)].map(([made]) => made),
    );
  const inSeconds = histograms.filter((made) => made.includes("unit: 's'"));
  expect(inSeconds.length).toBeGreaterThan(2);
  expect(inSeconds.filter((made) => !made.includes('explicitBucketBoundaries'))).toEqual([]);
});
