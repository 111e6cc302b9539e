import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Ground } from '../src/app/stations/ground.ts';
import { createRollouts } from '../src/app/stations/rollouts.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import type { AuditLog } from '../src/ledger/audit.ts';
import { modelMigrations } from '../src/models/lanes.ts';
import { createModels } from '../src/models/models.ts';
import type { NewRollout } from '../src/models/rollouts.ts';
import { createFunctionRuntime, type FunctionModel } from '../src/serving/runtimes/function-runtime.ts';
import type { Runtime } from '../src/serving/runtimes/runtime.ts';
import type { TensorSpec } from '../src/serving/tensors/tensor.ts';
import { RolloutRouter } from '../src/serving/traffic/rollout-router.ts';
import { createServing, type Serving } from '../src/serving/traffic/serving.ts';
import { Definitions, definitionMigrations } from '../src/store/definitions.ts';
import { type Lane, write } from '../src/store/lane.ts';
import { Troubles } from '../src/telemetry/troubles.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

const by = { kind: 'key', id: 'key_test' };
const inputs: TensorSpec[] = [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }];
const outputs: TensorSpec[] = [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }];
const answers =
  (of: (x: number) => number): FunctionModel['run'] =>
  ([x]) => [
    { name: 'y', datatype: 'FP32', shape: x!.shape, data: Float32Array.from(x!.data as Float32Array, of) },
  ];
const good = answers((x) => x / 100);

/** Warm-ups run it too, as often as they like; once it is warm it does what the test is about. */
let isWarm = false;
const onceWarm =
  (then: FunctionModel['run']): FunctionModel['run'] =>
  (tensors) =>
    (isWarm ? then : good)(tensors);

describe('a challenger is taken back by itself, from real calls', () => {
  let database: TestDatabase;
  let models = 0;
  let close: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...modelMigrations]);
  });
  afterEach(async () => close?.());
  afterAll(() => database.close());

  /** A model whose champion is good, and the rollout of another version. */
  async function setUp(challenger: FunctionModel['run'], plan: Partial<NewRollout>) {
    isWarm = false;
    const { db, commit } = database;
    const limits = limitsFrom('rolloutPollMs=20,rolloutCountMs=50');
    const definitions = new Definitions(db);
    const name = `model-${++models}`;
    const troubles = new Troubles(limits);
    const ground = { db, commit, clock: systemClock, limits, troubles } as unknown as Ground;
    const nothing: Lane<unknown> = { name: 'audit of the test', order: 50, write: async () => undefined };
    const auditLog = { entry: () => write(nothing, {}) } as unknown as AuditLog;
    const registry = createModels({
      ...ground,
      definitions,
      runtimes: { onnx: {} },
      verify: async () => ({ ok: true, inputs, outputs }),
      record: () => [],
    });
    const run = [good, challenger].map((each) =>
      createFunctionRuntime({ [name]: { inputs, outputs, run: each } }),
    );
    const runtime: Runtime = {
      start: (source) => run[registry.version(name, 2).digest === source.digest ? 1 : 0]!.start(source),
    };
    const router = new RolloutRouter(limits.rolloutCopiesMax);
    const serving: Serving = createServing({
      models: registry,
      runtimes: { onnx: runtime },
      rollouts: router,
      limits,
    });
    const made = createRollouts(ground, { models: registry, serving, router, definitions, auditLog });
    close = async () => {
      await made.rolloutRunner.stop();
      serving.close();
    };
    for (const text of ['first', 'second'])
      await registry.register({
        name,
        onnx: new TextEncoder().encode(`${name} ${text}`),
        signature: { features: ['x'] },
        by,
      });
    await registry.promote({ name, alias: 'champion', version: 1, by });
    await made.rolloutRunner.start();
    const rollout = await made.rollouts.start({
      model: name,
      challenger: 2,
      kind: 'canary',
      percent: 50,
      by,
      ...plan,
    });
    isWarm = true;
    return { serving, name, state: () => made.rollouts.get(name, rollout.id) };
  }

  it.each<[string, FunctionModel['run'], Partial<NewRollout>, RegExp]>([
    [
      'fails',
      onceWarm(() => {
        throw new Error('no such branch');
      }),
      {},
      /^errors: .*% of \d+ requests failed/,
    ],
    [
      'is slow',
      onceWarm(async (tensors) => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return good(tensors);
      }),
      { guards: { samplesMin: 20, latencyGraceMs: 20, errorRateMax: null } },
      /^latency: The challenger's p95/,
    ],
    [
      'disagrees',
      onceWarm(answers((x) => 1 - x / 100)),
      { guards: { samplesMin: 50, disagreementMax: 0.2, latencyRatioMax: null }, comparison: { share: 1 } },
      /^disagreement: The versions disagree on/,
    ],
  ])('when it %s; then the champion answers everybody', async (_what, challenger, plan, reason) => {
    const { serving, name, state } = await setUp(challenger, plan);
    let isRunning = true;
    const caller = async (id: number) => {
      for (let i = 0; isRunning; i++)
        await serving
          .score({ model: name, features: { x: i % 20 }, stickyKey: `${id}-${i}` })
          .catch(() => {});
    };
    const callers = Array.from({ length: 4 }, (_, id) => caller(id));
    await expect.poll(async () => (await state()).status, { timeout: 30_000 }).toBe('rolled-back');
    isRunning = false;
    await Promise.all(callers);
    expect((await state()).reason).toMatch(reason);
    const versionFor = async (stickyKey: string) =>
      (await serving.score({ model: name, features: { x: 1 }, stickyKey })).version;
    // It is on record a moment before this process routes by it.
    const versions = () => Promise.all(Array.from({ length: 50 }, (_, i) => versionFor(`${i}`)));
    await expect.poll(async () => new Set(await versions()), { timeout: 15_000 }).toEqual(new Set([1]));
    expect(new Set(await versions())).toEqual(new Set([1]));
  });
});
