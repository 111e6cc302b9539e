import { startEmbeddedPostgres } from '../src/store/embedded.ts';
import { type EmbeddedSide, type Side, startWorker } from './engine-sides.ts';
import { median, round3 } from './load.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const WAITING = 100_000;
const AT_ONCE = 64;

/** How soon AIOS begins, goes on after a signal and rings a timer; what runs that wait cost, in memory and to the others. */
export async function measureWaits(
  aios: EmbeddedSide,
  { rounds, roundMs, progress }: BenchOptions,
): Promise<Figures> {
  const alone = { atOnce: 1, durationMs: roundMs };
  const p50 = async (flow: string) => {
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) values.push((await aios.run({ flow, ...alone })).p50Ms);
    return median(values);
  };
  const firstStepP50Ms = await p50('first');
  const signalP50Ms = await p50('signal');
  progress(`first step after ${firstStepP50Ms.toFixed(2)} ms, after a signal ${signalP50Ms.toFixed(2)} ms`);
  const timer = await aios.run({ flow: 'timer', atOnce: 100, durationMs: 1 });
  const rates = { before: [] as number[], with: [] as number[] };
  const effects = async () => {
    const { runs, wallMs } = await aios.run({ flow: 'effects', atOnce: AT_ONCE, durationMs: roundMs });
    return (runs / wallMs) * 1000;
  };
  for (let round = 0; round < rounds; round++) rates.before.push(await effects());
  const { memoryMb: before } = await aios.run({ flow: 'effects', atOnce: 1, durationMs: 1 });
  const { runs } = await aios.run({ flow: 'held', atOnce: 256, durationMs: 600_000, runsMax: WAITING });
  const { memoryMb: after } = await aios.run({ flow: 'effects', atOnce: 1, durationMs: 1 });
  for (let round = 0; round < rounds; round++) rates.with.push(await effects());
  progress(`${runs} waiting runs: ${(after - before).toFixed(1)} MB`);
  return {
    firstStepP50Ms: round3(firstStepP50Ms),
    signalP50Ms: round3(signalP50Ms),
    timerLateP99Ms: round3(timer.p99Ms),
    waitingRuns: runs,
    waitingMb: round3(after - before),
    rateWithWaiting: round3(median(rates.with) / median(rates.before)),
  };
}

/** How many times the rate of one worker process two have, over one database, on a flow whose effects use a core. */
export async function measureWorkers({ rounds, roundMs, progress }: BenchOptions): Promise<Figures> {
  const folders = await Promise.all([temporaryFolder(), temporaryFolder()]);
  const postgres = await startEmbeddedPostgres({ dataDir: `${folders[0]!.path}/postgres` });
  const { host, port, user, password, database } = postgres.target as Record<string, string>;
  const url = `postgres://${user}:${password}@${host}:${port}/${database}`;
  const workers: Side[] = [];
  try {
    workers.push(await startWorker('one', folders[1]!.path, url));
    workers.push(await startWorker('two', folders[1]!.path, url));
    const rateOf = async (sides: readonly Side[]) => {
      const order = { flow: 'work', atOnce: AT_ONCE / sides.length, durationMs: roundMs };
      const results = await Promise.all(sides.map((side) => side.run(order)));
      return results.reduce((sum, { runs, wallMs }) => sum + (runs / wallMs) * 1000, 0);
    };
    const gains: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const [one, both] = [await rateOf(workers.slice(0, 1)), await rateOf(workers)];
      progress(
        `${round < 0 ? 'warm-up' : `round ${round + 1}`} one worker ${Math.round(one)}/s, two ${Math.round(both)}/s`,
      );
      if (round >= 0) gains.push(both / one);
    }
    return { twoWorkersGain: round3(median(gains)) };
  } finally {
    for (const worker of workers) await worker.stop();
    await postgres.stop();
    for (const folder of folders) await folder.dispose();
  }
}
