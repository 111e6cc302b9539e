import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import { describeImpact, type Impact } from './impact.ts';
import { EXIT, print, table } from './output.ts';
import type { Action } from './program.ts';
import { type GlobalOptions, openClient } from './session.ts';

interface Change {
  kind: string;
  name: string;
  action: 'create' | 'update' | 'unchanged';
  fromVersion: number;
  toVersion: number;
}

interface ApplyAnswer {
  changes: Change[];
  applied: boolean;
  /** Of a plan. */
  impact?: Impact[];
}

/** The folders of a project that hold definitions; functions, tests and training code stay at home. */
const PROJECT_FOLDERS =
  /^(aios\.yaml|(contracts|entities|features|services|datasets|models|decisions|calendars|queues|connectors|run-queues|workflows|bridges|lineage|resources)[\\/])/;

/** Every file of a project folder that the server needs, as `POST /api/v1/apply` takes it. */
export async function readProject(folder: string): Promise<{ path: string; base64: string }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: Error) => {
    const detail = `There is no project folder ${folder} that can be read (${error.message}).`;
    throw new AiosError('request.invalid', { detail });
  });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => PROJECT_FOLDERS.test(path))
    .sort();
  return Promise.all(
    paths.map(async (path) => ({
      path: path.replaceAll('\\', '/'),
      base64: (await readFile(join(folder, path))).toString('base64'),
    })),
  );
}

export const plan: Action = async (options, [folder = '.']) => {
  const answer = await send(options, folder, true);
  print(answer, options.json, () => {
    const changes = describe(answer.changes, 'Applying this would change:', 'Nothing would change.');
    return [changes, describeImpact(answer.impact ?? [])].filter(Boolean).join('\n\n');
  });
  return answer.changes.some(({ action }) => action !== 'unchanged') ? EXIT.changes : EXIT.ok;
};

export const apply: Action = async (options, [folder = '.']) => {
  const answer = await send(options, folder, false);
  print(answer, options.json, () => describe(answer.changes, 'Applied:', 'Nothing to change.'));
  return EXIT.ok;
};

async function send(options: GlobalOptions, folder: string, dryRun: boolean): Promise<ApplyAnswer> {
  const client = await openClient(options);
  return client.request('POST', '/api/v1/apply', {
    query: { dryRun },
    body: { files: await readProject(folder) },
  });
}

function describe(changes: readonly Change[], heading: string, none: string): string {
  const changed = changes.filter(({ action }) => action !== 'unchanged');
  if (changed.length === 0) return none;
  const rows = changed.map(({ kind, name, action, fromVersion, toVersion }) => [
    action === 'create' ? '+' : '~',
    kind,
    name,
    action === 'create' ? `v${toVersion}` : `v${fromVersion} → v${toVersion}`,
  ]);
  return `${heading}\n${table(['', 'kind', 'name', 'version'], rows)}`;
}
