import type { Database, Queryable } from '../../store/database.ts';
import { type Lane, plannedLane, type Write, write } from '../../store/lane.ts';
import { columns, timestamp } from '../../store/rows.ts';
import type { RunQueue } from '../language/run-queue.ts';
import { type Choice, choose, freeSlots, type Line, runsAhead } from './queue-order.ts';
import type { Admission, AdmissionRequest, QueuedRun, QueueFigures, RunQueueStore } from './queue-store.ts';
import type { ClaimedRun } from './stored-run.ts';

/** Takes runs inside a transaction; what it answers with reads the rest of them after it. */
export type ClaimRuns = (
  tx: Queryable,
  worker: string,
  runIds: readonly string[],
) => Promise<() => Promise<ClaimedRun[]>>;

/** As in `memory-queues.ts`: what ended holds no slot, whatever rows are left of it. */
const HOLDERS = `from workflow_queued q join workflow_runs r on r.id = q.run_id and r.status not in ('completed', 'failed', 'canceled')
  where q.admitted_at is not null`;
const PENDING = 'q.admitted_at is null';

/** A run that is there already stays as it is: the answer to an earlier commit was lost. New lines begin where the queue is. */
const enqueueLane = plannedLane<QueuedRun>({
  name: 'workflow.queued',
  order: 28,
  plan: (runs) => ({
    statements: [
      {
        text: `with item as (
           select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) as t(run_id, queue, line, rank, enqueued_at)),
         queued as (
           insert into workflow_queued (run_id, queue, line, rank, enqueued_at) select * from item on conflict (run_id) do nothing)
         insert into workflow_queue_lines (queue, line, turn, rank)
         select queue, line, coalesce((select turn from workflow_queues s where s.name = queue), 0), min(rank) from item group by queue, line order by queue, line
         on conflict (queue, line) do update set rank = least(workflow_queue_lines.rank, excluded.rank)`,
        values: columns(runs, ({ runId, name, line, rank, enqueuedAtMs }) => [
          runId,
          name,
          line,
          rank,
          timestamp(enqueuedAtMs),
        ]),
      },
    ],
  }),
});

interface Left {
  readonly runId: string;
  readonly name: string;
}

/** After the lane of the runs: what they are now counts. */
const leaveLane = plannedLane<Left>({
  name: 'workflow.queues_left',
  order: 29,
  plan: (items) => ({
    statements: [
      {
        text: `delete from workflow_queued q using workflow_runs r where q.run_id = any($1::text[]) and r.id = q.run_id and r.status <> 'pending'`,
        values: [items.map(({ runId }) => runId)],
      },
    ],
  }),
});

const pauseLane = plannedLane<{ name: string; paused: boolean }>({
  name: 'workflow.queues_paused',
  order: 29, // a table of its own
  plan: (items) => ({
    statements: items.map(({ name, paused }) => ({
      text: `insert into workflow_queues (name, paused) values ($1, $2) on conflict (name) do update set paused = excluded.paused`,
      values: [name, paused],
    })),
  }),
});

/** Places in queues, in Postgres. The row of a queue in `workflow_queues` is the lock of its admissions. */
export class PostgresQueues implements RunQueueStore {
  readonly #db: Database;
  readonly #claim: ClaimRuns;
  readonly #listeners: ((queues: readonly string[]) => void)[] = [];
  readonly #enqueueLane: Lane<QueuedRun>;
  readonly #leaveLane: Lane<Left>;
  readonly #pauseLane: Lane<{ name: string; paused: boolean }>;

