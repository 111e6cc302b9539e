import type { Queryable } from './database.ts';
import { allEnded } from './group-commit.ts';
import { type Lane, Refused, type Write } from './lane.ts';

/**
 * Lanes inside a transaction that somebody else commits, in their order. A gate cannot leave out a single item there: what it
 * refuses fails the transaction.
 */
export async function writeInTransaction(tx: Queryable, writes: readonly Write[]): Promise<() => void> {
  const byLane = new Map<Lane<unknown, unknown>, unknown[]>();
  for (const { lane, item } of writes) {
    const items = byLane.get(lane);
    if (items) items.push(item);
    else byLane.set(lane, [item]);
  }
  const lanes = [...byLane].sort(([a], [b]) => a.order - b.order);
  const results = await allEnded(lanes.map(([lane, items]) => lane.write(tx, items)));
  const refused = results.flat().find((result) => result instanceof Refused);
  if (refused) throw refused.error;
  return () => {
    for (const [index, [lane, items]] of lanes.entries()) lane.committed?.(items, results[index] ?? []);
  };
}
