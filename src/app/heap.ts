import { setFlagsFromString } from 'node:v8';
import type { Limits } from '../kernel/limits.ts';

/**
 * Lets the old generation of this process grow by `heapGrowthPercent` between two major collections. V8 decides each time from how quickly objects become old: a server
 * whose objects nearly all die young gets the least, 10 %, and collected 55 MB every 2 s under load, each time with answers 40 ms late (decisions/0031). V8 reads the flag with every
 * collection, so that it may be set in a running process; near the limit of the heap it still grows by no more than half of what is left.
 *
 * @example growHeap({ heapGrowthPercent: 10 }) // the least that V8 itself takes
 */
export function growHeap({ heapGrowthPercent }: Pick<Limits, 'heapGrowthPercent'>): void {
  setFlagsFromString(`--heap-growing-percent=${heapGrowthPercent}`);
}