  constructor(db: Database, claim: ClaimRuns) {
    this.#db = db;
    this.#claim = claim;
    const committed = (items: readonly { name: string }[]) => {
      const queues = items.map(({ name }) => name);
      for (const listener of this.#listeners) listener(queues);
    };
    this.#enqueueLane = { ...enqueueLane, committed };
    this.#leaveLane = { ...leaveLane, committed };
    this.#pauseLane = { ...pauseLane, committed };
  }

  onChange(listener: (queues: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  enqueue(run: QueuedRun): Write {
    return write(this.#enqueueLane, run);
  }

  leave(runId: string, name: string): Write {
    return write(this.#leaveLane, { runId, name });
  }

  setPaused(name: string, paused: boolean): Write {
    return write(this.#pauseLane, { name, paused });
  }

  async holders(runIds: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.#db.query<{ run_id: string }>(
      'select run_id from workflow_queued where run_id = any($1) and admitted_at is not null',
      [runIds],
    );
    return new Set(rows.map((row) => row.run_id));
  }

  /** By stepping through the index from one queue to the next, as long as the lines may be. */
  async waiting(): Promise<string[]> {
    const rows = await this.#db.query<{ queue: string }>(
      `with recursive names(queue) as (
         (select q.queue from workflow_queued q where ${PENDING} order by q.queue limit 1)
         union all
         select (select q.queue from workflow_queued q where ${PENDING} and q.queue > n.queue order by q.queue limit 1) from names n where n.queue is not null)
       select queue from names where queue is not null`,
    );
    return rows.map(({ queue }) => queue);
  }

  async admit(request: AdmissionRequest): Promise<Admission> {
    const { read, ...admission } = await this.#db.transaction((tx) => admitIn(tx, request, this.#claim));
    const runs = await read();
    return { ...admission, runs: runs.sort((a, b) => rankOf(a) - rankOf(b)) };
  }

  async figures(): Promise<QueueFigures[]> {
    const rows = await this.#db.query<{
      name: string;
      paused: boolean;
      pending: number;
      admitted: number;
      oldest: number | null;
    }>(
      `with waiting as (
         select queue as name, count(*) as pending, min(enqueued_at) as oldest
         from workflow_queued q join workflow_runs r on r.id = q.run_id and r.status = 'pending' where ${PENDING} group by queue),
       holding as (select q.queue as name, count(*) as admitted ${HOLDERS} group by q.queue)
       select name, coalesce(paused, false) as paused, coalesce(pending, 0)::int as pending, coalesce(admitted, 0)::int as admitted, oldest
       from waiting full join holding using (name) full join (select name, paused from workflow_queues where paused) s using (name)
       order by name`,
    );
    return rows.map(({ oldest, ...figures }) => ({ ...figures, oldestAtMs: oldest ?? undefined }));
  }

  async ahead(runId: string, queue: RunQueue): Promise<number | undefined> {
    const [own] = await this.#db.query<{ line: string; index: number; rank: number }>(
      `select o.line, o.rank, (select count(*) from workflow_queued q where ${PENDING} and q.queue = o.queue and q.line = o.line
         and (q.rank, q.run_id) < (o.rank, o.run_id))::int as index
       from workflow_queued o where o.run_id = $1 and o.admitted_at is null`,
      [runId],
    );
    if (!own) return undefined;
    const rows = await this.#db.query<{ line: string; turn: number; pending: number; rank: number }>(
      `select l.line, l.turn, count(*)::int as pending, min(q.rank) as rank from workflow_queue_lines l join workflow_queued q on q.queue = l.queue and q.line = l.line and ${PENDING}
       where l.queue = $1 group by l.line, l.turn`,
      [queue.name],
    );
    const lines = rows.map((row) => ({ ...row, weight: queue.weights.get(row.line) ?? 1 }));
    const line = lines.find((each) => each.line === own.line);
    return (
      line &&
      runsAhead(
        { ...line, index: own.index, rank: own.rank },
        lines.filter((each) => each !== line),
      )
    );
  }
}

function rankOf({ origin }: ClaimedRun): number {
  return origin.queue?.rank ?? 0;
}

type Admitted = Omit<Admission, 'runs'> & { read(): Promise<ClaimedRun[]> };
const NOTHING: Admitted = { more: false, againAtMs: undefined, read: async () => [] };

async function admitIn(tx: Queryable, request: AdmissionRequest, claim: ClaimRuns): Promise<Admitted> {
  const { queue, nowMs, room, worker } = request;
  const { concurrency, rate } = queue;
  const [state] = await tx.query<{ paused: boolean; turn: number }>(
    `insert into workflow_queues (name) values ($1) on conflict (name) do update set name = excluded.name returning paused, turn`,
    [queue.name],
  );
  if (!state || state.paused) return NOTHING;
  const perLine = await admittedPerLine(tx, queue);
  const admitted = [...perLine.values()].reduce((sum, count) => sum + count, 0);
  const { started, firstAtMs } = rate
    ? await startsWithin(tx, queue.name, nowMs - rate.periodMs)
    : { started: 0, firstAtMs: undefined };
  const free = freeSlots({ concurrency, admitted, rateLimit: rate?.limit, started, room });
  const againAtMs = (taken: number, at = firstAtMs) =>
    rate && started + taken >= rate.limit && at !== undefined ? at + rate.periodMs : undefined;
  if (free === 0) return { ...NOTHING, againAtMs: againAtMs(0) };
  const lines = await headsOf(tx, queue, perLine, free);
  const wanted = choose(lines, free);
  const { choice, whole } = await lockChosen(tx, lines, wanted);
  const { runIds, turns, turn = state.turn } = choice;
  if (runIds.length > 0) {
    await tx.query('update workflow_queued set admitted_at = $2 where run_id = any($1)', [
      runIds,
      timestamp(nowMs),
    ]);
    await tx.query('update workflow_queues set turn = $2 where name = $1', [queue.name, turn]);
    if (rate)
      await tx.query('insert into workflow_queue_starts (queue, started_at, count) values ($1, $2, $3)', [
        queue.name,
        timestamp(nowMs),
        runIds.length,
      ]);
  }
  await moveLines(tx, queue.name, lines, turns);
  const read = await claim(tx, worker, runIds);
  if (turn > state.turn || wanted.runIds.length < free) await forgetLines(tx, queue.name, turn);
  return {
    more: wanted.incomplete || !whole,
    againAtMs: againAtMs(runIds.length, firstAtMs ?? nowMs),
    read,
  };
}

async function admittedPerLine(tx: Queryable, queue: RunQueue): Promise<Map<string, number>> {
  if (queue.concurrency === undefined && queue.perKey === undefined) return new Map();
  const rows = await tx.query<{ line: string; count: number }>(
    `select q.line, count(*)::int as count ${HOLDERS} and q.queue = $1 group by q.line`,
    [queue.name],
  );
  return new Map(rows.map(({ line, count }) => [line, count]));
}

/** Exact, not by buckets: a row for each admission, as many as the rate's limit at most. */
async function startsWithin(tx: Queryable, queue: string, afterMs: number) {
  await tx.query('delete from workflow_queue_starts where queue = $1 and started_at <= $2', [
    queue,
    timestamp(afterMs),
  ]);
  const [row] = await tx.query<{ started: number; first: number | null }>(
    'select coalesce(sum(count), 0)::int as started, min(started_at) as first from workflow_queue_starts where queue = $1',
    [queue],
  );
  return { started: row?.started ?? 0, firstAtMs: row?.first ?? undefined };
}

/**
 * The lines whose turn it may be, with their first runs: as many of each as an even share needs. No more lines than free slots: each would give one run before a line behind
 * them does. They are locked, in the order in which those who put runs into them lock them, before their runs are read: what is written of them at the end is exact.
 */
async function headsOf(
  tx: Queryable,
  queue: RunQueue,
  admitted: ReadonlyMap<string, number>,
  free: number,
): Promise<Line[]> {
  const { perKey = Number.POSITIVE_INFINITY } = queue;
  const full = [...admitted].flatMap(([line, count]) => (count >= perKey ? [line] : []));
  const first = await tx.query<{ line: string }>(
    `select line from workflow_queue_lines where queue = $1 and rank is not null and line <> all($2::text[]) order by turn, rank, line limit $3`,
    [queue.name, full, free],
  );
  if (first.length === 0) return [];
  const turns = await tx.query<{ line: string; turn: number }>(
    'select line, turn from workflow_queue_lines where queue = $1 and line = any($2) order by line for update',
    [queue.name, first.map(({ line }) => line)],
  );
  const share = Math.ceil(free / turns.length) + 1;
  const heads = await tx.query<{ line: string; run_id: string; rank: number }>(
    `select l.line, h.run_id, h.rank from unnest($2::text[]) as l(line) cross join lateral (
       select q.run_id, q.rank from workflow_queued q
       where q.queue = $1 and q.line = l.line and ${PENDING} order by q.rank, q.run_id limit $3) h`,
    [queue.name, turns.map(({ line }) => line), share],
  );
  const byLine = Map.groupBy(heads, ({ line }) => line);
  return turns.map(({ line, turn }): Line => {
    const own = (byLine.get(line) ?? []).map(({ run_id: runId, rank }) => ({ runId, rank }));
    const weight = queue.weights.get(line) ?? 1;
    return {
      line,
      turn,
      weight,
      heads: own,
      more: own.length === share,
      room: perKey - (admitted.get(line) ?? 0),
    };
  });
}

/** Locks the runs in the order of their ids, as every writer does. One that somebody is acting on is left out; what pends no more loses its place. */
async function lockChosen(
  tx: Queryable,
  lines: readonly Line[],
  wanted: Choice,
): Promise<{ choice: Choice; whole: boolean }> {
  if (wanted.runIds.length === 0) return { choice: wanted, whole: true };
  const rows = await tx.query<{ id: string }>(
    `select id from workflow_runs where id = any($1) and status = 'pending' order by id for update skip locked`,
    [wanted.runIds],
  );
  if (rows.length === wanted.runIds.length) return { choice: wanted, whole: true };
  const locked = new Set(rows.map(({ id }) => id));
  await tx.query(
    `delete from workflow_queued q where q.run_id = any($1) and ${PENDING}
       and not exists (select from workflow_runs r where r.id = q.run_id and r.status = 'pending')`,
    [wanted.runIds.filter((id) => !locked.has(id))],
  );
  const rest = lines.map((line) => ({
    ...line,
    heads: line.heads.filter(({ runId }) => locked.has(runId)),
    more: false,
  }));
  return { choice: choose(rest, locked.size), whole: false };
}

/** The next turns of the lines that were looked at, and the ranks of their first runs. */
async function moveLines(
  tx: Queryable,
  queue: string,
  lines: readonly Line[],
  turns: ReadonlyMap<string, number>,
): Promise<void> {
  if (lines.length === 0) return;
  await tx.query(
    `update workflow_queue_lines l
     set turn = t.turn, rank = (select q.rank from workflow_queued q where q.queue = l.queue and q.line = l.line and ${PENDING} order by q.rank limit 1)
     from unnest($2::text[], $3::float8[]) as t(line, turn) where l.queue = $1 and l.line = t.line`,
    [queue, lines.map(({ line }) => line), lines.map(({ line, turn }) => turns.get(line) ?? turn)],
  );
}

/**
 * Forgets lines without a run whose turn has passed, and all of those when nothing waits; until then a line that sends one run at a time keeps its turn behind the others.
 * One that somebody is just putting a run into is locked by them, and stays.
 */
async function forgetLines(tx: Queryable, queue: string, turn: number): Promise<void> {
  await tx.query(
    `delete from workflow_queue_lines where (queue, line) in (
       select queue, line from workflow_queue_lines l
       where l.queue = $1 and l.rank is null
         and (l.turn <= $2 or not exists (select from workflow_queue_lines o where o.queue = $1 and o.rank is not null))
       for update skip locked)`,
    [queue, turn],
  );
}
