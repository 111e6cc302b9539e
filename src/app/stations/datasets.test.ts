import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DatasetsUnderTest } from '../../features/datasets/datasets-under-test.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { modelMigrations } from '../../models/lanes.ts';
import { createModels, type Models } from '../../models/models.ts';
import { datasetsOfModels, withDatasets } from './datasets.ts';

const by = { kind: 'key', id: 'ann' };
const own = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 2] }],
} as const;

describe('a version of a model', () => {
  let world: DatasetsUnderTest;
  let models: Models;
  let digest: string;

  const register = (datasets: readonly { name: string; version: number }[], text = 'model') =>
    models.register({ name: 'risk', onnx: new TextEncoder().encode(text), datasets, by });

  beforeAll(async () => {
    world = await DatasetsUnderTest.open(['name: history\nservice: buyer']);
    const { database } = world.features;
    for (const { sql } of modelMigrations) await database.db.queryDynamic(sql);
    models = createModels({
      ...database,
      clock: new ManualClock(0),
      definitions: world.process.definitions,
      runtimes: { onnx: {} },
      verify: async () => ({ ok: true, inputs: [...own.inputs], outputs: [...own.outputs] }) as never,
      datasets: datasetsOfModels(world.datasets),
      record: () => [],
    });
    for (const days of [10, 20]) {
      const rows = [{ customer: 'c-0', timestamp: new Date(days * 86_400_000).toISOString() }];
      ({ digest } = (await world.create({ name: 'history', source: { rows }, by })).version);
    }
  });
  afterAll(() => world.close());

  test('names what it was trained on, with the digest of the file', async () => {
    const version = await register([{ name: 'history', version: 2 }]);
    expect(version.datasets).toEqual([{ name: 'history', version: 2, digest }]);
    expect((await world.datasets.version('history', 2)).models).toEqual([{ name: 'risk', version: 1 }]);
    await expect(world.datasets.delete('history', 2, by)).rejects.toMatchObject({ code: 'datasets.in_use' });
  });

  test('is another one when it was trained on something else, and the same one when not', async () => {
    expect((await register([{ name: 'history', version: 2 }])).version).toBe(1);
    expect((await register([{ name: 'history', version: 1 }])).version).toBe(2);
    expect((await register([])).version).toBe(3);
  });

  test('is refused when there is no such dataset, or it was deleted', async () => {
    await expect(register([{ name: 'history', version: 9 }], 'other')).rejects.toMatchObject({
      code: 'datasets.unknown_version',
    });
    const rows = [{ customer: 'c-1', timestamp: '2020-01-01' }];
    const { version } = (await world.create({ name: 'history', source: { rows }, by })).version;
    await world.datasets.delete('history', version, by);
    await expect(register([{ name: 'history', version }], 'other')).rejects.toMatchObject({
      code: 'datasets.deleted',
    });
    expect(models.get('risk').versions).toHaveLength(3);
  });

  test('brings its datasets into the pins of a run, each once', () => {
    const model = { kind: 'model', name: 'risk', version: '1', digest: 'sha256:m' };
    expect(withDatasets(models, [model, model])).toEqual([
      model,
      model,
      { kind: 'dataset', name: 'history', version: '2', digest },
    ]);
    const pins = [
      { kind: 'contract', name: 'order', version: '1' },
      { ...model, version: '3' },
    ];
    expect(withDatasets(models, pins)).toBe(pins);
  });
});
