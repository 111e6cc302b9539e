/** A partition as a look at the group finds it: who holds it, if anybody. */
export interface HeldPartition {
  readonly partition: number;
  readonly owner: string | null;
}

/** What one member has to do for the partitions to be shared evenly: give some up between two batches, and take free ones. */
export interface Assignment {
  readonly give: readonly number[];
  readonly take: readonly number[];
}

/**
 * The share of one member, from what every member of the group sees alike. Pure and sticky: whoever holds no more than its quota keeps
 * all of it, so that a member that comes or goes moves only as many partitions as it must. A partition of a living member is never
 * taken: it is free when its owner gave it up or is not among the living any more.
 *
 * @param members the living ones in an order that all of them agree on: the first `partitions % members` of them have one more
 * @example assign('b', ['a', 'b'], [{ partition: 0, owner: 'a' }, { partition: 1, owner: 'a' }]) // { give: [], take: [] }, until a gives 1 up
 */
export function assign(
  me: string,
  members: readonly string[],
  partitions: readonly HeldPartition[],
): Assignment {
  const held = new Map<string, number[]>(members.map((member) => [member, []]));
  const free: number[] = [];
  for (const { partition, owner } of partitions) {
    const of = owner === null ? undefined : held.get(owner);
    (of ?? free).push(partition);
  }
  const mine = held.get(me);
  if (!mine) return { give: [], take: [] };
  const least = Math.floor(partitions.length / members.length);
  const withOneMore = partitions.length % members.length;
  for (const [rank, member] of members.entries()) {
    const quota = least + (rank < withOneMore ? 1 : 0);
    const count = held.get(member)!.length;
    const part = free.splice(0, Math.max(0, quota - count));
    if (member === me) return { give: mine.slice(quota), take: part };
  }
  return { give: [], take: [] };
}
