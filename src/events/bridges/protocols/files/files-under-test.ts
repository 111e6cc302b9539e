import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { EventSource } from '../../port/event-source.ts';
import { contextOf } from '../protocol-under-test.ts';
import { fileSource } from './file-source.ts';
import { filesProtocol } from './files-protocol.ts';

/** A folder of a test; it goes with it. */
export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'aios-files-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** As whoever puts a file there should: beside it, and then all of it at once. */
export async function drop(path: string, name: string, text: string | Uint8Array): Promise<void> {
  await writeFile(join(path, `.${name}`), text);
  await rename(join(path, `.${name}`), join(path, name));
}

export function lines(events: readonly unknown[]): string {
  return events.map((one) => `${JSON.stringify(one)}\n`).join('');
}

/** A source of a folder that takes files at once. */
export function openFiles(path: string, settings: object = {}, more: object = {}): EventSource {
  return fileSource(
    contextOf(filesProtocol, { folders: [path], ...more }),
    { folder: path, settleSeconds: 0, ...settings },
    5,
  );
}
