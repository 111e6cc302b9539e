import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { Definitions, definitionMigrations } from './definitions.ts';

describe('definitions', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    definitions = new Definitions(database.db);
  });
  afterAll(() => database.close());
  const put = async (name: string, body: { [key: string]: number }) => {
    const [version] = await database.commit.commit([
      definitions.put({ kind: 'note', name, body, source: JSON.stringify(body), createdBy: 'test' }),
    ]);
    return version;
  };

  it('get a new version when their body changes, and only then', async () => {
    expect([
      await put('a', { x: 1 }),
      await put('a', { x: 1 }),
      await put('a', { x: 2 }),
      await put('b', { x: 1 }),
    ]).toEqual([1, 1, 2, 1]);
    await definitions.reload();
    expect(definitions.latest('note', 'a')).toMatchObject({ version: 2, body: { x: 2 }, createdBy: 'test' });
    expect((await definitions.versions('note', 'a')).map((definition) => definition.version)).toEqual([2, 1]);
    expect(await definitions.version('note', 'a', 1)).toMatchObject({ body: { x: 1 } });
  });

  it('go back to an old body as a new version', async () => {
    await put('c', { x: 1 });
    await put('c', { x: 2 });
    expect(await put('c', { x: 1 })).toBe(3);
  });

  it('keep both of two changes made at once', async () => {
    const versions = await Promise.all([put('d', { x: 1 }), put('d', { x: 2 }), put('d', { x: 3 })]);
    expect([...versions].sort()).toEqual([1, 2, 3]);
  });

  it('tell listeners what is new', async () => {
    const seen: string[] = [];
    const stop = definitions.onChange(
      (changed) => void seen.push(...changed.map(({ name, version }) => `${name}@${version}`)),
    );
    await definitions.reload();
    await put('e', { x: 1 });
    await definitions.reload();
    stop();
    await put('e', { x: 2 });
    await definitions.reload();
    expect(seen).toEqual(expect.arrayContaining(['c@3', 'e@1']));
    expect(seen).not.toContain('e@2');
  });

  it('tell one that the database failed again, and the others all the same', async () => {
    await definitions.reload();
    const seen: string[][] = [[], [], []];
    let fault: Error | undefined = new AiosError('store.unavailable');
    const stops = seen.map((of, index) =>
      definitions.onChange(async (changed) => {
        of.push(changed.map(({ name, version }) => `${name}@${version}`).join());
        if (index < 2 && fault) throw index === 0 ? fault : new Error('it does not compile here');
      }),
    );
    await put('f', { x: 1 });
    await expect(definitions.reload()).rejects.toBe(fault);
    await put('g', { x: 1 });
    fault = undefined;
    await definitions.reload();
    await definitions.reload();
    for (const stop of stops) stop();
    expect(seen).toEqual([
      ['f@1', 'f@1,g@1'],
      ['f@1', 'g@1'],
      ['f@1', 'g@1'],
    ]);
  });

  it('refuse what was checked before another process or commit changed any of them', async () => {
    const other = new Definitions(database.db);
    const held = (of: Definitions, name: string, x: number, snapshot: { revision: number }) => {
      const definition = { kind: 'note', name, body: { x }, source: '', createdBy: 'test' };
      return database.commit.commit([of.put(definition, snapshot)]);
    };
    for (let round = 0; round < 10; round++) {
      const snapshots = await Promise.all([definitions.snapshot(), other.snapshot(), other.snapshot()]);
      const outcomes = await Promise.allSettled([
        held(definitions, `held-${round}`, 1, snapshots[0]),
        held(other, `held-${round}`, 2, snapshots[1]),
        held(other, `other-${round}`, 1, snapshots[2]),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'store.conflict' });
    }
  });

  it('take a commit of several whose answer was lost for what it was', async () => {
    const snapshot = await definitions.snapshot();
    const writes = ['f', 'g'].map((name) =>
      definitions.put({ kind: 'note', name, body: { x: 1 }, source: '', createdBy: 'test' }, snapshot),
    );
    expect(await database.commit.commit(writes)).toEqual([1, 1]);
    await put('h', { x: 1 });
    expect(await database.commit.commit(writes)).toEqual([1, 1]);
    expect(await definitions.versions('note', 'f')).toHaveLength(1);
    await put('g', { x: 2 });
    await expect(database.commit.commit(writes)).rejects.toMatchObject({ code: 'store.conflict' });
  });
});
