import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { grpcSettings } from './api/grpc-settings.ts';
import type { App } from './app/app.ts';
import { closeAll } from './app/close-all.ts';
import { growHeap } from './app/heap.ts';
import { requireFolder, requireFreePort, startFault } from './app/start-faults.ts';
import { type StartSettings, startSettings } from './app/start-settings.ts';
import { describeError, EXIT } from './cli/output.ts';
import { runCli, type StartOptions } from './cli/program.ts';
import { readProject } from './cli/projects.ts';
import { ADDRESS_FILE } from './cli/session.ts';
import { AiosError } from './kernel/errors.ts';

const ROOT = join(import.meta.dirname, '..');
const CONSOLE_DIR = join(ROOT, 'console', 'dist');
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const EXAMPLES = join(ROOT, 'examples');

/** What an example brings besides its definitions: outside systems, started before the app, and a stream of simulated events. */
interface Example {
  startSystems(dataDir: string): Promise<{ stop(): Promise<void> }>;
  startStream(app: App): Promise<{ notice: string; stop(): Promise<void> }>;
}

// A reader that has gone (a closed terminal, `| head`) ends no server: unheard, the error would stop it with its database left behind.
process.stderr.on('error', () => {});
process.stdout.on('error', () => process.exit());

process.exitCode = await runCli(process.argv.slice(2), start, {
  testFlows: async (files) => (await import('./workflow/engine/flow-tests.ts')).testFlows(files),
  evaluateTable: async (body, input) =>
    (await import('./decisions/table.ts')).compileTable(body).evaluate(input),
});

/** `aios start`: runs until a signal ends it; everything that it started is stopped with it. */
async function start({ project, example, role }: StartOptions): Promise<number> {
  if (role === 'worker' && (project ?? example) !== undefined) {
    throw new AiosError('request.invalid', {
      detail: 'A worker applies no project: the process with the API does, or `aios apply`.',
    });
  }
  const settings = startSettings(process.env, role);
  growHeap(settings.limits);
  const grpc = role === 'worker' ? undefined : grpcSettings(process.env, settings.port);
  const folder = example ? await exampleFolder(example) : project;
  const files = folder === undefined ? undefined : await readProject(folder); // a wrong folder is told before anything is started
  const live = example && folder ? await importExample(folder) : undefined;
  for (const fault of settings.unknown) process.stderr.write(`! ${fault}\n`);
  await requireFreePort(settings);
  await requireFolder(settings);
  const progress = createProgress();
  const { createApp } = await import('./app/app.ts');
  const ended = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (ended.signal.aborted && signal === 'SIGINT') process.exit(EXIT.failed); // a second Ctrl-C does not wait for the drain
    if (ended.signal.aborted) return; // a supervisor may tell a whole group, and each launcher in it tells it again
    progress.end();
    process.stderr.write('\nStopping: finishing what is under way … (Ctrl-C again does not wait for it)\n');
    ended.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  const { dataDir } = settings;
  const closers: (() => Promise<void>)[] = [];
  try {
    const systems = await live?.startSystems(dataDir);
    if (systems) closers.push(() => systems.stop());
    ended.signal.throwIfAborted();
    const app = await createApp({
      ...settings,
      role,
      grpc,
      adminKey: process.env.AIOS_ADMIN_KEY,
      consoleDir: CONSOLE_DIR,
      onProgress: progress.say,
    });
    closers.push(() => app.stop());
    ended.signal.throwIfAborted();
    const notes = folder && files ? await applyFolder(app, files, { folder, example }, progress) : [];
    ended.signal.throwIfAborted();
    const stream = await live?.startStream(app);
    if (stream) closers.push(() => stream.stop());
    ended.signal.throwIfAborted();
    app.ready();
    if (role !== 'worker') closers.push(await tellAddress(dataDir, app.url));
    progress.end();
    for (const note of notes) process.stderr.write(`! ${note}\n`);
    process.stderr.write(
      role === 'worker' ? workerBanner(app, dataDir) : await banner(app, settings, stream?.notice),
    );
    if (!ended.signal.aborted)
      await new Promise((resolve) => ended.signal.addEventListener('abort', resolve, { once: true }));
  } catch (error) {
    // Told to stop while it started; Ctrl-C in a terminal reaches initdb, too, which then fails.
    if (!ended.signal.aborted) throw startFault(error, settings);
  } finally {
    progress.end();
    // The stream first and the systems last: what is under way may still call them.
    await closeAll(closers.reverse(), 2 * settings.limits.stopMaxMs).catch((error: unknown) => {
      if (ended.signal.aborted) leave(error); // otherwise why it did not start says more
    });
  }
  process.stderr.write('Stopped. Everything that was accepted is in the database.\n');
  return EXIT.ok;
}

