// `npm run bench -- NAME [--json] [options]`: runs one bench; with --json the last line is {"bench":NAME,"figures":{…}}.
const [name, ...rest] = process.argv.slice(2);
const BENCHES: Record<string, () => Promise<{ bench(options: BenchOptions): Promise<Figures> }>> = {
  path: () => import('./path.ts'),
  engine: () => import('./engine.ts'),
  data: () => import('./data.ts'),
  'data-events': () => import('./data-events.ts'),
  sizes: () => import('./sizes.ts'),
  serving: () => import('./serving.ts'),
  ensembles: () => import('./ensembles.ts'),
  'data-features': () => import('./data-features.ts'),
  'data-join': () => import('./data-join.ts'),
  bridges: () => import('./bridges.ts'),
  idle: () => import('./idle.ts'),
};

export interface BenchOptions {
  /** Interleaved rounds; the figures are medians over them. */
  rounds: number;
  /** How long each side is measured per round. */
  roundMs: number;
  /** One part of a bench that has several; all when left out. */
  part?: string | undefined;
  progress(line: string): void;
}
export type Figures = Record<string, number | boolean | null>;

const load = BENCHES[name ?? ''];
if (!load) {
  console.error(`Which bench? One of: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(64);
}
const option = (flag: string, fallback: number) => {
  const at = rest.indexOf(flag);
  return at === -1 ? fallback : Number(rest[at + 1]);
};
const figures = await (await load()).bench({
  rounds: option('--rounds', 5),
  roundMs: option('--round-ms', 5000),
  part: rest.includes('--part') ? rest[rest.indexOf('--part') + 1] : undefined,
  progress: (line) => process.stderr.write(`${line}\n`),
});
if (rest.includes('--json')) console.log(JSON.stringify({ bench: name, figures }));
else console.table(figures);
