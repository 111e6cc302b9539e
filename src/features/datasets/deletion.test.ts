import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { DAY } from '../features-under-test.ts';
import { DatasetsUnderTest } from './datasets-under-test.ts';

const by = { kind: 'key', id: 'ann' };
const DEFINITION = (name: string) => `name: ${name}\nservice: buyer\nretention: 30d`;

let world: DatasetsUnderTest;
beforeAll(async () => {
  world = await DatasetsUnderTest.open(['one', 'two', 'kept'].map(DEFINITION));
});
afterAll(() => world.close());

async function make(name: string, count: number): Promise<number> {
  const rows: JsonObject[] = Array.from({ length: count }, (_, day) => ({
    customer: 'c-1',
    timestamp: new Date(day * DAY).toISOString(),
  }));
  return (await world.create({ name, source: { rows }, by })).version.version;
}

const commit = (model: string, name: string, version: number) =>
  world.features.database.commit.commit([world.datasets.use({ name: model, version: 1 }, { name, version })]);
const blobs = () => world.features.database.db.query('select digest from dataset_blobs');

test('a file is stored once for all versions that have it, and goes with the last of them', async () => {
  await make('one', 3);
  await make('two', 3);
  expect(await blobs()).toHaveLength(1);
  const gone = await world.datasets.delete('one', 1, by);
  expect(gone).toMatchObject({ deletedBy: 'ann', rows: 3 });
  expect(await blobs()).toHaveLength(1);
  await world.datasets.delete('two', 1, by);
  expect(await blobs()).toHaveLength(0);
  await expect(world.datasets.writeTo('/nowhere', gone)).rejects.toMatchObject({ code: 'datasets.deleted' });
  await expect(world.datasets.version('one', 'latest')).rejects.toMatchObject({
    code: 'datasets.unknown_version',
  });
  expect(world.changes.map(({ action, dataset }) => `${action} ${dataset}`)).toEqual([
    'version-made one',
    'version-made two',
    'version-deleted one',
    'version-deleted two',
  ]);
});

test('the same content after a deletion is a new version', async () => {
  expect(await make('one', 3)).toBe(2);
});

test('what a model names stays, and what is gone is named by none', async () => {
  const version = await make('two', 5);
  await commit('risk', 'two', version);
  await expect(world.datasets.delete('two', version, by)).rejects.toMatchObject({
    code: 'datasets.in_use',
    extensions: { models: [{ name: 'risk', version: 1 }] },
  });
  expect((await world.datasets.version('two', version)).models).toEqual([{ name: 'risk', version: 1 }]);
  await expect(commit('late', 'one', 1)).rejects.toMatchObject({ code: 'datasets.deleted' });
});

test('retention leaves the newest, and what a model names', async () => {
  for (const count of [1, 2, 3, 4]) await make('kept', count);
  await commit('risk', 'kept', 2);
  await world.datasets.deleteExpired(by);
  expect((await world.datasets.versions('kept')).filter(({ deletedAt }) => deletedAt === null)).toHaveLength(
    4,
  );
  world.nowMs += 31 * DAY;
  await world.datasets.deleteExpired(by);
  const left = (await world.datasets.versions('kept')).filter(({ deletedAt }) => deletedAt === null);
  expect(left.map(({ version }) => version)).toEqual([4, 2]);
  expect(world.changes.at(-1)).toMatchObject({ version: 3, reason: 'its retention of 30d has passed' });
});

test('a file that no version came to name is deleted after a day', async () => {
  const { db } = world.features.database;
  await db.query("insert into dataset_blobs values ('sha256:lost', 1, $1)", [
    new Date(world.nowMs - 2 * DAY).toISOString(),
  ]);
  await world.datasets.deleteExpired(by);
  expect((await blobs()).map(({ digest }) => digest)).not.toContain('sha256:lost');
});

test('of two who delete a version at one time one does it', async () => {
  const version = await make('one', 7);
  const outcomes = await Promise.allSettled(
    ['ann', 'bob'].map((id) => world.datasets.delete('one', version, { kind: 'key', id })),
  );
  const { deletedBy } = await world.datasets.version('one', version);
  expect(['ann', 'bob']).toContain(deletedBy);
  for (const [at, id] of ['ann', 'bob'].entries())
    if (outcomes[at]!.status === 'rejected') expect(deletedBy).not.toBe(id);
});
