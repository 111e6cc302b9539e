import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantizeWeights } from './weights.ts';

const CHANNELS = 3;
const weights = fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: CHANNELS, maxLength: 60 });

describe('weights of 8 bits', () => {
  it('are at most half a step from what they were, zero is zero, and each channel uses its range', () => {
    fc.assert(
      fc.property(weights, fc.boolean(), (given, isPerChannel) => {
        const channels = isPerChannel ? CHANNELS : 1;
        const channelOf = (index: number) => (isPerChannel ? index % CHANNELS : 0);
        const { data, scales } = quantizeWeights('w', given, channels, channelOf);
        for (const [i, value] of given.entries()) {
          const scale = scales[channelOf(i)]!;
          // Single precision keeps 24 bits of the scale, which is counted up to 127 times.
          expect(Math.abs(data[i]! * scale - value)).toBeLessThanOrEqual(scale * (0.5 + 2 ** -16));
          if (value === 0) expect(data[i]).toBe(0);
        }
        for (const scale of scales) expect(scale).toBeGreaterThan(0);
      }),
    );
  });

  it.each<[string, number[], number[]]>([
    ['all zero', [0, 0, -0], [0, 0, 0]],
    ['constant', [0.3, 0.3], [127, 127]],
    ['too small for a scale', [1e-45, 0], [0, 0]],
    ['of both signs', [-2, 0, 1], [-127, 0, 64]],
    ['the greatest number that there is', [3.4028234663852886e38, 0], [127, 0]],
  ])('%s', (_, given, expected) => {
    const { data, scales } = quantizeWeights('w', Float32Array.from(given), 1, () => 0);
    expect([...data]).toEqual(expected);
    expect(Number.isFinite(scales[0])).toBe(true);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('are refused when one is %d', (bad) => {
    expect(() => quantizeWeights('w', Float32Array.of(0, bad), 1, () => 0)).toThrowError(
      expect.objectContaining({ code: 'models.not_quantizable' }),
    );
  });
});
