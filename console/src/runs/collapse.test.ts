import { expect, it } from 'vitest';
import { collapse } from './collapse.ts';

it('gives work its length and shortens the days between', () => {
  const day = 86_400_000;
  const scale = collapse(
    [
      { from: 0, to: 10 },
      { from: day, to: day + 30 },
    ],
    { from: 0, to: day + 30 },
  );
  expect(scale.gaps).toHaveLength(1);
  expect(scale.gaps[0]!.ms).toBe(day - 10);
  const first = scale.at(10) - scale.at(0);
  const second = scale.at(day + 30) - scale.at(day);
  expect(second / first).toBeCloseTo(3, 6);
  expect(first + second).toBeGreaterThan(0.8);
});

it('never goes back and stays on the line, whatever the work', () => {
  const work = [
    { from: 5, to: 3 },
    { from: -20, to: 2 },
    { from: 900, to: 905 },
    { from: 901, to: 5_000 },
  ];
  const scale = collapse(work, { from: 0, to: 1_000 });
  let before = 0;
  for (let ms = -10; ms <= 1_010; ms += 1) {
    const at = scale.at(ms);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(1);
    before = at;
  }
  expect(scale.at(0)).toBe(0);
  expect(scale.at(1_000)).toBe(1);
});

it('a run that only waits fills its line', () => {
  const scale = collapse([], { from: 0, to: 60_000 });
  expect([scale.at(0), scale.at(60_000)]).toEqual([0, 1]);
});
