import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { createOnnxRuntime } from '../serving/runtimes/onnx-runtime.ts';
import { createServing, type Serving } from '../serving/traffic/serving.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { logisticModel, onnxModel } from '../testing/onnx.ts';
import { modelMigrations } from './lanes.ts';
import { createModels, type Models } from './models.ts';

const by = { kind: 'key', id: 'key_1' };

describe('from a file to a score', () => {
  let database: TestDatabase;
  let models: Models;
  let serving: Serving;
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...modelMigrations]);
    const { db, commit, limits } = database;
    models = createModels({
      db,
      commit,
      limits,
      clock: systemClock,
      definitions: new Definitions(db),
      runtimes: { onnx: {} },
      verify: ({ runtime, artifact, warmUp, ...model }) =>
        serving.verify(runtime, { ...model, load: async () => artifact }, warmUp?.inputs),
      record: () => [],
      prepare: (name, version) => serving.load(name, version),
    });
    serving = createServing({
      models,
      runtimes: { onnx: createOnnxRuntime({ startMs: limits.replicaStartMs }) },
      limits,
    });
  });
  afterAll(async () => {
    serving.close();
    await database.close();
  });

  it('registers, warms, promotes and scores; a promotion moves the next call', async () => {
    const signature = {
      features: ['orders', 'returns'],
      fill: { returns: 0 },
      results: { risk: { output: 'probabilities', column: 0 } },
    };
    for (const bias of [0, 100]) {
      const { version } = await models.register({
        name: 'risk',
        onnx: logisticModel([1, -1], bias),
        signature,
        by,
      });
      await models.promote({ name: 'risk', alias: 'champion', version, by });
      expect(serving.isReady('risk')).toBe(true);
      const score = await serving.score({ model: 'risk', features: { orders: 3, returns: 3 } });
      expect(score).toMatchObject({ version, outputs: { risk: bias === 0 ? 0.5 : 1 } });
    }
    const old = await serving.score({ model: 'risk', ref: 1, features: { orders: 0 } });
    expect(old).toMatchObject({ version: 1, outputs: { risk: 0.5 } });
  });

  it('refuses a file that is none, and one whose run fails, and keeps neither', async () => {
    const onnx = Buffer.from('{"not": "onnx"}');
    await expect(models.register({ name: 'none', onnx, by })).rejects.toMatchObject({
      code: 'models.not_onnx',
    });
    // Reshapes any input to 7 elements, which one row of zeros does not have.
    const broken = onnxModel({
      nodes: [{ op: 'Reshape', inputs: ['x', 'seven'], outputs: ['y'] }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [7] }],
      constants: { seven: { shape: [1], data: BigInt64Array.of(7n) } },
    });
    await expect(models.register({ name: 'none', onnx: broken, by })).rejects.toMatchObject({
      code: 'models.not_runnable',
    });
    expect(models.list().map(({ name }) => name)).toEqual(['risk']);
  });

  it('runs a file once on the input that it is warmed up with: one that zeros do not fit is kept, one that its own input does not fit is not', async () => {
    const fours = onnxModel({
      nodes: [{ op: 'Reshape', inputs: ['x', 'four'], outputs: ['y'] }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [4] }],
      constants: { four: { shape: [1], data: BigInt64Array.of(4n) } },
    });
    const wanted = { name: 'fours', onnx: fours, by };
    await expect(models.verify(wanted)).rejects.toMatchObject({ code: 'models.not_runnable' });
    const served = (data: (number | string)[]) => ({
      ...wanted,
      serving: { warmUp: { inputs: [{ name: 'x', shape: [2, 2], data }] } },
    });
    await expect(models.verify(served([1, 2, 3]), 'model.yaml')).rejects.toMatchObject({
      code: 'models.not_runnable',
      message: 'model.yaml: the warm-up input “x” does not fit the shape [-1, 2]',
    });
    await expect(models.verify(served([1, 2, 3, 'b']), 'model.yaml')).rejects.toMatchObject({
      code: 'models.not_runnable',
      message: 'model.yaml: the warm-up input “x”, element 3: "b" is not a valid FP32.',
    });
    expect(await models.verify(served([1, 2, 3, 4]))).toMatchObject({ name: 'fours', version: 1 });
    expect(await models.register(served([1, 2, 3, 4]))).toMatchObject({ version: 1 });
    // Warmed up otherwise, the same version is run again.
    await expect(models.verify(served([1, 2, 3]))).rejects.toMatchObject({ code: 'models.not_runnable' });
  });
});
