import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { LIMITS, type Limits, limitsFrom } from '../kernel/limits.ts';
import { type ConnectionTarget, type Database, openDatabase } from '../store/database.ts';
import { GroupCommit } from '../store/group-commit.ts';
import { type Migration, migrate } from '../store/migrations.ts';

export interface TestDatabase {
  readonly db: Database;
  readonly commit: GroupCommit;
  readonly limits: Limits;
  readonly target: ConnectionTarget;
  /** The same as an address, as `AIOS_DATABASE_URL` takes it. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * A database of one test's own on the Postgres that the test run started, migrated.
 *
 * @example const { db, commit, close } = await createTestDatabase(eventMigrations)
 */
export async function createTestDatabase(
  migrations: readonly Migration[],
  overrides = '',
): Promise<TestDatabase> {
  const server = inject('postgres') as Exclude<ConnectionTarget, { connectionString: string }>;
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client(server);
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const target = { ...server, database: name };
  await migrate(target, migrations);
  const limits = limitsFrom(overrides);
  const db = await openDatabase(target, Math.min(8, LIMITS.connectionsMax.value));
  const commit = new GroupCommit(db, limits);
  return {
    db,
    commit,
    limits,
    target,
    url: `postgresql://${server.user}:${encodeURIComponent(String(server.password ?? ''))}@${server.host}:${server.port}/${name}`,
    async close() {
      await commit.close();
      await db.close();
    },
  };
}
