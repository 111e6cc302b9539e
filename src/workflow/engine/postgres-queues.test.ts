import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { GroupCommit } from '../../store/group-commit.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { compileRunQueue } from '../language/run-queue.ts';
import { workflowMigrations } from './migrations.ts';
import { PostgresRunStore } from './postgres-store.ts';
import type { ClaimedRun, RunChange } from './stored-run.ts';

const RUNS = 240;
const KEYS = 12;
const QUEUE = compileRunQueue({ name: 'q', concurrency: 7, perKey: 2 });

const place = (n: number) => ({ name: 'q', line: `k${n % KEYS}`, rank: n });
const pending = (n: number): RunChange => ({
  insert: true,
  id: `run_${n}`,
  workflow: 'w',
  version: 1,
  epoch: 7,
  status: 'pending',
  worker: null,
  wakeAtMs: null,
  waitingFor: null,
  origin: { input: {}, queue: place(n) },
  idempotencyKey: null,
  startedAtMs: 0,
  updatedAtMs: 0,
  result: null,
  subject: null,
  outcome: null,
  entries: [],
  seq: 0,
});

describe('queues in Postgres, with several processes at once', () => {
  let database: TestDatabase;
  const commits: GroupCommit[] = [];
  beforeAll(async () => {
    database = await createTestDatabase(workflowMigrations);
  });
  afterAll(async () => {
    for (const commit of commits) await commit.close();
    await database.close();
  });
  const process = () => {
    const limits = limitsFrom();
    const commit = new GroupCommit(database.db, limits);
    commits.push(commit);
    return new PostgresRunStore(database.db, commit, limits.payloadInlineBytesMax);
  };

  it('admit every run once, within the bounds, whatever is put in, ended and canceled meanwhile', async () => {
    const stores = [process(), process(), process()];
    const ended = new Set<string>();
    const seen = new Map<string, number>();
    let enqueued = 0;
    const end = async (store: PostgresRunStore, run: ClaimedRun) => {
      const change = {
        ...run,
        insert: false,
        worker: null,
        status: 'completed' as const,
        entries: [],
        seq: 1,
      };
      await store.commit.commit([...store.save(change), store.queues.leave(run.id, 'q')]);
      ended.add(run.id);
    };
    const enqueues = stores.slice(0, 2).map(async (store, half) => {
      for (let n = half; n < RUNS; n += 2) {
        const run = { ...place(n), runId: `run_${n}`, enqueuedAtMs: 0 };
        await store.commit.commit([...store.save(pending(n)), store.queues.enqueue(run)]);
        enqueued++;
        // Every tenth is canceled before it begins, or just then; it may have ended by now, which is what the request is then told.
        if (n % 10 > 0) continue;
        const request = { runId: run.runId, what: 'cancel' as const, requestId: `req_${n}`, atMs: 0 };
        const [asked] = await Promise.allSettled([store.commit.commit([store.operations.request(request)])]);
        if (asked.status === 'rejected') expect(asked.reason).toMatchObject({ code: 'workflow.ended' });
        for (const canceled of await store.claim(`w${half}`, [run.runId])) await end(store, canceled);
      }
    });
    const admits = stores.map(async (store, index) => {
      while (ended.size < RUNS) {
        const { runs } = await store.queues.admit({ worker: `a${index}`, queue: QUEUE, room: 5, nowMs: 0 });
        for (const { id } of runs) seen.set(id, (seen.get(id) ?? 0) + 1);
        const [row] = await database.db.query<{ all: number; most: number }>(
          `select coalesce(sum(count), 0)::int as all, coalesce(max(count), 0)::int as most from (
             select count(*) as count from workflow_queued q join workflow_runs r on r.id = q.run_id and r.status = 'running'
             where q.admitted_at is not null group by q.line) lines`,
        );
        expect(row!.all).toBeLessThanOrEqual(7);
        expect(row!.most).toBeLessThanOrEqual(2);
        for (const run of runs) await end(store, run);
      }
    });
    await Promise.all([...enqueues, ...admits]);
    expect([enqueued, ended.size, Math.max(...seen.values())]).toEqual([RUNS, RUNS, 1]);
    await stores[0]!.queues.admit({ worker: 'a', queue: QUEUE, room: 1, nowMs: 0 });
    const left = await database.db.query(
      'select line as left from workflow_queue_lines union all select run_id from workflow_queued',
    );
    expect(left).toEqual([]);
  });
});
