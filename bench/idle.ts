import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs, freePort, startProduct, temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

/** After the start: an engine looks often until a lease (15 s) has passed in which nothing happened. */
const SETTLE_MS = 30_000;
const PROJECT = join(import.meta.dirname, '..', 'examples', 'returns');

/**
 * What a server costs that nobody asks anything of: the definitions of the example applied, its model loaded, no event, no request. CPU as a share of one core,
 * of the process with its replicas and of Postgres with its background processes.
 */
export async function bench({ rounds, roundMs, progress }: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const file = join(folder.path, 'statements');
  const product = await startProduct({
    dataDir: folder.path,
    port: await freePort(),
    args: ['--project', PROJECT],
    env: {
      NODE_OPTIONS: `--import ${join(import.meta.dirname, 'idle-statements.ts')}`,
      AIOS_BENCH_STATEMENTS: file,
    },
  });
  try {
    const postgresPid = await product.postgresPid();
    const read = async () => {
      const [all, postgres, statements] = await Promise.all([
        cpuMs(product.pid),
        cpuMs(postgresPid),
        statementsOf(product.pid, file),
      ]);
      return { atMs: performance.now(), all, postgres, statements };
    };
    await sleep(SETTLE_MS);
    const begun = await read();
    for (let round = 1; round <= rounds; round++) {
      await sleep(roundMs);
      progress(`round ${round} of ${rounds}`);
    }
    const ended = await read();
    const forMs = ended.atMs - begun.atMs;
    const postgresMs = ended.postgres - begun.postgres;
    const allMs = ended.all - begun.all - postgresMs; // the embedded Postgres is a child of the process
    return {
      idleCpuShare: round4(allMs / forMs),
      idlePostgresCpuShare: round4(postgresMs / forMs),
      idleStatementsPerMinute: Math.round(((ended.statements - begun.statements) / forMs) * 60_000),
      seconds: Math.round(forMs / 1000),
    };
  } finally {
    await product.stop();
    await folder.dispose();
  }
}

async function statementsOf(pid: number, file: string): Promise<number> {
  await rm(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return Number(text);
    await sleep(20);
  }
}

const round4 = (share: number) => Math.round(share * 1e4) / 1e4;
