import { type AttributeFilter, type Comparison, meanings } from './attributes.ts';
import type { Row } from './memory-rows.ts';
import type { RunFilters } from './stored-run.ts';

/** The rows that a filter names, the newest first. */
export function searchRows(rows: readonly Row[], filters: RunFilters, before: string | undefined): Row[] {
  const { workflow, version, status, sinceMs, untilMs, text, attributes = [], statuses, ids } = filters;
  return rows
    .filter((row) => before === undefined || row.id < before)
    .filter((row) => workflow === undefined || row.workflow === workflow)
    .filter((row) => version === undefined || row.version === version)
    .filter((row) => status === undefined || row.status === status)
    .filter((row) => statuses?.includes(row.status) ?? true)
    .filter((row) => ids?.includes(row.id) ?? true)
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
