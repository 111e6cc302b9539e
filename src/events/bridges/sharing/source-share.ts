import type { Limits } from '../../../kernel/limits.ts';
import type { Database } from '../../../store/database.ts';
import { readMembers } from '../../group-offsets.ts';
import { assign } from '../../groups/assignment.ts';
import type { Membership } from '../../groups/membership.ts';

interface Dependencies {
  db: Database;
  /** What this process is to the consumer groups: it lives as long as its session does, or its lease where it stands still. */
  membership: Pick<Membership, 'id' | 'join' | 'leave'>;
  limits: Pick<Limits, 'consumerLeaseMs'>;
}

interface SourceRow {
  name: string;
  owner: string | null;
}

/** The processes that run sources, among the members of consumer groups. */
const GROUP = 'sources of bridges';
/**
 * Which sources of bridges this process runs: they are spread evenly over the processes that live, and those of one that was killed are free as soon as
 * its database session has ended. Whoever holds no more than its share keeps all of it.
 *
 * @example const { held, given } = await share.hold(['orders', 'parcels']); // end what was given, then share.release(given)
 */
export class SourceShare {
  readonly #dependencies: Dependencies;
  #isMember = false;
  /** Since when a source has been seen to be free, by `performance.now`. */
  #free = new Map<string, number>();
  /** Taken beyond the share, because nobody else did; kept until the members are others. */
  readonly #adopted = new Set<string>();
  #members = '';

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Takes what is free of this process' share, and renews what it has.
   *
   * @returns the sources that are held now, and those that are to be ended and released, as others are to run them
   */
  async hold(names: readonly string[]): Promise<{ held: ReadonlySet<string>; given: readonly string[] }> {
    if (names.length === 0) {
      await this.leave();
      return { held: new Set(), given: [] };
    }
    const { db, membership, limits } = this.#dependencies;
    if (!this.#isMember) await membership.join(GROUP);
    this.#isMember = true;
    const members = await readMembers(db, GROUP);
    if (!members.includes(membership.id)) await membership.join(GROUP); // it stood still for longer than its lease, or its connection was lost
    const rows = await db.query<SourceRow>(
      'select name, owner from bridges where name = any($1::text[]) and not is_paused order by name',
      [names],
    );
    const { give, take } = this.#share(members, rows);
    const wanted = rows.filter(
      ({ name, owner }) => take.has(name) || (owner === membership.id && !give.includes(name)),
    );
    // Whoever took one since that look keeps it.
    const held = await db.query<{ name: string }>(
      `update bridges b set owner = $3, lease_until = clock_timestamp() + $4 * interval '1 ms'
       from unnest($1::text[], $2::text[]) as seen(name, owner)
       where b.name = seen.name and b.owner is not distinct from seen.owner and not b.is_paused returning b.name`,
      [
        wanted.map(({ name }) => name),
        wanted.map(({ owner }) => owner),
        membership.id,
        limits.consumerLeaseMs,
      ],
    );
    return { held: new Set(held.map(({ name }) => name)), given: give };
  }

  /** Gives sources up, so that others take them at their next look. */
  async release(names: readonly string[]): Promise<void> {
    const { db, membership } = this.#dependencies;
    await db.query(
      'update bridges set owner = null, lease_until = null where name = any($1::text[]) and owner = $2',
      [names, membership.id],
    );
  }

  /** After the last source was released. */
  async leave(): Promise<void> {
    if (!this.#isMember) return;
    this.#isMember = false;
    await this.#dependencies.membership.leave(GROUP);
  }

  /** What is free for longer than a lease is taken beyond the share: whose turn it is does not know its protocol, in the middle of an update. */
  #share(members: readonly string[], rows: readonly SourceRow[]) {
    const { membership, limits } = this.#dependencies;
    const { id } = membership;
    const nowMs = performance.now();
    if (this.#members !== members.join()) this.#adopted.clear();
    this.#members = members.join();
    const shared = rows.filter(({ name, owner }) => owner !== id || !this.#adopted.has(name));
    const { give, take } = assign(
      id,
      members,
      shared.map(({ owner }, partition) => ({ partition, owner })),
    );
    const taken = new Set(take.map((index) => shared[index]!.name));
    const before = this.#free;
    this.#free = new Map();
    for (const { name, owner } of rows) {
      if (taken.has(name) || (owner !== null && members.includes(owner))) continue;
      const sinceMs = before.get(name) ?? nowMs;
      this.#free.set(name, sinceMs);
      if (nowMs - sinceMs < limits.consumerLeaseMs) continue;
      taken.add(name);
      this.#adopted.add(name);
    }
    return { give: give.map((index) => shared[index]!.name), take: taken };
  }
}
