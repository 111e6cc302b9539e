import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../kernel/limits.ts';
import { leafHash, TILE_WIDTH } from '../kernel/merkle.ts';
import { signCheckpoint } from '../kernel/signed-note.ts';
import type { Changes } from '../store/changes.ts';
import type { Database, Queryable } from '../store/database.ts';
import { Poller } from '../store/poller.ts';
import { appendLeaves, tiledTree } from './tree.ts';

interface Dependencies {
  db: Database;
  /** The name of the log; part of what is signed. */
  origin: string;
  privateKey: KeyObject;
  limits: Pick<Limits, 'auditBatchMax' | 'auditPauseMs' | 'auditPollMs' | 'auditDrainMs'>;
  changes?: Changes;
  onError?: (error: unknown) => void;
}

interface TreeRow {
  size: number;
  xid: string;
  seq: number;
}

// Any number, the same in every process: whoever holds it puts entries in order.
const LOCK = 7_700_080;

/**
 * Gives committed entries their place in the tree and signs the checkpoint: one process at a time, by an advisory lock that ends with its
 * transaction. Entries, hashes and checkpoint move together, so a crash leaves a tree that verifies.
 */
export class Sequencer {
  readonly #dependencies: Dependencies;
  readonly #poller: Poller;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { limits, changes, onError } = dependencies;
    this.#poller = new Poller({
      look: () => this.#look(),
      pollMs: limits.auditPollMs,
      changes,
      isLeftByOthers: true, // what a process that died did not put in order
      onError,
    });
  }

  start(): void {
    this.#poller.begin();
  }

  /** Puts what is committed in order, then stops. */
  async stop(): Promise<void> {
    await this.#poller.stop();
    await this.drain();
  }

  /** There is something new. */
  notice(): void {
    this.#poller.wake();
  }

  /**
   * Puts everything in order that was committed before the call, whoever does it: this loop or another process may be at it. Gives up after `auditDrainMs`, for
   * an entry has to wait for every older transaction, and one of those may stay open for long; what is left is put in order later.
   */
  async drain(): Promise<void> {
    const { db, limits } = this.#dependencies;
    const untilMs = performance.now() + limits.auditDrainMs;
    const [last] = await db.query<{ xid: string; seq: number }>(
      'select e.xid::text as xid, e.seq from audit_entries e order by e.xid desc, e.seq desc limit 1',
    );
    for (;;) {
      const left = await this.#step();
      if (left === 'more') continue;
      if (left === 'nothing' || !last || (await this.#reached(last)) || performance.now() > untilMs) return;
      await sleep(limits.auditPauseMs);
    }
  }

  async #reached({ xid, seq }: { xid: string; seq: number }): Promise<boolean> {
    const [tree] = await this.#dependencies.db.query<{ reached: boolean }>(
      'select (t.xid, t.seq) >= ($1::xid8, $2::bigint) as reached from audit_tree t',
      [xid, seq],
    );
    return tree?.reached ?? false;
  }

  async #look(): Promise<boolean | number | undefined> {
    const { auditPauseMs, auditPollMs } = this.#dependencies.limits;
    const left = await this.#step();
    // Batches grow while it pauses: a signature and a tile cost the same for one entry as for two hundred.
    await sleep(auditPauseMs);
    return left === 'more' || (left === 'waiting' ? auditPollMs : undefined);
  }

  /** One batch, and what it left: `waiting` is what another process is at, or what an open transaction may still come before. */
  async #step(): Promise<'more' | 'waiting' | 'nothing'> {
    const { db, limits } = this.#dependencies;
    return db.transaction(async (tx) => {
      const [lock] = await tx.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [
        LOCK,
      ]);
      if (!lock!.mine) return 'waiting';
      const [tree] = await tx.query<TreeRow>('select size, xid::text as xid, seq from audit_tree');
      const { size, xid, seq } = tree ?? { size: 0, xid: '0', seq: 0 };
      // Qualified: `order by xid` would mean the text of the select list, and '1000' sorts before '999'.
      // Rows of transactions that are still open come later, so nothing older than the oldest of them can be missing here.
      const rows = await tx.query<{ xid: string; seq: number; entry: string }>(
        `select e.xid::text as xid, e.seq, e.entry from audit_entries e
         where (e.xid, e.seq) > ($1::xid8, $2::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
         order by e.xid, e.seq limit $3`,
        [xid, seq, limits.auditBatchMax],
      );
      if (rows.length === 0 && tree) {
        const later = await tx.query(
          'select from audit_entries e where (e.xid, e.seq) > ($1::xid8, $2::bigint) limit 1',
          [xid, seq],
        );
        return later.length > 0 ? 'waiting' : 'nothing';
      }
      await appendLeaves(
        tx,
        size,
        rows.map(({ entry }) => leafHash(entry)),
      );
      await this.#bundles(tx, size, rows);
      await this.#sign(tx, size + rows.length, rows.at(-1) ?? { xid, seq });
      return rows.length === limits.auditBatchMax ? 'more' : 'waiting'; // the next look tells whether that was all
    });
  }

  async #bundles(tx: Queryable, size: number, rows: readonly { xid: string; seq: number }[]): Promise<void> {
    for (const [index, row] of rows.entries()) {
      if ((size + index) % TILE_WIDTH !== 0) continue;
      await tx.query('insert into audit_bundles (number, xid, seq) values ($1, $2::xid8, $3)', [
        (size + index) / TILE_WIDTH,
        row.xid,
        row.seq,
      ]);
    }
  }

  async #sign(tx: Queryable, size: number, last: { xid: string; seq: number }): Promise<void> {
    const { origin, privateKey } = this.#dependencies;
    const checkpoint = signCheckpoint({ origin, size, root: await tiledTree(tx).root(size) }, privateKey);
    await tx.query(
      `insert into audit_tree (size, xid, seq, checkpoint, signed_at) values ($1, $2::xid8, $3, $4, now())
       on conflict (one) do update set size = $1, xid = $2::xid8, seq = $3, checkpoint = $4, signed_at = now()`,
      [size, last.xid, last.seq, checkpoint],
    );
  }
}
