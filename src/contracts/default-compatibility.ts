import type { Database } from '../store/database.ts';
import { plannedLane, type Write, write } from '../store/group-commit.ts';
import type { CompatibilityMode } from './compatibility.ts';

/** What contracts are held to where nobody has said otherwise, as in Confluent's registry. */
const BUILT_IN: CompatibilityMode = 'BACKWARD';

const defaultCompatibilityLane = plannedLane<CompatibilityMode>({
  name: 'default mode of contracts',
  order: 32,
  plan: (items) => ({
    statements: [
      {
        text: `insert into contract_settings (only_row, default_compatibility) values (true, $1)
          on conflict (only_row) do update set default_compatibility = excluded.default_compatibility`,
        values: [items.at(-1)!],
      },
    ],
  }),
});

/**
 * The mode of contracts that name none, for the whole installation. Read from the database whenever a change is held to it, so that every process
 * follows a change at once; it is asked by people who change contracts, never by events.
 *
 * @example await commit.commit([defaultCompatibility.change('FULL'), auditLog.entry(…)])
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

  /** The write that changes it, for contracts that are changed after its commit; versions that were accepted stay. */
  change(mode: CompatibilityMode): Write {
    return write(defaultCompatibilityLane, mode);
  }
}
