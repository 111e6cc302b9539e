// `npm run chaos -- NAME [--json] [--rounds N] [--seed N] [--workers N]`: the product under kill -9 at random moments; exit code 1 when a promise did not hold.
import { parseArgs } from 'node:util';

export interface ChaosOptions {
  rounds: number;
  /** The same seed, the same faults at the same times. */
  seed: number;
  /** Processes on the server's database that are killed, too. */
  workers: number;
  say(line: string): void;
}
export interface ChaosResult {
  figures: Record<string, number | boolean>;
  /** Whether every promise held. */
  held: boolean;
}

const CHAOS: Record<string, () => Promise<{ chaos(options: ChaosOptions): Promise<ChaosResult> }>> = {
  path: () => import('./path-chaos.ts'),
  engine: () => import('./engine-chaos.ts'),
  events: () => import('./events-chaos.ts'),
  materialize: () => import('./materialize-chaos.ts'),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string', default: '20' },
    workers: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
  },
});
const name = positionals[0] ?? '';
const load = CHAOS[name];
if (!load) {
  console.error(`Which chaos? One of: ${Object.keys(CHAOS).join(', ')}`);
  process.exit(64);
}
const say = (line: string) => void process.stderr.write(`${line}\n`);
say(`seed ${values.seed}`);
const { figures, held } = await (await load()).chaos({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  workers: Number(values.workers),
  say,
});
if (values.json) console.log(JSON.stringify({ bench: name, figures }));
else console.table(figures);
process.exitCode = held ? 0 : 1;
