import type { Database } from '../store/database.ts';
import { type Write, write } from '../store/lane.ts';
import type { CompatibilityMode } from './compatibility.ts';
import { seenLane } from './seen-lane.ts';

/** What contracts are held to where nobody has said otherwise, as in Confluent's registry. */
export const BUILT_IN: CompatibilityMode = 'BACKWARD';

interface Change {
  /** What was seen. */
  readonly before: CompatibilityMode;
  readonly wanted: CompatibilityMode;
}

/** The record says what each of two changed. */
const defaultCompatibilityLane = seenLane<Change>(
  'default mode of contracts',
  async (tx, { before, wanted }) => {
    await tx.query(
      'insert into contract_settings (only_row, default_compatibility) values (true, $1) on conflict do nothing',
      [BUILT_IN],
    );
    const rows = await tx.query(
      'update contract_settings set default_compatibility = $2 where default_compatibility = $1 returning 1',
      [before, wanted],
    );
    return rows.length > 0;
  },
);

/**
 * The mode of contracts that name none, for the whole installation. Read from the database whenever a change is held to it, so that every process
 * follows a change at once; it is asked by people who change contracts, never by events.
 *
 * @example await commit.commit([defaultCompatibility.change('BACKWARD', 'FULL'), auditLog.entry(…)])
 */
export class DefaultCompatibility {
  readonly #db: Pick<Database, 'query'>;

  constructor(db: Pick<Database, 'query'>) {
    this.#db = db;
  }

  async mode(): Promise<CompatibilityMode> {
    const [row] = await this.#db.query<{ mode: CompatibilityMode }>(
      'select default_compatibility as mode from contract_settings',
    );
    return row?.mode ?? BUILT_IN;
  }

  /**
   * The write that changes it, for contracts that are changed after its commit; versions that were accepted stay. Its commit is refused with `store.conflict` where the mode
   * is no longer the one that was seen.
   */
  change(before: CompatibilityMode, wanted: CompatibilityMode): Write {
    return write(defaultCompatibilityLane, { before, wanted });
  }
}
