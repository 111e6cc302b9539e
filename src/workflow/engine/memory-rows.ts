import { type AttributeFilter, type Comparison, meanings, type RunAttribute } from './attributes.ts';
import type { RunAttempt } from './operation-store.ts';
import type { Entry, RunFilters, StoredRun } from './run-store.ts';

/** A run as the memory store keeps it. */
export interface Row extends StoredRun {
  worker: string | null;
  /** Entries by the number of their barrier. */
  barriers: Map<number, readonly Entry[]>;
  attributes?: readonly RunAttribute[];
  /** Its attempts before the present one. */
  earlier?: readonly { told: RunAttempt; entries: readonly Entry[] }[];
}

/** Those that fit, the newest first. */
export function searchRows(rows: readonly Row[], filters: RunFilters, before: string | undefined): Row[] {
  const { workflow, version, status, sinceMs, untilMs, text, attributes = [] } = filters;
  return rows
    .filter((row) => before === undefined || row.id < before)
    .filter((row) => workflow === undefined || row.workflow === workflow)
    .filter((row) => version === undefined || row.version === version)
    .filter((row) => status === undefined || row.status === status)
    .filter((row) => attributes.every((filter) => hasAttribute(row, filter)))
    .filter((row) => sinceMs === undefined || row.startedAtMs >= sinceMs)
    .filter((row) => untilMs === undefined || row.startedAtMs < untilMs)
    .filter(
      (row) =>
        text === undefined ||
        `${row.id} ${row.subject} ${row.outcome}`.toLowerCase().includes(text.toLowerCase()),
    )
    .sort((a, b) => (a.id < b.id ? 1 : -1));
}

function hasAttribute({ attributes = [] }: Row, filter: AttributeFilter): boolean {
  return meanings(filter).some(({ name, type, value }) =>
    attributes.some(
      (each) => each.name === name && each.type === type && compares(each.value, filter.comparison, value),
    ),
  );
}

function compares(found: string, comparison: Comparison, value: string): boolean {
  if (comparison === 'eq') return found === value;
  if (comparison === 'gt' || comparison === 'lte') return found > value === (comparison === 'gt');
  return found < value === (comparison === 'lt');
}

export function entriesOf(row: Row | undefined): Entry[] {
  const barriers = [...(row?.barriers ?? [])].sort(([a], [b]) => a - b);
  return structuredClone(barriers.flatMap(([, entries]) => entries));
}

export function stored({ worker: _, barriers: __, ...run }: Row): StoredRun {
  return structuredClone(run);
}
