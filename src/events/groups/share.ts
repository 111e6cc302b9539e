import type { Database } from '../../store/database.ts';
import { type GroupPartition, givePartitions, readGroup, takePartitions } from '../group-offsets.ts';
import { assign } from './assignment.ts';
import type { Membership } from './membership.ts';

interface Dependencies {
  db: Database;
  group: string;
  /** Nothing where this process only looks on. */
  membership: Membership | undefined;
  /** A partition is not this process' any more. */
  onLost: (partition: number) => void;
}

/** The partitions of one group that are this process', each with the epoch that it was taken under. */
export class PartitionShare {
  readonly #dependencies: Dependencies;
  readonly #owned = new Map<number, number>();
  #isShared = false;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether other processes work on the group, too. */
  get isShared(): boolean {
    return this.#isShared;
  }

  owns(partition: number): boolean {
    return this.#owned.has(partition);
  }

  epoch(partition: number): number | undefined {
    return this.#owned.get(partition);
  }

  /** In their order. */
  partitions(): number[] {
    return [...this.#owned.keys()].sort((a, b) => a - b);
  }

  async join(): Promise<void> {
    await this.#dependencies.membership?.join(this.#dependencies.group);
  }

  lose(partition: number): void {
    if (this.#owned.delete(partition)) this.#dependencies.onLost(partition);
  }

  /**
   * Looks at the group, gives up what is over this process' share and takes what is free of it. No batch may be under way: cooperative means that
   * a partition moves between two of them.
   *
   * @returns the partitions as they stand; of those that were just taken, as they were taken
   */
  async look(): Promise<GroupPartition[]> {
    const { db, group, membership } = this.#dependencies;
    const { partitions, members } = await readGroup(db, group);
    for (const { partition, epoch, owner } of partitions) {
      if (this.#owned.has(partition) && this.#owned.get(partition) !== epoch) this.lose(partition);
      // It was taken, or not given up, by a statement whose answer was lost with its connection: nobody else takes what a living member has.
      if (membership && owner === membership.id) this.#owned.set(partition, epoch);
    }
    this.#isShared = members.some((member) => member !== membership?.id);
    if (!membership) return partitions;
    if (!members.includes(membership.id)) {
      await this.join(); // it stood still for longer than its lease, or its connection was lost
      return partitions;
    }
    const { give, take } = assign(membership.id, members, partitions);
    if (give.length > 0) await this.#give(give, membership);
    if (take.length === 0) return partitions;
    const free = partitions.filter(({ partition }) => take.includes(partition));
    const taken = new Map<number, GroupPartition>();
    for (const { partition, ...row } of await takePartitions(db, group, membership.id, free)) {
      this.#owned.set(partition, row.epoch);
      taken.set(partition, { ...partitions.find((known) => known.partition === partition)!, ...row });
    }
    return partitions.map((known) => taken.get(known.partition) ?? known);
  }

  /** Leaves everything to the others. */
  async leave(): Promise<void> {
    const { group, membership } = this.#dependencies;
    if (!membership) return;
    const owned = this.partitions();
    if (owned.length > 0) await this.#give(owned, membership);
    await membership.leave(group);
  }

  async #give(partitions: readonly number[], { id }: Membership): Promise<void> {
    for (const partition of partitions) this.lose(partition);
    await givePartitions(this.#dependencies.db, this.#dependencies.group, id, partitions);
  }
}
