import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortestFloat32 } from './float32.ts';

describe('the shortest form of a float', () => {
  it.each([
    [0.1, 0.1],
    [-1234.5, -1234.5],
    [16_777_216, 16_777_216],
    [3.402_823_466_385_288_6e38, 3.402_823_466_385_288_6e38], // an integer
    [1.401_298_464_324_817e-45, 1.4013e-45],
    [1 / 3, 0.333_333_34],
    [-0, -0],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [Number.NaN, Number.NaN],
  ])('of %d is %d', (value, short) => {
    expect(shortestFloat32(Math.fround(value))).toBe(short);
  });

  it('is the same float, and has nine digits at the most', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noInteger: true }), (value) => {
        const short = shortestFloat32(value);
        expect(Math.fround(short)).toBe(value);
        expect(short.toExponential().replace(/e.*|[-.]/g, '').length).toBeLessThanOrEqual(9);
      }),
    );
  });
});
