import { describe, expect, it } from 'vitest';
import { ServedAliases } from './served-aliases.ts';

/** An alias of a model as another process moved it; which versions are warm here is said by the test. */
function setUp(ready: number[]) {
  const starts = new Map<number, PromiseWithResolvers<void>>();
  let warmed = 0;
  const aliases = new ServedAliases(
    {
      isReady: (_name, version) => ready.includes(version),
      prepare: (_name, version) => {
        starts.set(version, Promise.withResolvers());
        return starts.get(version)!.promise;
      },
    },
    () => warmed++,
  );
  const serve = (served: Record<string, number>, version: number, before: number | null) =>
    aliases.of(served, [{ name: 'risk', alias: 'champion', version, before }]).champion;
  return { serve, starts, warmed: () => warmed };
}

describe('the version that answers for an alias here', () => {
  it('is the promoted one at once, where it is warm or nothing answered before', () => {
    const { serve, starts } = setUp([2]);
    expect(serve({ champion: 1 }, 2, 1)).toBe(2);
    expect(serve({}, 3, null)).toBe(3);
    expect(serve({ champion: 4 }, 4, 3)).toBe(4);
    expect(starts.size).toBe(0);
  });

  it('is the one before until the promoted one is warm, which is started once', async () => {
    const ready: number[] = [];
    const { serve, starts, warmed } = setUp(ready);
    expect([serve({ champion: 1 }, 2, 1), serve({ champion: 1 }, 2, 1)]).toEqual([1, 1]);
    expect([...starts.keys()]).toEqual([2]);
    ready.push(2);
    starts.get(2)!.resolve();
    await expect.poll(warmed).toBe(1);
    expect(serve({ champion: 1 }, 2, 1)).toBe(2);
  });

  it('is the promoted one when it does not start: its callers are told', async () => {
    const { serve, starts, warmed } = setUp([]);
    serve({ champion: 1 }, 2, 1);
    starts.get(2)!.reject(new Error('no memory'));
    await expect.poll(warmed).toBe(1);
    expect(serve({ champion: 1 }, 2, 1)).toBe(2);
  });

  it('is the one that a rollback names, warm or not', () => {
    expect(setUp([]).serve({ champion: 2 }, 1, null)).toBe(1);
  });
});
