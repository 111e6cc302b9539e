import { access, constants, mkdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import { runningOwner } from '../store/embedded.ts';

type Fault = Error & { code?: string; path?: string; syscall?: string };

const FILE_FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not change it',
  EROFS: 'it lies on a disk that is read only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'there is a file of that name',
};
const FULL = /no space left on device/i;
const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'is not a name that can be found',
  EACCES: 'may not be opened by this user',
};

interface Place {
  dataDir: string;
  host: string;
  port: number;
  portVariable: string;
  databaseUrl: string | undefined;
}

/**
 * Asks for the port before a database is started for nothing. A second server over one data folder is told of the folder instead, by whoever opens it.
 *
 * @throws AiosError `start.port_in_use`, `start.setting` for a host that cannot be listened on
 */
export async function requireFreePort(place: Place): Promise<void> {
  if (place.port === 0) return;
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject).listen({ host: place.host, port: place.port, exclusive: true }, resolve);
    });
  } catch (error) {
    const { databaseUrl, dataDir } = place;
    if (!databaseUrl && (await runningOwner(`${dataDir}/postgres`)) !== undefined) return;
    throw startFault(error, place);
  }
  await new Promise((resolve) => probe.close(resolve));
}

/**
 * Makes the data folder, and those that it lies in, where they are missing, and asks whether it may be written. One folder at a time: Node's
 * `recursive` never ends below /proc, and says of a disk that is read only that the folder does not exist.
 *
 * @throws AiosError `start.folder`
 */
export async function requireFolder(place: Place): Promise<void> {
  const missing: string[] = [];
  let folder = place.dataDir;
  const isThere = () => stat(folder).then(Boolean, (error: Fault) => error.code !== 'ENOENT');
  for (; !(await isThere()) && folder !== dirname(folder); folder = dirname(folder)) missing.unshift(folder);
  try {
    for (const one of missing)
      await mkdir(one).catch((error: Fault) => {
        if (error.code === 'ENOENT') throw folderFault(error, one, 'no folder can be made there');
        if (error.code !== 'EEXIST') throw error; // another process made it meanwhile
      });
    if (!(await stat(place.dataDir)).isDirectory())
      throw folderFault(undefined, place.dataDir, 'it is not a folder');
    await access(place.dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw startFault(error, place);
  }
}

/**
 * What kept a process from starting, told so that somebody new can go on. What is not foreseen stays as it was.
 *
 * @example throw startFault(error, settings) // AiosError start.port_in_use: 127.0.0.1:7700 is in use (AIOS_PORT)
 */
export function startFault(error: unknown, place: Place): unknown {
  const { code = '', path, syscall, message } = error as Fault;
  if (error instanceof AiosError) {
    if (code === 'store.unavailable' && FULL.test(message))
      return folderFault(error, place.dataDir, FILE_FAULTS.ENOSPC!);
    if (code === 'store.unavailable' && place.databaseUrl) return databaseFault(error, place.databaseUrl);
    // What the store says while it serves is of a database that comes back; this one does not.
    if (code === 'store.unavailable')
      return new AiosError('start.embedded', { detail: message, cause: error });
    return error;
  }
  const address = `${place.host}:${place.port}`;
  if (syscall === 'listen' && code === 'EADDRINUSE')
    return new AiosError('start.port_in_use', {
      detail: `${address} is in use (${place.portVariable}).`,
      cause: error,
    });
  if (syscall === 'listen' || (syscall === 'getaddrinfo' && message.includes(place.host)))
    return new AiosError('start.setting', {
      detail: `${address} ${LISTEN_FAULTS[code] ?? `cannot be listened on (${message})`} (AIOS_HOST, ${place.portVariable}).`,
      cause: error,
    });
  if (FILE_FAULTS[code] && isOfFolder(path, place.dataDir))
    return folderFault(error, path ?? place.dataDir, FILE_FAULTS[code]);
  if (FULL.test(message)) return folderFault(error, place.dataDir, FILE_FAULTS.ENOSPC!);
  if (place.databaseUrl && isOfPostgres(error as Fault)) return databaseFault(error, place.databaseUrl);
  return error;
}

function folderFault(cause: unknown, path: string, why: string): AiosError {
  return new AiosError('start.folder', { detail: `${path}: ${why}.`, cause });
}

/** In it, or a folder that it lies in. */
function isOfFolder(path: string | undefined, folder: string): boolean {
  return path !== undefined && (path.startsWith(folder) || folder.startsWith(path));
}

/** A refused connection, or what Postgres answers with: a code of five characters. */
function isOfPostgres({ code = '', syscall }: Fault): boolean {
  return (
    syscall === 'connect' || syscall === 'getaddrinfo' || /^[0-9A-Z]{5}$/.test(code) || code === 'ECONNRESET'
  );
}

function databaseFault(cause: unknown, databaseUrl: string): AiosError {
  const { hostname, port, username, pathname } = new URL(databaseUrl);
  const who = `${decodeURIComponent(username) || 'nobody'} at ${hostname}:${port || 5432}${pathname}`;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AiosError('start.database', { detail: `${who}: ${why.replace(/\.$/, '')}.`, cause });
}
