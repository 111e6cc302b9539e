import { type Lane, Refused, write } from '../../store/lane.ts';
import type { Row } from './memory-rows.ts';
import type { MemoryTables } from './memory-tables.ts';
import { notEnded, type OperationStore } from './operation-store.ts';
import { ENDED } from './stored-run.ts';

/** Ended runs that are deleted, by hand or at the end of their retention. */
export function memoryDeletes({
  runs,
  signals,
  subscriptions,
}: MemoryTables): Pick<OperationStore, 'remove' | 'expire'> {
  const isNeeded = ({ status, origin }: Row) => {
    const parent = runs.get(origin.parent?.runId ?? '');
    return !ENDED.has(status) || (parent !== undefined && !ENDED.has(parent.status));
  };
  const remove = (row: Row) => {
    runs.delete(row.id);
    for (const table of [signals, subscriptions])
      for (const [key, { runId }] of table) if (runId === row.id) table.delete(key);
  };
  const removes: Lane<string> = {
    name: 'workflow.deletes',
    gate: true,
    order: 16,
    write: async (_tx, ids) =>
      ids.map((id) => {
        const row = runs.get(id);
        if (row && isNeeded(row)) return new Refused(notEnded(id, row.status));
        if (row) remove(row);
        return undefined;
      }) as Refused[],
  };
  return {
    remove: (runId) => write(removes, runId),
    async expire({ endedBeforeMs, othersEndedBeforeMs, afterId, rowsMax }) {
      const rows = [...runs.values()]
        .filter(({ id }) => id > afterId)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, rowsMax);
      const over = rows.filter(
        (row) => !isNeeded(row) && row.updatedAtMs < (endedBeforeMs.get(row.workflow) ?? othersEndedBeforeMs),
      );
      for (const row of over) remove(row);
      return { deleted: over.length, lastId: rows.length < rowsMax ? undefined : rows.at(-1)?.id };
    },
  };
}
