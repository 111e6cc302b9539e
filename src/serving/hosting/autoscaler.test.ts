import { describe, expect, it } from 'vitest';
import { Autoscaler, type ScaleLook } from './autoscaler.ts';

const DOWN_MS = 60_000;
const RANGE = { min: 0, max: 3, queueDelayMs: 20 };
const LOOK: ScaleLook = { nowMs: 0, ready: 1, wanted: 1, queueDelayMs: 0, busy: 0, idleMs: 0 };

/** One look every half second; answers with what was wanted after each. */
function looks(given: readonly Partial<ScaleLook>[], range = RANGE, everyMs = 500): number[] {
  const autoscaler = new Autoscaler(DOWN_MS);
  return given.map((look, i) => autoscaler.look({ ...LOOK, nowMs: i * everyMs, ...look }, range));
}

const slow = { queueDelayMs: 25, busy: 1 };

describe('the number of replicas', () => {
  it.each<[string, readonly Partial<ScaleLook>[], number]>([
    ['stays after one slow look', [slow, {}, slow], 1],
    ['grows after two in a row', [slow, slow], 2],
    ['stays while the delay is at its target', [{ queueDelayMs: 20 }, { queueDelayMs: 20 }], 1],
    [
      'stays while the replica asked for last is starting',
      [
        { ...slow, wanted: 2 },
        { ...slow, wanted: 2 },
      ],
      2,
    ],
    [
      'stays at its most',
      [
        { ...slow, wanted: 3, ready: 3 },
        { ...slow, wanted: 3, ready: 3 },
      ],
      3,
    ],
    ['goes to none when nobody asked for long', [{ idleMs: DOWN_MS + 1 }], 0],
    ['stays at one while somebody asks', [{ idleMs: 100 }], 1],
    ['stays at none until a request comes', [{ wanted: 0, ready: 0, idleMs: 1e9 }], 0],
  ])('%s', (_, given, expected) => {
    expect(looks(given).at(-1)).toBe(expected);
  });

  it('shrinks when the others could have done the work all the time, and not before', () => {
    const quiet = { wanted: 3, ready: 3, busy: 0.4 }; // 1.2 of two replicas
    const enough = Array.from({ length: 5 }, () => quiet);
    expect(looks(enough, RANGE, DOWN_MS / 4)).toEqual([3, 3, 3, 3, 2]);
    expect(looks([...enough.slice(0, 3), { ...quiet, busy: 0.6 }, quiet], RANGE, DOWN_MS / 4).at(-1)).toBe(3);
    expect(looks(enough, { ...RANGE, min: 3 }, DOWN_MS / 4).at(-1)).toBe(3);
  });

  it('keeps the last replica where one is the least', () => {
    expect(looks([{ idleMs: 1e9 }], { ...RANGE, min: 1 })).toEqual([1]);
  });
});
