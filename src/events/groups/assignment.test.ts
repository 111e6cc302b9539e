import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assign, type HeldPartition } from './assignment.ts';

const COUNT = 8;

/** Each member acts on what it sees; `order` is who looks first. A partition that another one took meanwhile is left to it. */
function round(
  partitions: HeldPartition[],
  members: readonly string[],
  order: readonly string[],
): HeldPartition[] {
  const seen = partitions;
  const next = new Map(partitions.map(({ partition, owner }) => [partition, owner]));
  for (const me of order) {
    const { give, take } = assign(me, members, seen);
    for (const partition of give) {
      expect(next.get(partition)).toBe(me);
      next.set(partition, null);
    }
    for (const partition of take) {
      const owner = seen.find((held) => held.partition === partition)!.owner;
      expect(owner === null || !members.includes(owner)).toBe(true);
      if (next.get(partition) === owner) next.set(partition, me);
    }
  }
  return [...next].map(([partition, owner]) => ({ partition, owner }));
}

describe('the assignment of partitions', () => {
  it('comes to an even share within two rounds, whoever held what, and then rests', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'), { minLength: 1 }),
        fc.array(fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'gone'), { nil: null }), {
          minLength: COUNT,
          maxLength: COUNT,
        }),
        (members, owners) => {
          let partitions: HeldPartition[] = owners.map((owner, partition) => ({ partition, owner }));
          partitions = round(partitions, members, members);
          partitions = round(partitions, members, members.toReversed());
          const counts = members.map((member) => partitions.filter(({ owner }) => owner === member).length);
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(COUNT);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          expect(round(partitions, members, members)).toEqual(partitions);
        },
      ),
    );
  });

  it('moves no more than it must when a member comes', () => {
    const before = Array.from({ length: COUNT }, (_, partition) => ({
      partition,
      owner: partition < 4 ? 'a' : 'b',
    }));
    expect(assign('a', ['a', 'b', 'c'], before)).toEqual({ give: [3], take: [] });
    expect(assign('b', ['a', 'b', 'c'], before)).toEqual({ give: [7], take: [] });
    expect(assign('c', ['a', 'b', 'c'], before)).toEqual({ give: [], take: [] });
    expect(assign('late', ['a', 'b', 'c'], before)).toEqual({ give: [], take: [] });
  });
});
