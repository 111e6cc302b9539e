import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { quantile } from './load.ts';

/** What the bench asks of an engine that is called in its own process: one line of JSON on its standard input. */
export interface LoadOrder {
  flow: string;
  atOnce: number;
  durationMs: number;
  /** Ends the load earlier, after so many runs. */
  runsMax?: number;
}
export interface LoadAnswer {
  runs: number;
  wallMs: number;
  p50Ms: number;
  p99Ms: number;
  /** Memory of the process after a collection of garbage: heap in use and what lies outside it, in 10^6 bytes. */
  memoryMb: number;
}

/** Answers each order with a closed loop of so many runs at once, until the standard input ends. A run may say itself what is to be counted as its latency. */
export async function serveLoad(
  run: (flow: string, index: number) => Promise<number | undefined>,
): Promise<void> {
  let index = 0;
  const answer = async ({
    flow,
    atOnce,
    durationMs,
    runsMax = Number.POSITIVE_INFINITY,
  }: LoadOrder): Promise<LoadAnswer> => {
    const latenciesMs: number[] = [];
    const last = index + runsMax;
    const from = performance.now();
    const client = async () => {
      let begun = from;
      while (begun - from < durationMs && index < last) {
        const own = await run(flow, index++);
        const ended = performance.now();
        latenciesMs.push(own ?? ended - begun);
        begun = ended;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, client));
    latenciesMs.sort((a, b) => a - b);
    const wallMs = performance.now() - from;
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    return {
      runs: latenciesMs.length,
      wallMs,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      memoryMb: (heapUsed + external) / 1e6,
    };
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => console.log(JSON.stringify(await answer(JSON.parse(line)))));
  console.log(JSON.stringify({ ready: true }));
  await once(lines, 'close');
}
