import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

interface Opening
  extends Omit<Parameters<typeof createApp>[0], 'limits' | 'dataDir' | 'databaseUrl' | 'host' | 'port'> {
  /** As the environment gives them. */
  limits?: string;
  /** What is applied before anybody asks: path → text. */
  project?: Readonly<Record<string, string>>;
  /** Done before it is opened, as for tables that it reads. */
  before?: (database: TestDatabase, dataDir: string) => Promise<unknown> | undefined;
}

/** The real app, with a database and a data folder of its own. */
export interface OpenedApp {
  readonly app: App;
  readonly database: TestDatabase;
  readonly dataDir: string;
  /** Ends it, and takes away what was its own. */
  close(): Promise<void>;
}

/**
 * Opens the real app on a free port of this machine.
 *
 * @example const { app, close } = await openApp({ project: { 'entities/customer.yaml': 'name: customer\njoinKeys: [customer]' } });
 */
export async function openApp({ limits, project, before, ...options }: Opening = {}): Promise<OpenedApp> {
  const dataDir = await mkdtemp(join(tmpdir(), 'aios-test-'));
  const database = await createTestDatabase([]);
  await before?.(database, dataDir);
  const app = await createApp({
    ...{ ...options, dataDir, databaseUrl: database.url, host: '127.0.0.1', port: 0 },
    limits: limitsFrom(limits),
  });
  app.ready();
  if (project) await app.apply(filesOf(project));
  return {
    ...{ app, database, dataDir },
    async close() {
      await app.stop();
      await database.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Files of a project as they are applied. */
export function filesOf(project: Readonly<Record<string, string>>): { path: string; bytes: Uint8Array }[] {
  return Object.entries(project).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) }));
}
