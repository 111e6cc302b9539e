import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readProject } from '../../src/cli/projects.ts';
import { type OpenedApp, openApp } from '../../test/app-under-test.ts';

/** The real app with the example applied, on a database and a data folder of its own. */
export async function openExample(): Promise<OpenedApp> {
  const opened = await openApp();
  const paths = (await readProject(import.meta.dirname)).map(({ path }) => path);
  await opened.app.apply(
    await Promise.all(
      paths.map(async (path) => ({ path, bytes: await readFile(join(import.meta.dirname, path)) })),
    ),
  );
  return opened;
}
