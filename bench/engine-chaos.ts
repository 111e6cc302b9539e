import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../examples/returns/simulator.ts';
import { type Database, openDatabase } from '../src/store/database.ts';
import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import type { ChaosOptions, ChaosResult } from './chaos.ts';
import { auditJournals, type Fault, readEffects, takeoversOf } from './engine-evidence.ts';
import { freePort, temporaryFolder } from './product.ts';

const RUNS = 400;
const AT_ONCE = 80;
const EFFECTS = RUNS * 5;
const LEASE_MS = 2_000;
const LIMITS = `${process.env.AIOS_LIMITS ?? ''},runLeaseMs=${LEASE_MS},runPollMs=200`;

/** What happens in a round, drawn from the seed. */
const KINDS = ['worker', 'both workers', 'Postgres', 'frozen worker'] as const;

interface WorkerProcess {
  readonly child: ChildProcess;
  readonly port: number;
}

/**
 * Two worker processes over one Postgres; in each round 400 runs of five effects are started over both, and a worker, both, or Postgres is
 * killed (SIGKILL), or a worker is frozen past its lease (SIGSTOP) and woken again.
 */
export async function chaos({ rounds, seed, say }: ChaosOptions): Promise<ChaosResult> {
  const random = seededRandom(seed);
  const folder = await temporaryFolder();
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder.path, 'postgres') });
  const { host, port, user, password, database } = postgres.target as Record<string, string>;
  const scene = new Scene(folder.path, `postgres://${user}:${password}@${host}:${port}/${database}`);
  const faults: Fault[] = [];
  let db: Database | undefined;
  try {
    await scene.startWorker(0);
    await scene.startWorker(1);
    db = await openDatabase(postgres.target, 4);
    const key = (await readFile(join(folder.path, 'admin.key'), 'utf8')).trim();
    for (let round = 1; round <= rounds; round++) {
      const kind = KINDS[Math.floor(random() * KINDS.length)]!;
      const started = startRuns(scene, key, round);
      await effectsDone(scene.effects, (round - 1) * EFFECTS + 50 + random() * EFFECTS * 0.6);
      const fault = await strike(kind, scene, random, () => process.kill(postgres.pid!, 'SIGKILL'));
      await started;
      const open = await settle(db);
      // Every run has ended: what comes later was not cut off by this one.
      faults.push({ ...fault, untilMs: Math.min(fault.untilMs, Date.now()) });
      say(`round ${round}: ${kind}; ${open} runs still open after it`);
    }
    const journals = await auditJournals(db, rounds * RUNS);
    const effects = await readEffects(scene.effects);
    const takeovers = takeoversOf(effects, faults);
    const figures = {
      rounds,
      seed,
      runs: rounds * RUNS,
      ...journals,
      repeatedEffects: effects.repeated,
      repeatedOutsideWindow: effects.repeatedOutside(faults),
      takeovers: takeovers.length,
      takeoverMs: Math.round(Math.max(0, ...takeovers)),
      leaseMs: LEASE_MS,
    };
    const held =
      figures.lost === 0 &&
      figures.recordedTwice === 0 &&
      figures.fencedWrites === 0 &&
      figures.repeatedOutsideWindow === 0 &&
      figures.takeoverMs <= 2 * LEASE_MS;
    return { figures, held };
  } finally {
    await scene.stop();
    await db?.close();
    await postgres.stop();
    await folder.dispose();
  }
}

/** The worker processes, and where they write down what they do. */
class Scene {
  readonly workers: WorkerProcess[] = [];
  readonly effects: string;
  readonly #folder: string;
  readonly #databaseUrl: string;

  constructor(folder: string, databaseUrl: string) {
    this.#folder = folder;
    this.#databaseUrl = databaseUrl;
    this.effects = join(folder, 'effects.log');
  }

  async startWorker(index: number): Promise<void> {
    const port = this.workers[index]?.port ?? (await freePort());
    const script = join(import.meta.dirname, 'engine-chaos-worker.ts');
    const child = spawn(process.execPath, [script, this.#folder, String(port), this.effects], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, AIOS_LOG: 'error', AIOS_LIMITS: LIMITS, AIOS_DATABASE_URL: this.#databaseUrl },
    });
    this.workers[index] = { child, port };
    await Promise.race([
      once(child.stdout!, 'data'),
      once(child, 'exit').then(([code]) =>
        Promise.reject(new Error(`a worker ended with exit code ${code}`)),
      ),
    ]);
  }

  async kill(index: number): Promise<number> {
    const { child } = this.workers[index]!;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    return child.pid!;
  }

  async stop(): Promise<void> {
    for (const { child } of this.workers) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
  }
}

/** Waits until so many effects have been done: a fault then meets runs under way, however busy the machine is. */
async function effectsDone(file: string, count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    await sleep(20);
    done = (await readFile(file, 'utf8').catch(() => '')).split('\n').length - 1;
  }
}

/** Does what the round draws; answers with when it began and ended, and whom it struck. */
async function strike(
  kind: (typeof KINDS)[number],
  scene: Scene,
  random: () => number,
  killPostgres: () => void,
): Promise<Fault> {
  const index = random() < 0.5 ? 0 : 1;
  const fromMs = Date.now();
  if (kind === 'Postgres') {
    killPostgres();
    return { kind, pids: scene.workers.map(({ child }) => child.pid!), fromMs, untilMs: fromMs + 10_000 };
  }
  if (kind === 'frozen worker') {
    const { child } = scene.workers[index]!;
    child.kill('SIGSTOP');
    await sleep(LEASE_MS * 2);
    child.kill('SIGCONT');
    return { kind, pids: [child.pid!], fromMs, untilMs: Date.now() + LEASE_MS };
  }
  const struck = kind === 'worker' ? [index] : [0, 1];
  const pids = await Promise.all(struck.map((each) => scene.kill(each)));
  // One that is left takes the runs over first; with none left they begin again at once.
  if (kind === 'worker') await sleep(2.5 * LEASE_MS);
  await Promise.all(struck.map((each) => scene.startWorker(each)));
  return { kind, pids, fromMs, untilMs: Date.now() + 2 * LEASE_MS };
}

/** Starts the runs of a round over both workers; what gets no answer is sent again to the other one, under the same key. */
async function startRuns({ workers }: Scene, key: string, round: number): Promise<void> {
  let next = 0;
  const starter = async () => {
    while (next < RUNS) {
      const number = next++;
      for (
        let attempt = number;
        !(await start(workers[attempt % 2]!.port, key, `${round}-${number}`));
        attempt++
      ) {
        await sleep(20);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, starter));
}

async function start(port: number, key: string, idempotencyKey: string): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/workflows/chaos/runs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
      },
      body: '{"input":{}}',
      signal: AbortSignal.timeout(5_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // killed, frozen, or not up again yet
  }
}

/** Waits until no run is open, or for a minute; answers with how many are. */
async function settle(db: Database): Promise<number> {
  for (let look = 0; ; look++) {
    const open = await db
      .query<{ count: number }>("select count(*) as count from workflow_runs where status <> 'completed'")
      .then(
        ([row]) => row!.count,
        () => -1, // Postgres starts again
      );
    if (open === 0 || look === 240) return open;
    await sleep(250);
  }
}
