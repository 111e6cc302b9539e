import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { StoreFixture } from './engine-conformance-world.ts';
import { definitionOf, type ModelStep, randomFlow } from './model-flows.ts';
import { type Deed, judge } from './model-reference.ts';
import { type Crash, type Performed, perform } from './model-run.ts';
import { memoryFixture, postgresFixture } from './stores-under-test.ts';

/**
 * The same flows and crashes each time (who is first among equals is chance), so that a red run says that the change made it so. `MODEL_SEED=random`
 * looks for more, another number repeats what that found, `MODEL_RUNS` asks for more of them.
 */
const asked = process.env.MODEL_SEED ?? '991363402';
const SEED = asked === 'random' ? Math.floor(Math.random() * 0x7fffffff) : Number(asked);
const RUNS = Number(process.env.MODEL_RUNS ?? 0);

const crash: fc.Arbitrary<Crash> = fc.record({
  how: fc.constantFrom('before', 'lost', 'call', 'frozen', 'stuck'),
  at: fc.integer({ min: 0, max: 7 }),
});
const crashes = fc.array(crash, { maxLength: 3 });
const input = fc.integer({ min: 0, max: 20 });

describe.each([
  ['memory', memoryFixture, RUNS || 100],
  ['Postgres', postgresFixture, RUNS || 10],
] as const)('random flows with random crashes over the %s store', (_, open, numRuns) => {
  let fixture: StoreFixture;
  beforeAll(async () => {
    fixture = await open();
  });
  afterAll(() => fixture.close());

  it('do what the reference interpreter says, whatever is lost on the way', async () => {
    const property = fc.asyncProperty(randomFlow, input, crashes, async (flow, given, lost) => {
      agree(flow, given, await perform(fixture, definitionOf(flow), given, lost));
    });
    const outcome = await fc.check(property, {
      numRuns,
      seed: SEED,
      ...(RUNS ? {} : { interruptAfterTimeLimit: 25_000 }),
    });
    if (!outcome.failed) return;
    const [flow, given, lost] = outcome.counterexample!;
    throw new Error(
      `MODEL_SEED=${SEED} (path ${outcome.counterexamplePath}), input ${given}, crashes ${JSON.stringify(lost)}:\n${stringify(definitionOf(flow).do, { collectionStyle: 'flow', lineWidth: 0 })}\n${outcome.errorInstance}`,
    );
  });
});

/** Holds what was done to what the reference makes of the same flow. */
function agree(flow: readonly ModelStep[], given: number, performed: Performed): void {
  const { run, entries, effects, emitted, faults, crashes: lives } = performed;
  expect(faults).toEqual([]);
  const keys = entries.map(({ k }) => k);
  expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  const verdict = judge(flow, given, new Map(entries.map((entry) => [entry.k, entry])));
  const { result } = run;
  if (verdict.error) expect(result?.error).toMatchObject(verdict.error);
  else expect(result).toEqual({ output: verdict.output });
  hold(verdict.effects, effects);
  hold(
    verdict.emitted,
    emitted.map((key) => ({ key })),
  );
  expect(emitted.filter((key, index) => emitted.indexOf(key) !== index)).toEqual([]);
  for (const { key, idempotencyKey, life } of effects) {
    expect(idempotencyKey).toBe(`${run.id}/${key.replace(/\^\d+/g, '')}`);
    // Of one whose process was lost there need be no record, when the branch that it was in is not gone through again.
    if (life === lives) expect(keys).toContain(key);
  }
}

/** Everything that must be was done, nothing that may not be, and with the input that follows from the results recorded. */
function hold(expected: readonly Deed[], done: readonly { key: string; value?: number }[]): void {
  const may = new Map(expected.map((deed) => [deed.key, deed]));
  const was = new Set(done.map(({ key }) => key));
  expect(expected.filter(({ key, optional }) => !optional && !was.has(key))).toEqual([]);
  for (const { key, value } of done) {
    expect(may.has(key), `${key} was done`).toBe(true);
    if (value !== undefined) expect(value, key).toBe(may.get(key)!.value);
  }
}
