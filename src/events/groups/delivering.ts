import type { Queryable } from '../../store/database.ts';
import type { Delivery } from '../consumer-definition.ts';
import { lockOffsets, moveOffsets } from '../group-offsets.ts';
import type { Share } from './batch.ts';
import type { Holding } from './batch-transaction.ts';

/**
 * Moves a sink's group over what was handed over, up to the first event of each partition that is to come again. A partition that was lost or moved
 * meanwhile stays where it is.
 *
 * @returns the shares as the group has passed them
 */
export async function passDelivered(
  tx: Queryable,
  shares: readonly Share[],
  delivery: Delivery | undefined,
  { group, leaseMs, epochOf }: Holding,
): Promise<Share[]> {
  const ends = shares.map((share) => {
    const undone = delivery?.undone.find(({ partition }) => partition === share.partition);
    return undone ? { ...share, next: undone.offset } : share;
  });
  const partitions = shares.map(({ partition }) => partition);
  const rows = await lockOffsets(tx, group, partitions, leaseMs);
  const held = ends.filter(({ partition, offset }) =>
    rows.some(
      (row) => row.partition === partition && row.log_offset === offset && row.epoch === epochOf(partition),
    ),
  );
  const passed = held.flatMap(({ events, next }) => events.filter(({ offset }) => offset < next));
  await delivery?.write(tx, passed);
  await moveOffsets(tx, group, held);
  return held.map((share) => ({ ...share, events: share.next > share.offset ? share.events : [] }));
}