/** Applies what the start was given, and tells what somebody who changed it meanwhile should know. */
async function applyFolder(
  app: App,
  sent: Awaited<ReturnType<typeof readProject>>,
  { folder, example }: { folder: string; example: string | undefined },
  progress: ReturnType<typeof createProgress>,
): Promise<string[]> {
  progress.say(`Applying ${folder.startsWith(ROOT) ? folder.slice(ROOT.length + 1) : folder}`);
  const files = sent.map(({ path, base64 }) => ({ path, bytes: Buffer.from(base64, 'base64') }));
  if (example === undefined) {
    const updated = (await app.apply(files)).filter(({ action }) => action === 'update');
    return updated.map(
      ({ kind, name, fromVersion, toVersion }) =>
        `${kind} ${name} is now as in ${folder}: v${fromVersion} → v${toVersion}`,
    );
  }
  const { kept, misfit } = await app.applyExample(example, files);
  if (kept.length === 0) return [];
  return [
    `Left as you changed it: ${kept.join(', ')}. To have the example’s again: npx aios apply ${relative(process.cwd(), folder) || '.'}`,
    ...(misfit
      ? [`The rest of the example does not fit that, and is left as it was. ${describeError(misfit)}`]
      : []),
  ];
}

/** Leaves the address where the command line finds it, beside the key; a start that took the folder over meanwhile keeps its own. */
async function tellAddress(dataDir: string, url: string): Promise<() => Promise<void>> {
  const file = join(dataDir, ADDRESS_FILE);
  await writeFile(file, `${url}\n`);
  return async () => {
    const told = await readFile(file, 'utf8').catch(() => '');
    if (told.trim() === url) await rm(file, { force: true });
  };
}

/** What could not be stopped holds the process no longer. */
function leave(error: unknown): never {
  process.stderr.write(`${describeError(error)}\n`);
  process.exit(EXIT.failed);
}

async function importExample(folder: string): Promise<Example> {
  return (await import(pathToFileURL(join(folder, 'live.ts')).href)) as Example;
}

async function exampleFolder(name: string): Promise<string> {
  const folder = join(EXAMPLES, name);
  if (existsSync(join(folder, 'live.ts'))) return folder;
  const known = (await readdir(EXAMPLES))
    .filter((one) => existsSync(join(EXAMPLES, one, 'live.ts')))
    .join(', ');
  throw new AiosError('request.invalid', { detail: `There is no example “${name}”; there is ${known}.` });
}

async function banner(
  app: App,
  { dataDir, host, publicUrl }: StartSettings,
  notice: string | undefined,
): Promise<string> {
  const isPlain = !process.stderr.isTTY || Boolean(process.env.NO_COLOR);
  const bold = isPlain ? (text: string) => text : (text: string) => `\u001b[1m${text}\u001b[22m`;
  const hasConsole = existsSync(CONSOLE_DIR);
  const rows: [string, string][] = [
    ...(hasConsole
      ? [
          ['Console', `${bold(await app.loginUrl())}  (one-time link; a new one: npx aios login)`] as [
            string,
            string,
          ],
        ]
      : []),
    ['API', `${app.url}/api/v1  (key: ${join(dataDir, 'admin.key')})`],
    ...(LOOPBACK.has(host) || publicUrl?.startsWith('https:')
      ? []
      : [['', 'Others can reach it without TLS: see docs/operations.md'] as [string, string]]),
    ...(app.grpc ? [['gRPC', describeGrpc(app.grpc)] as [string, string]] : []),
    ['Data', `${dataDir}  (${app.databaseName})`],
    [
      'Next',
      notice === undefined
        ? 'npx aios init my-project   a small project to begin with; then apply it'
        : 'npx aios inbox   what waits for a person',
    ],
  ];
  const lines = rows.map(([label, text]) => `  ${label.padEnd(8)} ${text}`);
  return `\n${[...lines, ...(notice ? ['', `  ${notice}`] : []), '', '  Ctrl-C stops everything.'].join('\n')}\n\n`;
}

function describeGrpc({ host, port, hasTls, portInUse }: NonNullable<App['grpc']>): string {
  const notes = [
    'Open Inference Protocol',
    ...(hasTls ? ['TLS'] : LOOPBACK.has(host) ? [] : ['without TLS']),
    ...(portInUse ? [`another process has port ${portInUse}`] : []),
  ];
  return `${host.includes(':') ? `[${host}]` : host}:${port}  (${notes.join('; ')})`;
}

function workerBanner(app: App, dataDir: string): string {
  const rows = [
    `Worker   takes runs and events  (${app.url}/readyz, ${app.url}/metrics)`,
    `Data     ${dataDir}  (${app.databaseName})`,
  ];
  return `\n${rows.map((row) => `  ${row}`).join('\n')}\n\n  Ctrl-C stops it; its runs go to the others.\n\n`;
}

/** One line that changes on a terminal, one line per stage elsewhere. */
function createProgress(): { say(stage: string): void; end(): void } {
  const isTerminal = process.stderr.isTTY;
  let shown = false;
  return {
    say(stage) {
      process.stderr.write(isTerminal ? `\r\u001b[2K· ${stage} …` : `· ${stage}\n`);
      shown = isTerminal;
    },
    end() {
      if (shown) process.stderr.write('\r\u001b[2K');
      shown = false;
    },
  };
}
