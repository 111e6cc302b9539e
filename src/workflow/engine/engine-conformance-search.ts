import { describe, expect, it } from 'vitest';
import type { AttributeFilter, Comparison } from './attributes.ts';
import type { WorkflowEngine } from './engine.ts';
import { reaches, type World } from './engine-conformance-world.ts';
import type { RunFilters } from './stored-run.ts';

const HEAD = `
document:
  dsl: '1.0.0'
  namespace: test
  name: orders
  version: '1.0.0'
  metadata:
    aios:
      attributes:
        orderId: input.orderId
        total: input.total
        express: input.express
        due: { value: input.due, type: time }
        stage: context.stage
        result: output.done
evaluate: { language: cel }
`;
const FLOW = `${HEAD}
do:
  - note: { set: { stage: asked }, export: { as: '{ "stage": output.stage }' } }
  - ask: { call: ask:1@default }
  - end: { set: { done: 'well' }, export: { as: '{ "other": 1 }' } }`;

const is = (name: string, text: string, comparison: Comparison = 'eq'): AttributeFilter => ({
  name,
  comparison,
  text,
});

async function idsOf(engine: WorkflowEngine, filters: RunFilters, cursor?: string, limit?: number) {
  const { items, nextCursor } = await engine.runs.list(filters, cursor, limit);
  return { ids: items.map(({ id }) => id), nextCursor };
}

/** Runs found by what their flows declare, and by their version. */
export function searchTests(world: () => World): void {
  describe('searching by attributes', () => {
    it('finds runs by what their flow declares, as it is from the start, after an export and at the end', async () => {
      world().defineWhole('orders', FLOW);
      const { engine } = await world().engine();
      const input = { orderId: 'o-1', total: 12.5, express: true, due: '2026-03-01T00:00:00Z' };
      const { runId } = await engine.run({ workflow: 'orders', input }, 5_000);
      await engine.run({ workflow: 'orders', input: { orderId: 'o-2', total: 100 } }, 5_000);
      const found = (...attributes: AttributeFilter[]) =>
        idsOf(engine, { attributes }).then(({ ids }) => ids.length === 1 && ids[0] === runId);
      for (const [name, text] of [
        ['orderId', 'o-1'],
        ['total', '12.50'],
        ['express', 'true'],
        ['due', '2026-03-01T01:00:00+01:00'],
      ] as const)
        expect(await found(is(name, text)), name).toBe(true);
      expect(await found(is('total', '9', 'gte'), is('total', '100', 'lt'))).toBe(true);
      expect(await found(is('stage', 'asked'), is('due', '2026-01-01', 'gt'))).toBe(true);
      expect((await idsOf(engine, { attributes: [is('orderId', 'o-3')] })).ids).toEqual([]);
      expect((await idsOf(engine, { attributes: [is('orderId', 'o-1')], status: 'failed' })).ids).toEqual([]);
      expect((await engine.runs.get(runId)).attributes).toEqual({
        ...input,
        due: '2026-03-01T00:00:00.000Z',
        stage: 'asked',
      });
      await world()
        .fixture.open()
        .commit.commit([engine.signal({ runId, stepKey: 'ask', payload: 'yes' })]);
      await reaches(engine, runId, 'completed');
      expect((await engine.runs.get(runId)).attributes).toMatchObject({ orderId: 'o-1', result: 'well' });
      expect(await found(is('stage', 'asked'))).toBe(false);
    });

    pageTests(world);
    versionTests(world);
  });
}

function pageTests(world: () => World): void {
  it('goes through many page by page, with the other filters', async () => {
    world().defineWhole('orders', FLOW);
    world().define('plain', 'do: [ { end: { set: { done: true } } } ]');
    const { engine } = await world().engine();
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) {
      world().clock.advanceBy(1_000);
      ids.unshift(
        (await engine.run({ workflow: 'orders', input: { orderId: 'same', total: n } }, 5_000)).runId,
      );
      await engine.run({ workflow: 'plain' }, 5_000);
    }
    const filters = { attributes: [is('orderId', 'same')], workflow: 'orders', version: 1 };
    const first = await idsOf(engine, filters, undefined, 3);
    const second = await idsOf(engine, filters, first.nextCursor, 3);
    const third = await idsOf(engine, filters, second.nextCursor, 3);
    expect([...first.ids, ...second.ids, ...third.ids]).toEqual(ids);
    expect(third.nextCursor).toBeUndefined();
    const until = {
      ...filters,
      untilMs: world().clock.now() - 2_500,
      sinceMs: world().clock.now() - 4_500,
    };
    expect((await idsOf(engine, until)).ids).toEqual(ids.slice(3, 5));
    expect((await idsOf(engine, { ...filters, version: 2 })).ids).toEqual([]);
  });

  it('keeps a number that is a text and a number that is one apart, and finds both', async () => {
    world().defineWhole('orders', FLOW);
    const { engine } = await world().engine();
    for (const orderId of ['123', 123]) await engine.run({ workflow: 'orders', input: { orderId } }, 5_000);
    expect((await idsOf(engine, { attributes: [is('orderId', '123')] })).ids).toHaveLength(2);
    expect((await idsOf(engine, { attributes: [is('orderId', '123.0')] })).ids).toHaveLength(1);
    const long = 'x'.repeat(5_000);
    await engine.run({ workflow: 'orders', input: { orderId: `${long}\u0000` } }, 5_000);
    expect((await idsOf(engine, { attributes: [is('orderId', long)] })).ids).toHaveLength(1);
  });
}

function versionTests(world: () => World): void {
  it('tells which versions of a flow still have runs, since when, and where they stand', async () => {
    world().define('pinned', 'do: [ { ask: { call: ask:1@default } } ]');
    const { engine } = await world().engine();
    const oldest = (await engine.run({ workflow: 'pinned' }, 5_000)).runId;
    const since = world().clock.now();
    world().clock.advanceBy(1_000);
    const other = (await engine.run({ workflow: 'pinned' }, 5_000)).runId;
    await engine.operations.pause(other);
    world().define('pinned', 'do: [ { sleep: { wait: P1D } } ]', 2);
    expect(await engine.runs.versions('pinned')).toMatchObject([
      { version: 2, current: true, runs: 0, stands: [] },
      {
        version: 1,
        current: false,
        runs: 2,
        oldest: { oldestRunId: oldest, oldestStartedAtMs: since, waitingFor: 'ask' },
        stands: [
          { status: 'paused', runs: 1 },
          { status: 'waiting', waitingFor: 'ask', runs: 1 },
        ],
      },
    ]);
    await engine.operations.cancel(oldest);
    await engine.operations.cancel(other);
    await engine.run({ workflow: 'pinned' }, 5_000);
    expect(await engine.runs.versions('pinned')).toMatchObject([{ version: 2, runs: 1 }]);
    await expect(engine.runs.versions('none')).rejects.toMatchObject({ code: 'workflow.not_found' });
  });
}
