import { installPeers, type Side, startAios, startDbos, startRestate } from './engine-sides.ts';
import { measureWaits, measureWorkers } from './engine-waits.ts';
import { median, round3 } from './load.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const AT_ONCE = 64;
/** Before the first counted round: compilers and caches are warm afterwards. */
const WARM_UP_MS = 4000;

interface Sample {
  rate: number;
  p50: number;
  /** Of the server, the app and the database together. */
  cpuPerRun: number;
}
/** By flow and number at once: `effects/64`. */
type Samples = Map<string, Map<Side, Sample[]>>;

const ORDERS = [
  { flow: 'effects', atOnce: AT_ONCE },
  { flow: 'pure', atOnce: AT_ONCE },
  { flow: 'effects', atOnce: 1 },
] as const;

/**
 * Durable runs against DBOS (called in process, as AIOS when it is embedded) and against Restate (over HTTP, as AIOS by its door), in turn:
 * five effects, and five pure steps with one effect. Ratios are medians over the rounds of one run.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  installPeers(options.progress);
  const folders = await Promise.all([temporaryFolder(), temporaryFolder(), temporaryFolder()]);
  const stops: (() => Promise<void>)[] = [];
  try {
    const { embedded, http } = await startAios(folders[0]!.path);
    stops.push(() => embedded.stop());
    const dbos = await startDbos(folders[1]!.path);
    stops.push(() => dbos.stop());
    const restate = await startRestate(folders[2]!.path);
    stops.push(() => restate.stop());
    const samples = await measure([embedded, dbos, http, restate], options);
    return {
      ...figuresOf(samples, { embedded, dbos, http, restate }),
      ...(await measureWaits(embedded, options)),
      ...(await measureWorkers(options)),
    };
  } finally {
    for (const stop of stops) await stop();
    for (const folder of folders) await folder.dispose();
  }
}

async function measure(
  sides: readonly Side[],
  { rounds, roundMs, progress }: BenchOptions,
): Promise<Samples> {
  const samples: Samples = new Map();
  for (let round = -1; round < rounds; round++) {
    for (const order of ORDERS) {
      const key = `${order.flow}/${order.atOnce}`;
      const bySide = samples.get(key) ?? new Map<Side, Sample[]>();
      samples.set(key, bySide);
      for (const side of sides) {
        const sample = await sampleOf(side, { ...order, durationMs: round < 0 ? WARM_UP_MS : roundMs });
        progress(
          `${round < 0 ? 'warm-up' : `round ${round + 1}`} ${key} ${side.name}: ${Math.round(sample.rate)}/s, p50 ${sample.p50.toFixed(1)} ms, ${sample.cpuPerRun.toFixed(2)} CPU-ms a run`,
        );
        if (round >= 0) bySide.set(side, [...(bySide.get(side) ?? []), sample]);
      }
    }
  }
  return samples;
}

async function sampleOf(side: Side, order: Parameters<Side['run']>[0]): Promise<Sample> {
  const before = await side.cpuMs();
  const { runs, wallMs, p50Ms } = await side.run(order);
  return { rate: (runs / wallMs) * 1000, p50: p50Ms, cpuPerRun: ((await side.cpuMs()) - before) / runs };
}

function figuresOf(
  samples: Samples,
  { embedded, dbos, http, restate }: Record<'embedded' | 'dbos' | 'http' | 'restate', Side>,
): Figures {
  const of = (key: string, side: Side, pick: keyof Sample) =>
    samples
      .get(key)!
      .get(side)!
      .map((sample) => sample[pick]);
  /** How many times the left side's figure the right side's is, round by round. */
  const times = (key: string, left: Side, right: Side, pick: keyof Sample) => {
    const rights = of(key, right, pick);
    return round3(median(of(key, left, pick).map((value, round) => value / rights[round]!)));
  };
  const middle = (key: string, side: Side, pick: keyof Sample) => round3(median(of(key, side, pick)));
  const [effects, pure, solo] = ['effects/64', 'pure/64', 'effects/1'];
  return {
    effectsVsDbos: times(effects!, embedded, dbos, 'rate'),
    effectsVsRestate: times(effects!, http, restate, 'rate'),
    pureVsDbos: times(pure!, embedded, dbos, 'rate'),
    pureVsRestate: times(pure!, http, restate, 'rate'),
    soloP50VsDbos: times(solo!, embedded, dbos, 'p50'),
    soloP50VsRestate: times(solo!, http, restate, 'p50'),
    cpuVsDbos: times(effects!, embedded, dbos, 'cpuPerRun'),
    cpuVsRestate: times(effects!, http, restate, 'cpuPerRun'),
    ...Object.fromEntries(
      [embedded, dbos, http, restate].flatMap((side) =>
        [...samples.keys()].flatMap((key) =>
          (['rate', 'p50', 'cpuPerRun'] as const).map((pick) => [
            `${side.name} ${key} ${pick}`,
            middle(key, side, pick),
          ]),
        ),
      ),
    ),
  };
}
