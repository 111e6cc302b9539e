import { describe, expect, it } from 'vitest';
import { reaches, until, type World } from './engine-conformance-world.ts';

const DAY_MS = 86_400_000;
const BY = { kind: 'key', id: 'key_1' };
const FAST = 'retentionPassMs=1,retentionRowsMax=2,runRetentionMs=7776000000';

const head = (name: string, metadata: string) =>
  `document: { dsl: '1.0.0', namespace: test, name: ${name}, version: '1.0.0', metadata: { aios: ${metadata} } }\nevaluate: { language: cel }\n`;

/** Runs that are deleted. */
export function retentionTests(world: () => World): void {
  const ids = async (workflow: string) =>
    (await world().fixture.open().list({ workflow }, undefined, 50)).map(({ id }) => id).sort();

  describe('keeping runs', () => {
    it('deletes ended ones over the retention of their flow, a few rows at a time, and none that waits', async () => {
      world().defineWhole(
        'brief',
        `${head('brief', '{ retention: P1D, attributes: { n: input.n } }')}do: [ { act: { call: act:1@default, with: { name: act, note: kept } } } ]`,
      );
      world().define('usual', 'do: [ { act: { call: act:1@default } } ]');
      world().define('asks', 'do: [ { ask: { call: ask:1@default } } ]');
      const one = await world().engine('retentionPassMs=60000');
      for (let n = 0; n < 5; n++) await one.engine.run({ workflow: 'brief', input: { n } }, 5_000);
      for (const workflow of ['usual', 'asks']) await one.engine.run({ workflow }, 5_000);
      world().clock.advanceBy(2 * DAY_MS);
      const kept = await one.engine.run({ workflow: 'brief', input: { n: 9 } }, 5_000);
      await world().kill(one);
      const two = await world().engine(FAST);
      await until(async () => (await ids('brief')).length === 1);
      expect(await ids('brief')).toEqual([kept.runId]);
      expect((await ids('usual')).length).toBe(1);
      const find = async (text: string) =>
        (await two.engine.runs.list({ attributes: [{ name: 'n', comparison: 'eq', text }] })).items.length;
      expect([await find('1'), await find('9')]).toEqual([0, 1]);
      world().clock.advanceBy(100 * DAY_MS);
      await until(async () => (await ids('usual')).length + (await ids('brief')).length === 0);
      expect((await ids('asks')).length).toBe(1);
    });

    it('keeps a child as long as the run that started it goes on', async () => {
      world().defineWhole(
        'child',
        `${head('child', '{ retention: P1D }')}do: [ { end: { set: { done: true } } } ]`,
      );
      world().define(
        'parent',
        `do: [ { sub: { run: { workflow: { namespace: test, name: child, version: '1.0.0', input: {} } } } }, { ask: { call: ask:1@default } } ]`,
      );
      world().defineWhole(
        'alone',
        `${head('alone', '{ retention: P1D }')}do: [ { end: { set: { done: true } } } ]`,
      );
      const { engine } = await world().engine(FAST);
      const { runId } = await engine.run({ workflow: 'parent' }, 5_000);
      await reaches(engine, runId, 'waiting');
      await engine.run({ workflow: 'alone' }, 5_000);
      world().clock.advanceBy(2 * DAY_MS);
      await until(async () => (await ids('alone')).length === 0);
      const [child] = await ids('child');
      await expect(engine.operations.remove(child!)).rejects.toMatchObject({ code: 'workflow.not_ended' });
      await engine.operations.cancel(runId);
      await until(async () => (await ids('child')).length === 0);
    });
  });

  deleteTests(world);
}

function deleteTests(world: () => World): void {
  it('deletes one by hand, with who did it, and only when it has ended', async () => {
    world().define('asks', 'do: [ { ask: { call: ask:1@default } } ]');
    const { engine } = await world().engine();
    const { runId } = await engine.run({ workflow: 'asks' }, 5_000);
    await expect(engine.operations.remove(runId, BY)).rejects.toMatchObject({ code: 'workflow.not_ended' });
    await engine.operations.cancel(runId);
    await engine.operations.retry(runId);
    await reaches(engine, runId, 'waiting');
    await engine.operations.cancel(runId);
    await engine.operations.remove(runId, BY);
    await expect(engine.runs.get(runId)).rejects.toMatchObject({ code: 'workflow.run_not_found' });
    await expect(engine.operations.remove(runId, BY)).rejects.toMatchObject({
      code: 'workflow.run_not_found',
    });
    expect(await world().fixture.readNotes()).toContain(`audit:deleted:run:${runId}:key_1`);
    const store = world().fixture.open();
    expect([await store.entries(runId), await store.operations.attempts(runId)]).toEqual([[], []]);
  });
}
