import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventMigrations } from '../events/migrations.ts';
import { ledgerMigrations } from '../ledger/migrations.ts';
import { taskMigrations } from '../tasks/migrations.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { workflowMigrations } from '../workflow/engine/migrations.ts';
import { KpiCounts } from './kpi-counts.ts';
import { KpiReader } from './kpis.ts';
import { kpiMigrations } from './migrations.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const clock = { now: () => START + 60_000, monotonicMs: () => 0 };
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase([
    ...eventMigrations,
    ...ledgerMigrations,
    ...taskMigrations,
    ...workflowMigrations,
    ...kpiMigrations,
  ]);
  await database.db.queryDynamic(`
    insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, outcome, entries)
    select 'run_' || n, case when n <= 6 then 'claims' else 'payout' end, 1, 1,
      case when n = 6 then 'waiting' else 'completed' end, '{}', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00.010Z',
      case when n in (1, 2, 3) then 'pay' when n in (4, 5) then 'refuse' when n = 6 then null else 'paid' end, '[]'
    from generate_series(1, 9) as n;
    insert into lineage_sets values
      ('a', '[{"kind":"decision","name":"policy","version":"1"},{"kind":"workflow","name":"claims","version":"1"}]'),
      ('b', '[{"kind":"connector","name":"bank","version":"1"},{"kind":"workflow","name":"payout","version":"1"}]');
    insert into tasks (id, run_id, step_key, queue, queue_version, title, status, priority, context, context_digest, created_at, due_at)
    select 'tsk_' || n, 'run_' || n, 'ask', 'q', 1, 't', case when n = 6 then 'open' else 'completed' end, 50, '{}', '', now(), null
    from unnest(array[5, 6]) as n;
    insert into cost_entries (run_id, step_key, service, resource, quantity, unit, amount_micro_usd, at)
    values ('run_1', 's', 'inference', 'm', 1, 'µs', 400, now()), ('run_7', 's', 'connector', 'c', 1, 'call', 600, now());`);
});
afterAll(() => database.close());

it('counts as decisions what decides: a payout that follows one is a run, and its cost belongs to the decision', async () => {
  const kpis = await new KpiReader(database.db, new KpiCounts(database.db, clock)).read();
  expect(kpis.runs).toEqual({ total: 9, byStatus: { completed: 8, waiting: 1 } });
  expect(kpis.decisions).toEqual({
    total: 5,
    automatic: 4,
    review: 1,
    refused: 2,
    byOutcome: { pay: 3, refuse: 2 },
  });
  expect(kpis.costPerDecisionMicroUsd).toBe(200);
  expect(kpis.tasksOpen).toBe(1);
  expect(kpis.latencyMs.p50).toBeCloseTo(10, 6);
  expect(kpis.series.runsPerMinute).toEqual([{ at: '2026-01-01T00:00:00.000Z', count: 9 }]);
});

it('is counted once for all who ask at once, and again after a failure', async () => {
  let reads = 0;
  let away = true;
  const db = {
    transaction: (work: Parameters<TestDatabase['db']['transaction']>[0]) => database.db.transaction(work),
    query: (text: string, values?: readonly unknown[]) => {
      reads++;
      return away ? Promise.reject(new Error('away')) : database.db.query(text, values);
    },
  } as TestDatabase['db'];
  const reader = new KpiReader(db, new KpiCounts(db, clock));
  await expect(reader.read()).rejects.toThrow('away');
  away = false;
  reads = 0;
  const [first, second] = await Promise.all([reader.read(), reader.read()]);
  expect(second).toBe(first);
  expect(reads).toBe(6);
});
