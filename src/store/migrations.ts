import { createHash } from 'node:crypto';
import { Kysely, type Migration as KyselyMigration, Migrator, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { AiosError } from '../kernel/errors.ts';
import type { ConnectionTarget } from './database.ts';

/** One step of the schema: its name sorts it (`0010_events`), its SQL may hold several statements. Never edited once released. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** The first one: what each migration was when it was made, since Kysely keeps the names alone. */
const digests: Migration = {
  name: '0000_migration_digests',
  sql: 'create table migration_digests (name text primary key, digest text not null)',
};

/** What Kysely says of migrations that were made and are not known here, or were made in another order. */
const FOREIGN = /^corrupted migrations: /;

/**
 * Brings a database to the newest schema. Safe to run from several processes at once: an advisory lock lets one work
 * while the others wait.
 *
 * @throws AiosError `start.schema` for a database of a newer version, or of one whose migrations were others
 * @example await migrate(target, [...eventMigrations, ...workflowMigrations])
 */
export async function migrate(target: ConnectionTarget, migrations: readonly Migration[]): Promise<string[]> {
  const steps = Object.fromEntries([digests, ...migrations].map((step) => [step.name, stepOf(step)]));
  const pool = new pg.Pool({ ...target, max: 1 });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    await checkMade(db, migrations);
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

function stepOf({ name, sql: text }: Migration): KyselyMigration {
  return {
    async up(db) {
      await sql.raw(text).execute(db);
      await sql`insert into migration_digests values (${name}, ${digestOf(text)})`.execute(db);
    },
  };
}

/** What was changed after it was made would be missed only when a statement fails, much later. */
async function checkMade(db: Kysely<unknown>, migrations: readonly Migration[]): Promise<void> {
  const { rows: tables } = await sql`select where to_regclass('migration_digests') is not null`.execute(db);
  if (tables.length === 0) return; // an empty database, or one that Kysely refuses: it has not begun with this table
  const { rows } = await sql<{
    name: string;
    digest: string;
  }>`select name, digest from migration_digests`.execute(db);
  const made = new Map(rows.map(({ name, digest }) => [name, digest]));
  const other = migrations.find(({ name, sql: text }) => made.has(name) && made.get(name) !== digestOf(text));
  if (other)
    throw new AiosError('start.schema', {
      detail: `The migration ${other.name} was another one when this database was made.`,
    });
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
