import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDb, literal } from '../src/features/offline/duckdb.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { pythonEnvironment } from '../src/testing/python.ts';
import { median, round3 } from './load.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const run = promisify(execFile);
const ENTITY_ROWS = 1_000_000;
const FEATURE_ROWS = 5_000_000;
const CUSTOMERS = 100_000;
const HOURS = 365 * 24;
const TTL_DAYS = 90;
const SAMPLES = 10_000;
const FEAST = ['feast[duckdb]==0.67.0'];
const SIDE_MS = 600_000;

interface Side {
  ms: number;
  peakMb: number;
}

/** A row of features, its times in microseconds. */
interface FeatureRow {
  customer: number;
  t: number;
  c: number;
  amount: number | null;
  orders: number;
  rate: number;
  tier: string;
  version: number;
}

/**
 * Historical features of a million places from five million rows in a Parquet file, from files to a file: this product, and Feast on its own DuckDB
 * store. Each side is a process of its own, which says how long the join took without its start; they take turns.
 */
export async function bench({ rounds, progress }: BenchOptions): Promise<Figures> {
  const { path, dispose } = await temporaryFolder();
  const folder = await realpath(path);
  const duck = await DuckDb.open({ folders: [folder], limits: limitsFrom() });
  try {
    await writeFiles(duck, folder);
    const python = await pythonEnvironment(FEAST);
    progress(python ? 'Feast is there' : 'Feast cannot be installed here');
    const ours: Side[] = [];
    const feast: Side[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(
        await side(process.execPath, [
          join(import.meta.dirname, 'data-join-side.ts'),
          folder,
          `${TTL_DAYS}d`,
        ]),
      );
      if (python)
        feast.push(
          await side(python, [join(import.meta.dirname, 'peers', 'feast-join.py'), folder, String(TTL_DAYS)]),
        );
      progress(`round ${round + 1}: ${describe(ours.at(-1))}, Feast ${describe(feast.at(-1))}`);
    }
    const mismatches = await sampleMismatches(duck, folder);
    const ms = median(ours.map((each) => each.ms));
    return {
      joinMs: Math.round(ms),
      feastJoinMs: python ? Math.round(median(feast.map((each) => each.ms))) : null,
      joinVsFeast: python ? round3(median(feast.map((each, at) => each.ms / ours[at]!.ms))) : null,
      joinMismatches: mismatches,
      joinFeastMismatches: python ? await feastMismatches(duck, folder) : null,
      joinPeakMb: Math.round(Math.max(...ours.map(({ peakMb }) => peakMb))),
      feastJoinPeakMb: python ? Math.round(Math.max(...feast.map(({ peakMb }) => peakMb))) : null,
    };
  } finally {
    await duck.close();
    await dispose();
  }
}

async function side(command: string, args: readonly string[]): Promise<Side> {
  const { stdout } = await run(command, args, { timeout: SIDE_MS, maxBuffer: 16 * 1024 * 1024 });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Side;
}

function describe(told: Side | undefined): string {
  return told ? `${Math.round(told.ms)} ms, ${Math.round(told.peakMb)} MiB at most` : 'none';
}

/** Rows of one customer and hour come up, some of them written in the same hour, too: 1 of 400 has such a twin. */
async function writeFiles(duck: DuckDb, folder: string): Promise<void> {
  const hour = (seed: number) =>
    `timestamptz '2025-01-01' + to_hours((hash(range * 7 + ${seed}) % ${HOURS})::bigint)`;
  await duck.run(
    `copy (select (hash(range) % ${CUSTOMERS})::bigint as customer, ${hour(1)} as event_timestamp, ${hour(1)} + to_hours((hash(range * 13) % 4)::bigint) as created,
       case when range % 20 > 0 then (hash(range * 3) % 1000000) / 100.0::double end as amount, (hash(range * 5) % 1000)::bigint as orders,
       (hash(range * 11) % 100) / 100.0::double as rate, 'tier-' || (hash(range * 17) % 5) as tier, range::bigint as version
     from range(${FEATURE_ROWS})) to ${literal(join(folder, 'features.parquet'))} (format parquet)`,
  );
  await duck.run(
    `copy (select (hash(range + 99) % ${CUSTOMERS * 1.05})::bigint as customer, ${hour(3)} + interval '30 minutes' as event_timestamp, range::bigint as label
     from range(${ENTITY_ROWS})) to ${literal(join(folder, 'entities.parquet'))} (format parquet)`,
  );
}

/** How many of the sampled rows are not what the rule in plain words gives. */
async function sampleMismatches(duck: DuckDb, folder: string): Promise<number> {
  const file = (name: string) => `read_parquet(${literal(join(folder, name))})`;
  const every = ENTITY_ROWS / SAMPLES;
  const sampled = await duck.all<Omit<FeatureRow, 'c'>>(
    `select customer, epoch_us(event_timestamp) as t, amount, orders, rate, tier, version from ${file('aios.parquet')} where label % ${every} = 0`,
  );
  const rows = new Map<number, FeatureRow[]>();
  const wanted = `select customer from ${file('entities.parquet')} where label % ${every} = 0`;
  const columns =
    'customer, epoch_us(event_timestamp) as t, epoch_us(created) as c, amount, orders, rate, tier, version';
  for await (const chunk of duck.chunks<FeatureRow>(
    `select ${columns} from ${file('features.parquet')} where customer in (${wanted})`,
  )) {
    for (const row of chunk) rows.set(row.customer, [...(rows.get(row.customer) ?? []), row]);
  }
  if (sampled.length !== SAMPLES) throw new Error(`${sampled.length} sampled rows`);
  return sampled.filter((found) => {
    const best = newest(rows.get(found.customer) ?? [], found.t);
    return (['amount', 'orders', 'rate', 'tier', 'version'] as const).some(
      (name) => found[name] !== (best?.[name] ?? null),
    );
  }).length;
}

function newest(rows: readonly FeatureRow[], at: number): FeatureRow | undefined {
  const oldest = at - TTL_DAYS * 86_400_000_000;
  return rows
    .filter(({ t }) => t <= at && t >= oldest)
    .reduce<FeatureRow | undefined>((best, row) => (best && isNewer(best, row) ? best : row), undefined);
}

/** By its time, then by when it was written, then by its values as text. */
function isNewer(a: FeatureRow, b: FeatureRow): boolean {
  if (a.t !== b.t) return a.t > b.t;
  if (a.c !== b.c) return a.c > b.c;
  return textOf(a) > textOf(b);
}

function textOf({ amount, orders, rate, tier, version }: FeatureRow): string {
  return `{"amount" : ${amount}, "orders" : ${orders}, "rate" : ${rate}, "tier" : "${tier}", "version" : ${version}}`;
}

/** Rows where Feast chose another one, but for twins in both times, between which it takes any. */
async function feastMismatches(duck: DuckDb, folder: string): Promise<number> {
  const file = (name: string) => `read_parquet(${literal(join(folder, name))})`;
  const [counted] = await duck.all<{ missing: number; differing: number }>(
    `select ${ENTITY_ROWS} - count(*) as missing, count(*) filter (where a.version is distinct from f.version and
       (x.event_timestamp, x.created) is distinct from (y.event_timestamp, y.created)) as differing
     from ${file('aios.parquet')} a join ${file('feast.parquet')} f using (label)
     left join ${file('features.parquet')} x on x.version = a.version left join ${file('features.parquet')} y on y.version = f.version`,
  );
  return counted!.missing + counted!.differing;
}
