import type { BenchOptions, Figures } from './run.ts';

const PARTS = {
  events: () => import('./data-events.ts'),
  features: () => import('./data-features.ts'),
  join: () => import('./data-join.ts'),
  dataset: () => import('./data-dataset.ts'),
};

/**
 * The data plane, each part against what it stands on: `data-events` (ingest, posts, consumers), `data-features` (online vectors, windows), `data-join` (joins of the
 * past against Feast) and `data-dataset` (the memory of making a dataset), one after the other, their figures together.
 */
export async function bench(options: BenchOptions): Promise<Figures> {
  const figures: Figures = {};
  for (const [name, load] of Object.entries(PARTS)) {
    if (options.part !== undefined && options.part !== name) continue;
    options.progress(`— ${name}`);
    Object.assign(figures, await (await load()).bench({ ...options, part: undefined }));
  }
  return figures;
}
