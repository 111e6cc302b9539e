import { Kysely, type Migration as KyselyMigration, Migrator, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { AiosError } from '../kernel/errors.ts';
import type { ConnectionTarget } from './database.ts';

/** One step of the schema: its name sorts it (`0010_events`), its SQL may hold several statements. Never edited once released. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** What Kysely says of migrations that were made and are not known here, or were made in another order. */
const FOREIGN = /^corrupted migrations: /;

/**
 * Brings a database to the newest schema. Safe to run from several processes at once: an advisory lock lets one work
 * while the others wait.
 *
 * @throws AiosError `start.schema` for a database of a newer version
 * @example await migrate(target, [...eventMigrations, ...workflowMigrations])
 */
export async function migrate(target: ConnectionTarget, migrations: readonly Migration[]): Promise<string[]> {
  const steps = Object.fromEntries(
    migrations.map((migration): [string, KyselyMigration] => [
      migration.name,
      { up: async (db) => void (await sql.raw(migration.sql).execute(db)) },
    ]),
  );
  const pool = new pg.Pool({ ...target, max: 1 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => steps } });
    const { error, results } = await migrator.migrateToLatest();
    if (error instanceof Error && FOREIGN.test(error.message))
      throw new AiosError('start.schema', { detail: `${error.message}.`, cause: error });
    if (error) throw error;
    return (results ?? []).map((result) => result.migrationName);
  } finally {
    await db.destroy();
  }
}
