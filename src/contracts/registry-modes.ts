import type { Database } from '../store/database.ts';
import { type Write, write } from '../store/lane.ts';
import { seenLane } from './seen-lane.ts';

/** Whether clients of the schema registry may change anything of a subject there: Confluent's words. */
export const REGISTRY_MODES = ['READWRITE', 'READONLY'] as const;
export type RegistryMode = (typeof REGISTRY_MODES)[number];

interface Change {
  /** A contract; '' for all that have no mode of their own. */
  readonly subject: string;
  /** What was seen. */
  readonly before: RegistryMode | undefined;
  readonly wanted: RegistryMode | undefined;
}

const registryModeLane = seenLane<Change>(
  'modes of the schema registry',
  async (tx, { subject, before, wanted }) => {
    let rows: object[];
    if (before === undefined)
      rows = await tx.query(
        'insert into contract_registry_modes (subject, mode) values ($1, $2) on conflict do nothing returning 1',
        [subject, wanted],
      );
    else if (wanted === undefined)
      rows = await tx.query(
        'delete from contract_registry_modes where subject = $1 and mode = $2 returning 1',
        [subject, before],
      );
    else
      rows = await tx.query(
        'update contract_registry_modes set mode = $3 where subject = $1 and mode = $2 returning 1',
        [subject, before, wanted],
      );
    return rows.length > 0;
  },
);

/**
 * The modes that clients of the schema registry have set: of all subjects, and of one. They hold for the registry alone; contracts of a project are applied
 * as ever.
 *
 * @example await commit.commit([modes.change({ subject: 'order', before: undefined, wanted: 'READONLY' }), auditLog.entry(…)])
 */
export class RegistryModes {
  readonly #db: Pick<Database, 'query'>;

  constructor(db: Pick<Database, 'query'>) {
    this.#db = db;
  }

  /** The mode of a subject, '' for that of all; undefined where none was set. */
  async own(subject: string): Promise<RegistryMode | undefined> {
    return (await this.#read([subject])).get(subject);
  }

  /** The mode that counts for a subject: its own, else that of all, else `READWRITE`. */
  async of(subject: string): Promise<RegistryMode> {
    const found = await this.#read(['', subject]);
    return found.get(subject) ?? found.get('') ?? 'READWRITE';
  }

  async #read(subjects: readonly string[]): Promise<Map<string, RegistryMode>> {
    const rows = await this.#db.query<{ subject: string; mode: RegistryMode }>(
      'select subject, mode from contract_registry_modes where subject = any($1::text[])',
      [subjects],
    );
    return new Map(rows.map(({ subject, mode }) => [subject, mode]));
  }

  /** The write that sets a mode, or takes it back. Its commit is refused with `store.conflict` where it is no longer as it was seen. */
  change(change: Change): Write {
    return write(registryModeLane, change);
  }
}
