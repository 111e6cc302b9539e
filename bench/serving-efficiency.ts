import { median, round3 } from './load.ts';
import type { Figures } from './run.ts';
import type { LoadReport } from './serving-load.ts';
import { MODELS, type ModelName } from './serving-models.ts';
import type { Side } from './serving-processes.ts';
import type { RawCommand, RawReport } from './serving-sides.ts';

export interface Round extends LoadReport {
  /** A request, in microseconds: of the whole server, its main process, its replicas. */
  readonly servedUs: number;
  readonly frontUs: number;
  readonly replicaUs: number;
}

const RAW_MS = 300;
const BESIDE_MS = 1000;
/** Batches of the raw runtime; what a model costs in its best one counts. */
const BATCHES: Record<ModelName, number> = { small: 64, trees: 32, large: 64, cnn: 64 };
/** The empty handler that takes bodies of the same size. */
export const EMPTY: Record<ModelName, string> = {
  small: 'empty',
  trees: 'empty',
  large: 'empty, large bodies',
  cnn: 'empty, cnn bodies',
};

/** What the parts of an inference cost without AIOS. */
interface Parts {
  /** The runtime alone on the machine. */
  readonly raw: RawReport;
  /** The runtime and the empty handler under load at the same time. */
  readonly beside: { readonly raw: RawReport; readonly empty: Round };
}

/** One of the targets in one round, by its name. */
type RoundOf = (name: string) => Round;
type AskEmpty = (model: ModelName, durationMs: number) => Promise<Round>;

/**
 * Compares what a served request costs with its parts. Each part by itself is cheaper than in company: two processors of one core share its caches and its units, and a row of the
 * 9.5 MB model costs 27 µs beside nothing, 36 beside an empty handler under load. So the parts are measured at the same time too, the runtime with as many rows a second as were served.
 */
export class Efficiency {
  readonly #raw: Side<RawCommand, RawReport>;
  readonly #files: Record<ModelName, string>;
  readonly #parts: Record<ModelName, Parts>[] = [];
  readonly #ones: RawReport[] = [];

  constructor(raw: Side<RawCommand, RawReport>, files: Record<ModelName, string>) {
    this.#raw = raw;
    this.#files = files;
  }

  async measure(served: RoundOf, askEmpty: AskEmpty): Promise<void> {
    const parts = {} as Record<ModelName, Parts>;
    for (const model of Object.keys(MODELS) as ModelName[]) {
      const ask = { model, file: this.#files[model], batch: BATCHES[model] };
      const alone = await this.#raw.ask({ ...ask, durationMs: RAW_MS });
      const rowsPerSecond = served(model).perSecond;
      const [empty, raw] = await Promise.all([
        askEmpty(model, BESIDE_MS),
        this.#raw.ask({ ...ask, durationMs: BESIDE_MS, rowsPerSecond }),
      ]);
      parts[model] = { raw: alone, beside: { raw, empty } };
    }
    this.#parts.push(parts);
    const one = { model: 'small', file: this.#files.small, batch: 1, durationMs: RAW_MS } as const;
    this.#ones.push(await this.#raw.ask(one));
  }

  /** The figures that compare sides, each the median of what the rounds say. */
  figures(kept: ReadonlyMap<string, readonly Round[]>): Figures {
    const over = (name: string, pick: (round: Round, i: number) => number) =>
      round3(median(kept.get(name)!.map(pick)));
    const empty = (model: ModelName, i: number) => kept.get(EMPTY[model])![i]!;
    const part = (model: ModelName, i: number) => this.#parts[i]![model];
    const cpu = (model: ModelName) =>
      over(model, ({ servedUs }, i) => {
        const { beside } = part(model, i);
        return (beside.empty.servedUs + beside.raw.cpuUsPerRow) / servedUs;
      });
    const cpuApart = (model: ModelName) =>
      over(
        model,
        ({ servedUs }, i) => (empty(model, i).servedUs + part(model, i).raw.cpuUsPerRow) / servedUs,
      );
    const gain = (model: ModelName) =>
      over(model, ({ perSecond }, i) => perSecond / kept.get(`${model}-alone`)![i]!.perSecond);
    return {
      cpuEfficiencySmall: cpu('small'),
      cpuEfficiencyTrees: cpu('trees'),
      cpuEfficiencyCnn: cpu('cnn'),
      cpuEfficiencyLarge: cpu('large'),
      cpuEfficiencySmallApart: cpuApart('small'),
      cpuEfficiencyTreesApart: cpuApart('trees'),
      cpuEfficiencyCnnApart: cpuApart('cnn'),
      cpuEfficiencyLargeApart: cpuApart('large'),
      batchedGainSmall: gain('small'),
      batchedGainLarge: gain('large'),
      p99OverEmptySmallMs: over('small', ({ p99Ms }, i) => p99Ms - empty('small', i).p99Ms),
      p99OverEmptyLargeMs: over('large', ({ p99Ms }, i) => p99Ms - empty('large', i).p99Ms),
      p50OverRawMs: over('small by one client', ({ p50Ms }, i) => p50Ms - this.#ones[i]!.p50Ms),
      ...this.#rawFigures(),
    };
  }

  #rawFigures(): Figures {
    const figures: Figures = {};
    for (const model of Object.keys(MODELS) as ModelName[]) {
      const of = (pick: (parts: Parts) => number) =>
        round3(median(this.#parts.map((round) => pick(round[model]))));
      figures[`${model} rawCpuUsPerRow`] = of(({ raw }) => raw.cpuUsPerRow);
      figures[`${model} rawCpuUsPerRow beside an empty handler`] = of(({ beside }) => beside.raw.cpuUsPerRow);
      figures[`${EMPTY[model]} servedUs beside ${model}`] = of(({ beside }) => beside.empty.servedUs);
    }
    return figures;
  }
}
