import { AiosError } from '../../kernel/errors.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import type { BulkOperation, BulkOutcome, BulkProgress, BulkStore } from './bulk-store.ts';
import type { RunStore } from './run-store.ts';

interface Kept {
  operation: BulkOperation;
  worker: string | undefined;
  readonly runs: Map<string, BulkOutcome | undefined>;
}

/** Bulk operations in the memory of this process. */
export function memoryBulks(list: RunStore['list'], isAlive: (worker: string) => boolean): BulkStore {
  const bulks = new Map<string, Kept>();
  const starts: Lane<{ id: string; atMs: number }> = {
    name: 'workflow.bulk_starts',
    gate: true,
    order: 17,
    write: async (_tx, items) => items.map(({ id, atMs }) => start(bulks.get(id), id, atMs)) as Refused[],
  };
  const records: Lane<BulkOutcome> = {
    name: 'workflow.bulk_outcomes',
    gate: true,
    order: 18,
    write: async (_tx, items) => items.map((item) => record(bulks.get(item.bulkId), item)) as Refused[],
  };
  return {
    idsOf: async (filters, limit) => (await list(filters, undefined, limit)).map(({ id }) => id).reverse(),
    async prepare(operation, runIds) {
      const runs = new Map(runIds.map((id) => [id, undefined] as const));
      bulks.set(operation.id, { operation, worker: undefined, runs });
    },
    start: (id, atMs) => write(starts, { id, atMs }),
    record: (outcome) => write(records, outcome),
    async take(worker, limit) {
      const next = [...bulks.values()].find(
        (each) =>
          each.operation.status === 'running' &&
          (each.worker === undefined || each.worker === worker || !isAlive(each.worker)),
      );
      if (!next) return undefined;
      next.worker = worker;
      const open = [...next.runs].filter(([, outcome]) => !outcome).map(([id]) => id);
      return { operation: next.operation, runIds: open.slice(0, limit) };
    },
    async complete(id, atMs) {
      const kept = bulks.get(id);
      if (kept) kept.operation = { ...kept.operation, status: 'completed', endedAtMs: atMs };
    },
    find: async (id) => {
      const kept = bulks.get(id);
      return kept && progress(kept);
    },
    list: async (limit) => [...bulks.values()].reverse().slice(0, limit).map(progress),
  };
}

function start(kept: Kept | undefined, id: string, atMs: number): Refused | undefined {
  if (kept?.operation.status !== 'prepared')
    return new Refused(new AiosError('workflow.bulk_stale', { detail: id }));
  kept.operation = { ...kept.operation, status: 'running', startedAtMs: atMs };
  return undefined;
}

function record(kept: Kept | undefined, outcome: BulkOutcome): Refused | undefined {
  const known = kept?.runs.get(outcome.runId);
  if (known && known.mark !== outcome.mark)
    return new Refused(new AiosError('store.conflict', { detail: outcome.runId }));
  kept?.runs.set(outcome.runId, outcome);
  return undefined;
}

function progress({ operation, runs }: Kept): BulkProgress {
  const outcomes = [...runs.values()].flatMap((each) => each?.outcome ?? []);
  const skipped: { [code: string]: number } = {};
  for (const code of outcomes) if (code !== 'done') skipped[code] = (skipped[code] ?? 0) + 1;
  return { ...operation, done: outcomes.filter((code) => code === 'done').length, skipped };
}
