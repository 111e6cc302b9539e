import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLedgerKeys } from './key-files.ts';

describe('the keys of the ledger', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-keys-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const modes = async () =>
    Promise.all(
      (await readdir(folder)).map(async (name) => [name, (await stat(join(folder, name))).mode & 0o777]),
    );

  it('are the same for starts at once and later, and nothing else is left', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, () => openLedgerKeys(folder)));
    opened.push(await openLedgerKeys(folder));
    const seen = opened.map(({ master, privateKey }) => [
      Buffer.from(master).toString('hex'),
      privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ]);
    expect(new Set(seen.map(String)).size).toBe(1);
    expect((await modes()).sort()).toEqual([
      ['ledger-master.key', 0o600],
      ['ledger-signing.pem', 0o600],
    ]);
  });

  it('are closed to others when a restore has opened them', async () => {
    await openLedgerKeys(folder);
    for (const [name] of await modes()) await chmod(join(folder, String(name)), 0o644);
    await openLedgerKeys(folder);
    expect((await modes()).map(([, mode]) => mode)).toEqual([0o600, 0o600]);
  });
});
