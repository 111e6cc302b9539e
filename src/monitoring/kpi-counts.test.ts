import { afterAll, beforeAll, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { newId } from '../kernel/ids.ts';
import { ledgerMigrations } from '../ledger/migrations.ts';
import { taskMigrations } from '../tasks/migrations.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { workflowMigrations } from '../workflow/engine/migrations.ts';
import { KpiCounts, type RunCount } from './kpi-counts.ts';
import { kpiMigrations } from './migrations.ts';

const START_MS = Date.UTC(2026, 0, 1);
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase([
    ...ledgerMigrations,
    ...taskMigrations,
    ...workflowMigrations,
    ...kpiMigrations,
  ]);
});
afterAll(() => database.close());

const iso = (ms: number) => new Date(ms).toISOString();

/** What the counts are held to: everything, read anew. */
const counted = () =>
  database.db.query<RunCount>(
    `select workflow, status, coalesce(outcome, '') as outcome, exists (select from tasks t where t.run_id = r.id) as asked, count(*) as runs,
       coalesce(sum((select sum(amount_micro_usd) from cost_entries c where c.run_id = r.id)), 0)::bigint as micro_usd
     from workflow_runs r where status in ('completed', 'failed', 'canceled') group by 1, 2, 3, 4`,
  );
const sorted = (rows: readonly RunCount[]) => rows.map((row) => JSON.stringify(row)).sort();

/** A world in which runs start, wait and end, some of them long after the time that their id names. */
class Runs {
  readonly clock = new ManualClock(START_MS);
  readonly processes = [new KpiCounts(database.db, this.clock), new KpiCounts(database.db, this.clock)];
  readonly #open: string[] = [];
  /** Those that ended, with the time when they did. */
  readonly #ended = new Map<string, number>();
  /** Those of which the first commit took long. */
  readonly #late = new Set<string>();
  #seed = 7;

