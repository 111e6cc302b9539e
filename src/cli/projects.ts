import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { closestName } from '../kernel/closest-name.ts';
import { AiosError, describeIssue, type Issue } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { describeImpact, type Impact } from './impact.ts';
import { EXIT, print, table } from './output.ts';
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
  warnings: Issue[];
  /** Of a plan. */
  impact?: Impact[];
}

/** The folders of a project that hold definitions; functions, tests and training code stay at home. */
const FOLDERS = [
  'contracts',
  'entities',
  'features',
  'services',
  'datasets',
  'models',
  'decisions',
  'calendars',
  'queues',
  'connectors',
  'run-queues',
  'workflows',
  'bridges',
  'lineage',
  'resources',
];
/** Folders that hold files of any kind beside definitions. */
const MIXED: ReadonlySet<string> = new Set(['models', 'resources']);
const DEFINITION = /\.(ya?ml|json)$/;
/** What definitions name beside themselves: the code of on-demand views. */
const NAMED = /^features\/.*\.ts$/;
/** Notes beside definitions, and what systems and editors leave behind. */
const BESIDE = /(\.md|~|\.bak|\.swp|(^|\/)\.[^/]*)$/;

/** Every file of a project folder that the server needs, as `POST /api/v1/apply` takes it. @throws AiosError `request.invalid` for a folder without any */
export async function readProject(folder: string): Promise<{ path: string; base64: string }[]> {
  return (await openProject(folder)).files;
}

function notRead(folder: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return `There is no project folder ${folder}.`;
  return code === 'ENOTDIR' ? `${folder} is a file, not a folder.` : `${folder} cannot be read: ${message}.`;
}

interface Project {
  files: { path: string; base64: string }[];
  /** Files that look like definitions and are none by where they lie or how they end. */
  ignored: string[];
}

async function openProject(folder: string): Promise<Project> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      throw new AiosError('request.invalid', { detail: notRead(folder, error), cause: error });
    },
  );
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
  const isOurs = (path: string) => path === 'aios.yaml' || FOLDERS.includes(folderOf(path));
  const ours = paths.filter(isOurs);
  if (!ours.some((path) => DEFINITION.test(path)))
    throw new AiosError('request.invalid', {
      detail: `There are no definitions in ${folder}: they lie in folders by kind (${FOLDERS.join(', ')}).`,
    });
  return {
    files: await Promise.all(
      ours.map(async (path) => ({ path, base64: (await readFile(join(folder, path))).toString('base64') })),
    ),
    ignored: paths.flatMap((path) => whyIgnored(path, isOurs(path)) ?? []),
  };
}

function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
}

/** What a slip of its author keeps from being read: a folder that is nearly one of ours, an ending that is not one of a definition. */
function whyIgnored(path: string, isOurs: boolean): string | undefined {
  const folder = folderOf(path);
  if (isOurs) {
    if (folder === '' || MIXED.has(folder)) return undefined;
    if ([DEFINITION, NAMED, BESIDE].some((known) => known.test(path))) return undefined;
    return `${path} is not read: a definition ends in .yaml, .yml or .json`;
  }
  if (!DEFINITION.test(path)) return undefined;
  const meant = folder === '' ? closestName(path, ['aios.yaml']) : closestName(folder, FOLDERS);
  return meant && `${path} is not read; did you mean ${folder === '' ? meant : `${meant}/`}?`;
}

export const plan: Action = async (options, [folder = '.']) => {
  const answer = await send(options, folder, true);
  print(answer, options.json, () => {
    const changes = describe(answer.changes, 'Applying this would change:', 'Nothing would change.');
    return [changes, describeWarnings(answer), describeImpact(answer.impact ?? [])]
      .filter(Boolean)
      .join('\n\n');
  });
  return answer.changes.some(({ action }) => action !== 'unchanged') ? EXIT.changes : EXIT.ok;
};

export const apply: Action = async (options, [folder = '.']) => {
  const answer = await send(options, folder, false);
  print(answer, options.json, () =>
    [describe(answer.changes, 'Applied:', 'Nothing to change.'), describeWarnings(answer)]
      .filter(Boolean)
      .join('\n\n'),
  );
  return EXIT.ok;
};

async function send(options: GlobalOptions, folder: string, dryRun: boolean): Promise<ApplyAnswer> {
  const { files, ignored } = await openProject(folder);
  // At once: it may be why the rest does not fit.
  for (const reason of ignored) process.stderr.write(`! ${reason}\n`);
  const client = await openClient(options);
  return client.request('POST', '/api/v1/apply', { query: { dryRun }, body: { files } });
}

function describeWarnings({ warnings }: ApplyAnswer): string {
  return warnings.map((warning) => `! ${describeIssue(warning)}`).join('\n');
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
