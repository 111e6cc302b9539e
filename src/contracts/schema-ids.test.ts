import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { contractMigrations } from './migrations.ts';
import { SchemaIds } from './schema-ids.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase(contractMigrations);
});
afterAll(() => database.close());

const hashOf = (name: string) =>
  Number.parseInt(hash('sha256', `${name}\x001.0.0`, 'hex').slice(0, 8), 16) & 0x7fffffff;
const versionOf = (name: string) => ({ name, version: '1.0.0' });

/** Names whose first versions have one hash. */
function colliding(): [string, string] {
  const seen = new Map<number, string>();
  for (let n = 0; ; n++) {
    const name = `order-${n}`;
    const before = seen.get(hashOf(name));
    if (before !== undefined) return [before, name];
    seen.set(hashOf(name), name);
  }
}

it('are the hash of a version, the same in every installation and process', async () => {
  const [id] = await new SchemaIds(database.db).of([versionOf('order')]);
  expect(id).toBe(hashOf('order'));
  expect(await new SchemaIds(database.db).of([versionOf('order')])).toEqual([id]);
  expect(await new SchemaIds(database.db).find(id!)).toEqual(versionOf('order'));
  expect(await new SchemaIds(database.db).find(1)).toBeUndefined();
});

it('are never those of another version, whoever asks first, together or at once', async () => {
  const [first, second] = colliding().map(versionOf) as [
    ReturnType<typeof versionOf>,
    ReturnType<typeof versionOf>,
  ];
  const processes = [new SchemaIds(database.db), new SchemaIds(database.db), new SchemaIds(database.db)];
  const [both, one, other] = await Promise.all([
    processes[0]!.of([first, second]),
    processes[1]!.of([first]),
    processes[2]!.of([second]),
  ]);
  expect(new Set(both).size).toBe(2);
  expect([one![0], other![0]]).toEqual(both);
  expect(both).toContain(hashOf(first.name));
  for (const [index, version] of [first, second].entries())
    expect(await processes[1]!.find(both![index]!)).toEqual(version);
  // A process that comes later reads what was given.
  expect(await new SchemaIds(database.db).of([second, first])).toEqual([...both!].reverse());
});