  random(below: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return (this.#seed >>> 12) % below; // the low bits of such a sequence repeat soon
  }

  async start(lateMs: number): Promise<void> {
    const nowMs = this.clock.now();
    const id = newId('run', nowMs - lateMs);
    if (lateMs > 1_000) this.#late.add(id);
    const ends = this.random(3) > 0;
    const outcome = ends ? ['pay', 'refuse', null][this.random(3)] : null;
    await database.db.query(
      `insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, outcome, entries)
       values ($1, $2, 1, 1, $3, '{}', $4, $5, $6, '[]')`,
      [
        id,
        `flow-${this.random(2)}`,
        ends ? 'completed' : 'waiting',
        iso(nowMs - lateMs),
        iso(nowMs),
        outcome,
      ],
    );
    await database.db.query(
      `insert into cost_entries (run_id, step_key, service, resource, quantity, unit, amount_micro_usd, at) values ($1, 's', 'x', 'y', 1, 'call', $2, $3)`,
      [id, this.random(100), iso(nowMs)],
    );
    if (ends) this.#ended.set(id, nowMs);
    else {
      this.#open.push(id);
      await database.db.query(
        `insert into tasks (id, run_id, step_key, queue, queue_version, title, priority, context, context_digest, created_at)
         values ($1, $2, 'ask', 'q', 1, 't', 50, '{}', '', $3)`,
        [`tsk_${id}`, id, iso(nowMs)],
      );
    }
    this.#tell(id);
  }

  async endOne(): Promise<void> {
    const [id] = this.#open.splice(this.random(Math.max(1, this.#open.length)), 1);
    if (!id) return;
    const status = ['completed', 'failed', 'canceled'][this.random(3)];
    await database.db.query(
      `update workflow_runs set status = $2, outcome = 'pay', updated_at = $3 where id = $1`,
      [id, status, iso(this.clock.now())],
    );
    this.#ended.set(id, this.clock.now());
    this.#ended.set(id, this.clock.now());
    this.#tell(id);
  }

  /** A run that ended goes back: it waits again, costs more, and ends again later. One that came late does so once all passes after its end are over. */
  async goBack(passedMs: number): Promise<void> {
    const may = [...this.#ended].filter(([id, atMs]) => !this.#late.has(id) || atMs < passedMs - 6_000);
    const [id] = may[this.random(Math.max(1, may.length))] ?? [];
    if (!id) return;
    this.#ended.delete(id);
    this.#open.push(id);
    this.clock.advanceBy(1); // what it comes to now is later than what it was
    const at = iso(this.clock.now());
    await database.db.query(
      `insert into workflow_attempts
       select id, attempt, status, result, origin, '[]', updated_at, '', 'ann', $2, outcome from workflow_runs where id = $1`,
      [id, at],
    );
    await database.db.query(
      `update workflow_runs set status = 'waiting', outcome = null, attempt = attempt + 1, updated_at = $2 where id = $1`,
      [id, at],
    );
    await database.db.query(
      `insert into cost_entries (run_id, step_key, service, resource, quantity, unit, amount_micro_usd, at) values ($1, $2, 'x', 'y', 1, 'call', 1000, $3)`,
      [id, `s ${at}`, at],
    );
    this.#tell(id);
  }

  /** The process that committed is told. */
  #tell(id: string): void {
    this.processes[this.random(2)]!.note(id);
  }
}

it('agrees with a count of everything, whatever waits, ends late, comes late or goes back, and whoever counts', async () => {
  const runs = new Runs();
  const passedMs = [0, 0];
  for (let round = 0; round < 60; round++) {
    for (let i = runs.random(6); i > 0; i--)
      await runs.start(runs.random(4) === 0 ? runs.random(90_000) : runs.random(1_000));
    for (let i = runs.random(4); i > 0; i--) await runs.endOne();
    if (runs.random(2) > 0) await runs.goBack(Math.min(...passedMs));
    runs.clock.advanceBy(runs.random(4_000));
    if (runs.random(3) === 0) continue;
    const process = runs.random(2);
    await runs.processes[process]!.advance();
    passedMs[process] = runs.clock.now();
  }
  runs.clock.advanceBy(60_000);
  for (const process of runs.processes) await process.advance();
  for (const process of runs.processes) await process.advance();
  const ended = await runs.processes[0]!.ended();
  expect(sorted(ended)).toEqual(sorted(await counted()));
  const [tail] = await database.db.query<{ runs: number }>(
    'select count(*) as runs from workflow_runs where id >= (select until from kpi_progress)',
  );
  expect(tail).toEqual({ runs: 0 });
  const [pending] = await database.db.query<{ runs: number; open: number }>(
    `select count(*) as runs, (select count(*) from workflow_runs where status = 'waiting' and attempt = 1) as open from kpi_pending where counted_at is null`,
  );
  expect(pending!.runs).toBe(pending!.open);
  const minutes = await runs.processes[0]!.perMinute();
  expect(minutes.every(({ at }) => at % 60_000 === 0)).toBe(true);
});

it('does not count twice when two processes count at once, and keeps notes when the database is away', async () => {
  const runs = new Runs();
  runs.clock.advanceBy(3_600_000);
  for (let i = 0; i < 50; i++) await runs.start(0);
  runs.clock.advanceBy(10_000);
  await Promise.all(runs.processes.flatMap((process) => [process.advance(), process.advance()]));
  expect(sorted(await runs.processes[1]!.ended())).toEqual(sorted(await counted()));
  let away = true;
  const db = {
    query: database.db.query.bind(database.db),
    transaction: (work: Parameters<TestDatabase['db']['transaction']>[0]) =>
      away ? Promise.reject(new Error('away')) : database.db.transaction(work),
  } as TestDatabase['db'];
  const lost = new KpiCounts(db, runs.clock);
  runs.processes.splice(0, 2, lost, lost);
  for (let i = 0; i < 20; i++) await runs.start(60_000);
  await expect(lost.advance()).rejects.toThrow('away');
  away = false;
  runs.clock.advanceBy(10_000);
  await lost.advance();
  expect(sorted(await lost.ended())).toEqual(sorted(await counted()));
});
