import { AiosError } from '../kernel/errors.ts';
import type { Queryable } from '../store/database.ts';
import { type Lane, Refused } from '../store/lane.ts';

/**
 * A gate for what people change, seldom: of two who saw the same, one changes it and the other is refused with `store.conflict` and looks again. One
 * statement each.
 *
 * @param change false where it is no longer as the item says that it was seen
 * @example const lane = seenLane<Change>('default mode of contracts', async (tx, item) => (await tx.query('update …', [item.before])).length > 0)
 */
export function seenLane<Item>(
  name: string,
  change: (tx: Queryable, item: Item) => Promise<boolean>,
): Lane<Item> {
  return {
    name,
    order: 32,
    gate: true,
    async write(tx, items) {
      const results: (Refused | undefined)[] = [];
      for (const item of items)
        results.push((await change(tx, item)) ? undefined : new Refused(new AiosError('store.conflict')));
      return results;
    },
  };
}
