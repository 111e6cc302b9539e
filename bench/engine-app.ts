// AIOS as a program that embeds it: everything on (ledger, telemetry, leases, its HTTP door), with functions of the program's own.
import { createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { FLOWS, TIMER_MS } from './engine-flows.ts';
import { FUNCTIONS, marked } from './engine-functions.ts';
import { serveLoad } from './engine-load.ts';

const [dataDir, port] = process.argv.slice(2) as [string, string];
const app = await createApp({
  dataDir,
  databaseUrl: process.env.AIOS_DATABASE_URL,
  host: '127.0.0.1',
  port: Number(port),
  limits: limitsFrom(process.env.AIOS_LIMITS),
  functions: FUNCTIONS,
});
await app.apply(FLOWS);
app.ready();
const { engine, commit } = app.stations;

async function runs(workflow: string, index: number): Promise<undefined> {
  const { status } = await engine.run({ workflow, input: { index } }, 30_000);
  if (status !== 'completed') throw new Error(`a run of ${workflow} is ${status}`);
  return undefined;
}

/** What is measured of each flow, in milliseconds; the whole run where nothing is said. */
const LATENCIES: Record<string, (index: number) => Promise<number>> = {
  /** From the start to its first step, an effect: the run is durable by then. */
  async first(index) {
    const from = performance.now();
    const [at] = await Promise.all([marked(index), runs('first', index)]);
    return at - from;
  },
  /** From the signal, before its commit, to the step after the wait of a run that was in no memory. */
  async signal(index) {
    const { runId } = await engine.run({ workflow: 'signal', input: { index } }, 30_000);
    const at = marked(index);
    const from = performance.now();
    await commit.commit([engine.signal({ runId, stepKey: 'held', payload: {} })]);
    return (await at) - from;
  },
  /** How late a timer of 2 s rings, from the start of the run: what the run takes to begin is in it. */
  async timer(index) {
    const from = performance.now();
    const at = marked(index);
    await engine.start({ workflow: 'timer', input: { index } });
    return (await at) - from - TIMER_MS;
  },
  /** Leaves a waiting run behind. */
  async held(index) {
    const from = performance.now();
    await engine.run({ workflow: 'signal', input: { index } }, 30_000);
    return performance.now() - from;
  },
};

await serveLoad((flow, index) => LATENCIES[flow]?.(index) ?? runs(flow, index));
await app.stop();
