import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from './database.ts';
import { startEmbeddedPostgres } from './embedded.ts';

describe('embedded Postgres', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-embedded-'));
    await chmod(folder, 0o755);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const start = () => startEmbeddedPostgres({ dataDir: join(folder, 'postgres') });
  const answer = async (db: Database): Promise<number> => {
    for (let tries = 0; ; tries++) {
      try {
        return (await db.query<{ n: number }>('select sum(n)::int as n from t'))[0]!.n;
      } catch (error) {
        if (tries > 200) throw error;
        await sleep(50);
      }
    }
  };

  it('keeps its data over a kill of Postgres, a kill of this program, a stop and a stale pid file', async () => {
    await leaveOrphan(join(folder, 'postgres'));
    const first = await start();
    const db = await openDatabase(first.target, 2);
    await db.queryDynamic('insert into t values (1)');

    process.kill(first.pid!, 'SIGKILL'); // the supervisor starts it again on the same port
    await db.queryDynamic('select 1').catch(() => {});
    expect(await answer(db)).toBe(42);
    await expect(start()).rejects.toMatchObject({ code: 'store.in_use' });
    await db.close();
    await first.stop();

    await writeFile(join(folder, 'postgres', 'postmaster.pid'), `${process.pid}\n`); // alive, but not a Postgres
    const second = await start();
    const again = await openDatabase(second.target, 2);
    expect(await answer(again)).toBe(42);
    await again.close();
    await second.stop();
  });

  it('ends with a program that does not wait for it', async () => {
    const dataDir = join(folder, 'left');
    const script = `
      import { startEmbeddedPostgres } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))};
      const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
      process.stdout.write(String(postgres.pid), () => process.exit(1));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
    let pid = '';
    child.stdout.on('data', (text: Buffer) => {
      pid += text;
    });
    await once(child, 'close');
    expect(Number(pid)).toBeGreaterThan(0);
    await expect.poll(() => existsSync(join(dataDir, 'postmaster.pid')), { timeout: 20_000 }).toBe(false);
  });
});

/** Starts a Postgres in a program of its own, writes a row, and kills that program as `kill -9` would. */
async function leaveOrphan(dataDir: string): Promise<void> {
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(import.meta.resolve('./embedded.ts'))};
    import { openDatabase } from ${JSON.stringify(import.meta.resolve('./database.ts'))};
    const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
    const db = await openDatabase(postgres.target, 1);
    await db.queryDynamic('create table t (n int); insert into t values (41)');
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
}
