// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sortedId } from '../../kernel/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { World } from './engine-conformance-world.ts';
import { workflowMigrations } from './migrations.ts';
import { searchRuns } from './postgres-search.ts';
import { PostgresRunStore } from './postgres-store.ts';
import type { RunChange } from './stored-run.ts';
import { notes } from './stores-under-test.ts';

const change = (id: string, fields: Partial<RunChange> = {}): RunChange => ({
  insert: true,
  id,
  workflow: 'w',
  version: 1,
  epoch: 7,
  status: 'running',
  worker: 'wrk_1',
  wakeAtMs: null,
  waitingFor: null,
  origin: { input: { text: 'NUL \u0000 inside' } },
  idempotencyKey: null,
  startedAtMs: 0,
  updatedAtMs: 0,
  result: null,
  subject: null,
  outcome: null,
  entries: [],
  seq: 0,
  ...fields,
});

describe('the Postgres store', () => {
  let database: TestDatabase;
  let store: PostgresRunStore;
  beforeAll(async () => {
    database = await createTestDatabase([
      ...workflowMigrations,
      { name: '0990_notes', sql: 'create table notes (body text not null)' },
    ]);
    store = new PostgresRunStore(database.db, database.commit, database.limits.payloadInlineBytesMax);
  });
  afterAll(() => database.close());
  const fixture = () => ({
    open: () => store,
    transaction: database.db.transaction.bind(database.db),
    notes,
    readNotes: async () => [],
    reset: async () => {},
    close: async () => {},
  });

  it('takes the same barrier again as success: the answer to a commit may be lost', async () => {
    const begun = change('run_again');
    const later = change('run_again', { insert: false, seq: 1, entries: [{ k: 'a', s: 1, o: 1 }] });
    for (const each of [begun, begun, later, later]) await store.commit.commit(store.save(each));
    expect(await store.entries('run_again')).toEqual([{ k: 'a', s: 1, o: 1 }]);
    expect((await store.find('run_again'))?.origin).toEqual({ input: { text: 'NUL \u0000 inside' } });
  });

  it('lets fenced runs fall out of a batch, and commits the others', async () => {
    const ids = ['run_f1', 'run_f2', 'run_f3'];
    await Promise.all(ids.map((id) => store.commit.commit(store.save(change(id)))));
    const outcomes = await Promise.allSettled(
      ids.map((id, index) =>
        store.commit.commit(
          store.save(
            change(id, { insert: false, status: 'completed', worker: null, epoch: index === 1 ? 6 : 7 }),
          ),
        ),
      ),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'workflow.fenced' });
    expect((await store.find('run_f2'))?.status).toBe('running');
  });

  it('fails the run whose step hands in what Postgres refuses, and not its neighbours', async () => {
    const world = new World(fixture());
    world.define('note', "do: [ { a: { call: count:1@default, with: { note: '${ input.text }' } } } ]");
    const { engine } = await world.engine();
    const runs = await Promise.all(
      ['fine', 'NUL \u0000', 'fine'].map((text) => engine.run({ workflow: 'note', input: { text } }, 5_000)),
    );
    expect(runs.map(({ status, result }) => [status, result?.error?.code])).toEqual([
      ['completed', undefined],
      ['failed', 'store.refused_value'],
      ['completed', undefined],
    ]);
    await world.close();
  });

  it('keeps a large value apart, once however many steps hold it, until no run refers to it', async () => {
    const { db } = database;
    const o = { text: 'x'.repeat(100_000) };
    const entries = [
      { k: 'a', s: 0, d: 1, o },
      { k: 'b', s: 1, d: 1, o, i: 'small' },
      { k: 'c^open', s: 2, o: 'small' },
    ];
    await store.commit.commit(store.save(change('run_p1', { entries })));
    await store.commit.commit(store.save(change('run_p2', { insert: false, seq: 1, id: 'run_p1', entries })));
    const recorded = await store.entries('run_p1');
    expect(recorded.map(({ or }) => or?.bytes)).toEqual([
      100_011,
      100_011,
      undefined,
      100_011,
      100_011,
      undefined,
    ]);
    expect(recorded[1]).toMatchObject({ i: 'small' });
    expect(await store.payload('run_p1', recorded[0]!.or!.digest)).toEqual(o);
    expect(await store.payload('run_other', recorded[0]!.or!.digest)).toBeUndefined();
    const rows = () => db.query('select digest from workflow_payloads');
    expect(await rows()).toHaveLength(1);
    const later = () => db.query("update workflow_payloads set used_at = now() - interval '2 hours'");
    await later();
    expect(await store.sweepPayloads()).toBe(0);
    await db.query("delete from workflow_runs where id = 'run_p1'");
    await db.query("delete from workflow_journal where run_id = 'run_p1'");
    expect(await store.sweepPayloads()).toBe(1);
    expect(await rows()).toHaveLength(0);
  });

  it('takes over runs of workers whose lease has run out, each once', async () => {
    // Whoever is not known, or not known any more, had no lease.
    for (const worker of ['wrk_alive', 'wrk_a', 'wrk_b'])
      expect([await store.renew(worker, 60_000), await store.renew(worker, 60_000)]).toEqual([false, true]);
    const ids = Array.from({ length: 20 }, (_, i) => `run_t${String(i).padStart(2, '0')}`);
    const workers = ['wrk_dead', 'wrk_alive'];
    await Promise.all(
      ids.map((id, i) => store.commit.commit(store.save(change(id, { worker: workers[i % 2] as string })))),
    );
    const taken = await Promise.all([store.takeOver('wrk_a', 100), store.takeOver('wrk_b', 100)]);
    const mine = taken.flat().filter(({ id }) => id.startsWith('run_t'));
    expect(mine.map(({ id }) => id).sort()).toEqual(ids.filter((_, i) => i % 2 === 0));
    expect(mine.every(({ epoch }) => epoch === 8)).toBe(true);
  });

  it('lists by its filters, page by page', async () => {
    const started = (i: number) => ({ workflow: 'listed', startedAtMs: i, subject: `customer ${i % 3}_%` });
    const idOf = (i: number) => sortedId('run', i, 'listed');
    for (let i = 0; i < 9; i++) {
      await store.commit.commit(
        store.save(change(idOf(i), { ...started(i), status: i < 4 ? 'failed' : 'completed' })),
      );
    }
    const ids = async (...args: Parameters<PostgresRunStore['list']>) =>
      (await store.list(...args)).map(({ id }) => id);
    const workflow = 'listed';
    expect(await ids({ workflow }, undefined, 3)).toEqual([idOf(8), idOf(7), idOf(6)]);
    expect(await ids({ workflow }, idOf(6), 2)).toEqual([idOf(5), idOf(4)]);
    expect(await ids({ workflow, status: 'failed', sinceMs: 1, untilMs: 3 }, undefined, 9)).toEqual([
      idOf(2),
      idOf(1),
    ]);
    expect(await ids({ workflow, text: '2_%' }, undefined, 9)).toEqual([idOf(8), idOf(5), idOf(2)]);
    expect((await store.count()).failed).toBeGreaterThanOrEqual(4);
  });

  it('finds the few runs of a flow among the many of another without looking at those', async () => {
    await database.db.query(
      `insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, entries)
       select 'run_among' || lpad(n::text, 5, '0'), case when n % 2000 = 1 then 'of-few' else 'of-many' end, 1, 1, 'completed', '{}', now(), now(), '[]'
       from generate_series(1, 6000) as n`,
    );
    await database.db.queryDynamic('analyze workflow_runs');
    for (const [filters, count] of [
      [{ workflow: 'of-few' }, 3],
      [{ workflow: 'of-none' }, 0],
    ] as const) {
      expect(await store.list(filters, undefined, 9)).toHaveLength(count);
      const { text, values } = searchRuns(filters, undefined, 9);
      const [row] = await database.db.queryDynamic(`explain (analyze, format json) ${text}`, values);
      expect(JSON.stringify(row)).not.toMatch(/"Rows Removed by Filter":\s*[1-9]/);
    }
  });

  it('writes a run of pure steps that an event starts as one row, once', async () => {
    const world = new World(fixture());
    world.define(
      'one-row',
      'schedule: { on: { one: { with: { type: t } } } }\ndo: [ { a: { call: count:1@default } }, { b: { set: { x: 1 } } } ]',
    );
    const { engine } = await world.engine();
    const statements: string[] = [];
    const events = Array.from({ length: 5 }, (_, i) => world.event('t', {}, `row-${i}`));
    const after = await database.db.transaction((tx) =>
      engine.startFromEvents(events, {
        query: (text, values) => {
          statements.push(text.split(' ').slice(0, 3).join(' '));
          return tx.query(text, values);
        },
      }),
    );
    after();
    expect(statements).toEqual(['select id from', 'insert into workflow_runs']);
    expect(await store.list({ workflow: 'one-row', status: 'completed' }, undefined, 9)).toHaveLength(5);
    await world.close();
  });
});
