import { describe, expect, it } from 'vitest';
import type { BulkAction } from './bulk-store.ts';
import type { WorkflowEngine } from './engine.ts';
import { reaches, until, type World } from './engine-conformance-world.ts';
import type { RunFilters } from './stored-run.ts';

const BY = { kind: 'key', id: 'key_1' };
const ASK = 'do: [ { ask: { call: ask:1@default } } ]';
const FAILS = `do: [ { act: { call: act:1@default, with: { name: '\${ workflow.input.name }', fail: 1 } } } ]`;

async function many(world: World, engine: WorkflowEngine, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push((await engine.run({ workflow: 'asks' }, 5_000)).runId);
  world.define('other', ASK);
  await engine.run({ workflow: 'other' }, 5_000);
  return ids;
}

async function does(engine: WorkflowEngine, action: BulkAction, filters: RunFilters) {
  const { id, token, count } = await engine.bulk.prepare({ action, filters }, BY);
  await engine.bulk.start(id, token, BY);
  const ended = await until(async () => {
    const now = await engine.bulk.get(id);
    return now.status === 'completed' ? now : undefined;
  });
  return { count, done: ended.done, skipped: ended.skipped };
}

/** One action on many runs. */
export function bulkTests(world: () => World): void {
  describe('acting on many runs', () => {
    actionTests(world);
    boundTests(world);
    crashTests(world);
  });
}

function actionTests(world: () => World): void {
  it('pauses, resumes, cancels, retries and deletes what a filter names, and nothing else', async () => {
    world().define('asks', ASK);
    const { engine } = await world().engine();
    const ids = await many(world(), engine, 4);
    const filters = { workflow: 'asks' };
    const all = { count: 4, done: 4, skipped: {} };
    const each = (status: 'paused' | 'waiting' | 'canceled', of = ids) =>
      Promise.all(of.map((id) => reaches(engine, id, status)));
    expect(await does(engine, 'pause', filters)).toEqual(all);
    await each('paused');
    expect(await does(engine, 'resume', filters)).toEqual(all);
    await each('waiting');
    expect(await does(engine, 'cancel', { ...filters, ids: ids.slice(1) })).toMatchObject({
      count: 3,
      done: 3,
    });
    await each('canceled', ids.slice(1)); // asked of them is what was done: the one that is left is counted once they have ended
    expect(await does(engine, 'cancel', filters)).toMatchObject({ count: 1, done: 1 });
    await each('canceled');
    expect(await does(engine, 'retry', filters)).toEqual(all);
    await each('waiting');
    await does(engine, 'cancel', filters);
    await each('canceled');
    expect(await does(engine, 'delete', filters)).toEqual(all);
    expect((await engine.runs.list(filters)).items).toEqual([]);
    expect((await engine.runs.list({ workflow: 'other', status: 'waiting' })).items).toHaveLength(1);
  });

  it('tells which runs did not take it, and why', async () => {
    world().define('asks', ASK);
    const { engine } = await world().engine();
    const ids = await many(world(), engine, 3);
    const { id, token } = await engine.bulk.prepare({ action: 'cancel', filters: { workflow: 'asks' } }, BY);
    await engine.operations.cancel(ids[0]!);
    await engine.bulk.start(id, token, BY);
    await until(async () => (await engine.bulk.get(id)).status === 'completed');
    expect(await engine.bulk.get(id)).toMatchObject({ count: 3, done: 2, skipped: { 'workflow.ended': 1 } });
    expect((await engine.bulk.list(5)).map((bulk) => bulk.id)).toEqual([id]);
  });
}

function boundTests(world: () => World): void {
  it('is bound to what was counted: its runs, its limit, its token; one audit entry for all of it', async () => {
    world().define('asks', ASK);
    const { engine } = await world().engine('bulkRunsMax=3');
    await many(world(), engine, 3);
    const filters = { workflow: 'asks' };
    const prepared = await engine.bulk.prepare({ action: 'cancel', filters }, BY);
    expect(prepared).toMatchObject({ count: 3, status: 'prepared', by: BY });
    const late = (await engine.run({ workflow: 'asks' }, 5_000)).runId;
    await expect(engine.bulk.prepare({ action: 'cancel', filters }, BY)).rejects.toMatchObject({
      code: 'workflow.bulk_too_large',
    });
    await expect(engine.bulk.start(prepared.id, 'other', BY)).rejects.toMatchObject({
      code: 'workflow.bulk_stale',
    });
    await expect(engine.bulk.start('blk_none', 'x', BY)).rejects.toMatchObject({
      code: 'workflow.bulk_not_found',
    });
    for (let times = 0; times < 2; times++) await engine.bulk.start(prepared.id, prepared.token, BY);
    await until(async () => (await engine.bulk.get(prepared.id)).status === 'completed');
    expect((await engine.runs.get(late)).status).toBe('waiting');
    const audited = (await world().fixture.readNotes()).filter((note) => note.startsWith('audit:'));
    expect(audited).toEqual([`audit:cancel-started:bulk:${prepared.id}:key_1`]);
  });
}

function crashTests(world: () => World): void {
  it.each([
    ['before a commit of it is made', false],
    ['after it, with the answer lost', true],
  ])('is gone on with by another process, and does nothing twice, over a crash %s', async (_, made) => {
    world().define('fails', FAILS);
    const one = await world().engine();
    for (let n = 0; n < 6; n++) await one.engine.run({ workflow: 'fails', input: { name: `n${n}` } }, 5_000);
    const { id, token } = await one.engine.bulk.prepare(
      { action: 'retry', filters: { workflow: 'fails' } },
      BY,
    );
    one.line.cutAt = { commit: one.line.commits + 3, made };
    await one.engine.bulk.start(id, token, BY);
    await until(() => one.line.cut);
    await world().kill(one);
    const two = await world().engine();
    await until(async () => (await two.engine.bulk.get(id)).status === 'completed');
    expect(await two.engine.bulk.get(id)).toMatchObject({ done: 6, skipped: {} });
    await until(async () => (await two.engine.runs.list({ status: 'completed' })).items.length === 6);
    // One that was under way in the crash is repeated, as any effect is; no run goes back twice.
    for (let n = 0; n < 6; n++) expect(world().times(`act:n${n}`)).toBeLessThanOrEqual(3);
    for (const run of (await two.engine.runs.list({})).items) expect(run.attempt).toBe(2);
  });
}
