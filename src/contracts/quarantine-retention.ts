import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import type { Committer } from '../store/group-commit.ts';
import { type Lane, Refused, type Write, write } from '../store/lane.ts';

/** What one transaction took out of quarantine. */
interface Pruned {
  readonly ids: readonly string[];
  readonly beforeMs: number;
}

/** Events that are over: resolved so long ago, or never resolved since they came so long ago. */
const OVER = 'coalesce(resolved_at, arrived_at) < to_timestamp($1::float8 / 1000)';

/** A gate: what another process has taken out meanwhile is told of there, and only there. */
const lane: Lane<Pruned> = {
  name: 'quarantine retention',
  order: 35,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { ids, beforeMs } of items) {
      const locked = await tx.query(
        `select from quarantined_events where ${OVER} and id = any($2::text[]) for update`,
        [beforeMs, ids],
      );
      const isWhole = locked.length === ids.length;
      if (isWhole) await tx.query('delete from quarantined_events where id = any($1::text[])', [ids]);
      const detail = 'Another process has taken these events out of quarantine.';
      results.push(isWhole ? undefined : new Refused(new AiosError('store.conflict', { detail })));
    }
    return results as Refused[];
  },
};

interface Dependencies {
  db: Database;
  commit: Committer;
  clock: Pick<Clock, 'now'>;
  limits: Pick<Limits, 'contractQuarantineRetentionMs' | 'contractQuarantinePruneMax'>;
  /** The record of what went, by contract. */
  record(entry: { counts: Record<string, number>; open: number; beforeMs: number; at: number }): Write;
}

/** Takes out of quarantine what has been there for too long; each step with its record in one transaction. */
export class QuarantineRetention {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @returns how many events went */
  async pass(): Promise<number> {
    let gone = 0;
    for (let went = await this.#step(); went > 0; went = await this.#step()) gone += went;
    return gone;
  }

  async #step(): Promise<number> {
    const { db, commit, clock, limits, record } = this.#dependencies;
    const at = clock.now();
    const beforeMs = at - limits.contractQuarantineRetentionMs;
    const rows = await db.query<{ id: string; contract: string; status: string }>(
      `select id, contract, status from quarantined_events where ${OVER} order by arrived_at, id limit $2`,
      [beforeMs, limits.contractQuarantinePruneMax],
    );
    if (rows.length === 0) return 0;
    const counts: Record<string, number> = {};
    for (const { contract } of rows) counts[contract] = (counts[contract] ?? 0) + 1;
    const open = rows.filter(({ status }) => status === 'open').length;
    const ids = rows.map(({ id }) => id);
    await commit.commit([write(lane, { ids, beforeMs }), record({ counts, open, beforeMs, at })]);
    return rows.length;
  }
}
