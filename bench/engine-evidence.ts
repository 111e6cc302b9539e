import { readFile } from 'node:fs/promises';
import type { Database } from '../src/store/database.ts';

/** A fault of the chaos: whom it struck, and from when to when what it cut off may be done again. Times by the wall clock. */
export interface Fault {
  kind: string;
  pids: number[];
  fromMs: number;
  untilMs: number;
}

interface Done {
  pid: number;
  atMs: number;
}

/** What the database says of the runs: none lost, each step recorded once, nothing written under an epoch that had passed. */
export async function auditJournals(db: Database, expected: number) {
  const [runs] = await db.query<{ completed: number; all: number; keys: number }>(
    `select count(*) filter (where status = 'completed') as completed, count(*) as all, count(distinct idempotency_key) as keys from workflow_runs`,
  );
  const [recorded] = await db.query<{ twice: number; whole: number }>(
    `with entry as (
       select r.id as run_id, e->>'k' as k from workflow_runs r, json_array_elements(r.entries) e
       union all
       select j.run_id, e->>'k' from workflow_journal j, json_array_elements(j.entries) e)
     select (select count(*) from (select from entry group by run_id, k having count(*) > 1) as double) as twice,
       (select count(*) from (
          select from entry where k like 'touch%' group by run_id having count(distinct k) = 5) as steps) as whole`,
  );
  // A takeover raises the epoch; after that a row with a lower one could only come from the worker that was fenced.
  const [fenced] = await db.query<{ count: number }>(
    `select count(*) as count from (
       select epoch, max(epoch) over (partition by run_id order by seq rows between unbounded preceding and 1 preceding) as before
       from workflow_journal) as rows where epoch < before`,
  );
  return {
    lost: expected - Math.min(runs!.completed, recorded!.whole, runs!.keys),
    startedTwice: runs!.all - runs!.keys,
    recordedTwice: recorded!.twice,
    fencedWrites: fenced!.count,
  };
}

/** What the receiver saw: every line is one time an effect was done. */
export async function readEffects(file: string) {
  const byKey = new Map<string, Done[]>();
  for (const line of (await readFile(file, 'utf8')).trim().split('\n')) {
    const [key, pid, at] = line.split(' ') as [string, string, string];
    byKey.set(key, [...(byKey.get(key) ?? []), { pid: Number(pid), atMs: Number(at) }]);
  }
  const repeated = [...byKey].filter(([, times]) => times.length > 1);
  const byRun = Map.groupBy(
    [...byKey].flatMap(([key, times]) => times.map((done) => ({ run: runOf(key), ...done }))),
    ({ run }) => run,
  );
  /**
   * Whether a fault may have cut off this time: it came while its process was struck, or it was the last thing that the process did for
   * this run before it was (steps are one after another: the result of every earlier one was recorded).
   */
  const isCutOff = (key: string, { pid, atMs }: Done, faults: readonly Fault[]) =>
    faults.some(({ pids, fromMs, untilMs }) => {
      if (!pids.includes(pid) || atMs > untilMs) return false;
      const between = byRun
        .get(runOf(key))!
        .some((each) => each.pid === pid && each.atMs > atMs && each.atMs <= fromMs);
      return atMs >= fromMs || !between;
    });
  return {
    byKey,
    repeated: repeated.length,
    /** Effects done more than once although no fault had cut off the other times. */
    repeatedOutside: (faults: readonly Fault[]) =>
      repeated.filter(([key, times]) => times.filter((done) => !isCutOff(key, done, faults)).length > 1)
        .length,
  };
}

const runOf = (key: string) => key.split('/')[0]!;

/** For each fault that left a worker alive: after how long it did the first effect of a run that the struck one had held, milliseconds. */
export function takeoversOf(
  { byKey }: Awaited<ReturnType<typeof readEffects>>,
  faults: readonly Fault[],
): number[] {
  const byRun = new Map<string, Done[]>();
  for (const [key, times] of byKey) {
    const run = runOf(key);
    byRun.set(run, [...(byRun.get(run) ?? []), ...times]);
  }
  return faults
    .filter(({ kind }) => kind === 'worker' || kind === 'frozen worker')
    .flatMap(({ pids, fromMs }) => {
      const first = [...byRun.values()].flatMap((times) => {
        const before = times.filter(({ pid, atMs }) => pids.includes(pid) && atMs <= fromMs);
        const after = times.filter(({ pid, atMs }) => !pids.includes(pid) && atMs > fromMs);
        return before.length > 0 && after.length > 0 ? [Math.min(...after.map(({ atMs }) => atMs))] : [];
      });
      return first.length > 0 ? [Math.min(...first) - fromMs] : [];
    });
}
