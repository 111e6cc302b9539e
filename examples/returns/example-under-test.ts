import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, createApp } from '../../src/app.ts';
import { readProject } from '../../src/cli/projects.ts';
import { limitsFrom } from '../../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../../src/testing/database.ts';

/** The real app with the example applied, on a database and a data folder of its own. */
export async function openExample(): Promise<{
  app: App;
  database: TestDatabase;
  dataDir: string;
  close(): Promise<void>;
}> {
  const dataDir = await mkdtemp(join(tmpdir(), 'aios-example-'));
  const database = await createTestDatabase([]);
  const app = await createApp({
    dataDir,
    databaseUrl: database.url,
    host: '127.0.0.1',
    port: 0,
    limits: limitsFrom(),
  });
  const paths = (await readProject(import.meta.dirname)).map(({ path }) => path);
  await app.apply(
    await Promise.all(
      paths.map(async (path) => ({ path, bytes: await readFile(join(import.meta.dirname, path)) })),
    ),
  );
  return {
    app,
    database,
    dataDir,
    async close() {
      await app.stop();
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
