import { createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import type { ProjectFile } from '../src/store/definition-kind.ts';
import { FUNCTIONS } from './engine-functions.ts';
import { temporaryFolder } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';

const COLLECT = globalThis.gc ?? (() => {});

const flow = (name: string, body: string): ProjectFile => ({
  path: `workflows/${name}.yaml`,
  bytes: Buffer.from(
    `document: { dsl: '1.0.3', namespace: bench, name: ${name}, version: '1.0.0' }\nevaluate: { language: cel }\ndo:\n${body}\n`,
  ),
});

const loop = (kind: string) =>
  flow(
    `for-${kind}`,
    `  - each: { for: { each: item, in: '\${ input.items }' }, do: [ { one: { call: '${kind}:1@default', with: { index: '\${ item }', step: 1 } } } ] }`,
  );

const line = (steps: number) =>
  flow(
    `steps-${steps}`,
    Array.from(
      { length: steps },
      (_, step) => `  - s${step}: { call: 'pure:1@default', with: { index: 0, step: ${step} } }`,
    ).join('\n'),
  );

/**
 * What a step costs as flows grow, over Postgres: a flow of 1,000 and of 10,000 steps, a `for` over 1,000 to 100,000 items, one of effects.
 * There is a cliff where a larger one costs more a step than a smaller one, or keeps memory when it has ended.
 */
export async function bench({ rounds, progress }: BenchOptions): Promise<Figures> {
  const folder = await temporaryFolder();
  const app = await createApp({
    dataDir: folder.path,
    host: '127.0.0.1',
    port: 0,
    limits: limitsFrom(),
    functions: FUNCTIONS,
  });
  try {
    await app.apply([loop('pure'), loop('effect'), line(1_000), line(10_000)]);
    app.ready();
    const figures: Record<string, number> = {};
    const measure = async (workflow: string, size: number) => {
      const input = { items: Array.from({ length: size }, (_, index) => index) };
      const { engine } = app.stations;
      const micros: number[] = [];
      const kept: number[] = [];
      for (let round = 0; round < rounds; round++) {
        COLLECT();
        const before = process.memoryUsage().heapUsed;
        const from = performance.now();
        const { status } = await engine.run({ workflow, input }, 600_000);
        if (status !== 'completed') throw new Error(`${workflow} of ${size} is ${status}`);
        micros.push(((performance.now() - from) * 1000) / size);
        COLLECT();
        kept.push((process.memoryUsage().heapUsed - before) / 1e6);
      }
      const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
      figures[`${workflow}/${size} µs a step`] = Math.round(middle(micros) * 10) / 10;
      figures[`${workflow}/${size} MB kept`] = Math.round(middle(kept) * 10) / 10;
      progress(
        `${workflow} ${size}: ${middle(micros).toFixed(1)} µs a step, ${middle(kept).toFixed(1)} MB kept`,
      );
    };
    for (const size of [1_000, 10_000]) await measure(`steps-${size}`, size);
    for (const size of [1_000, 10_000, 100_000]) await measure('for-pure', size);
    for (const size of [1_000, 10_000]) await measure('for-effect', size);
    return figures;
  } finally {
    await app.stop();
    await folder.dispose();
  }
}
