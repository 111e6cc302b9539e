import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: { host: string; port: number; user: string; password: string; database: string };
  }
}

/**
 * One real Postgres for the whole test run; each test file makes databases of its own on it. `AIOS_TEST_DATABASE_URL` names another one, of whatever version, whose user may
 * create databases.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.AIOS_TEST_DATABASE_URL;
  if (given) {
    const { hostname: host, port, username: user, password, pathname } = new URL(given);
    const database = pathname.slice(1) || 'postgres';
    project.provide('postgres', {
      host,
      port: Number(port || 5432),
      user,
      password: decodeURIComponent(password),
      database,
    });
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), 'aios-test-'));
  await chmod(folder, 0o755); // as root, Postgres runs as another user
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), durable: false });
  project.provide('postgres', postgres.target as never);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}
