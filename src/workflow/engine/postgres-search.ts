import { firstId } from '../../kernel/ids.ts';
import { timestamp } from '../../store/rows.ts';
import { type AttributeFilter, type Comparison, meanings } from './attributes.ts';
import { LISTED } from './postgres-rows.ts';
import type { RunFilters } from './stored-run.ts';

const OPERATORS: { readonly [comparison in Comparison]: string } = {
  eq: '=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
};

/** The parameters of a query under way. */
class Values {
  readonly all: unknown[] = [];

  /** The place of a value in the text. */
  add(value: unknown): string {
    this.all.push(value);
    return `$${this.all.length}`;
  }
}

/**
 * The query for a page of runs, the newest first. With an attribute that has to be equal the search goes along the index of its value, which has the
 * ids of the runs in their order: what it reads are the rows of the page, however many runs there are (postgres-search.test.ts).
 */
export function searchRuns(
  filters: RunFilters,
  before: string | undefined,
  limit: number,
  columns = LISTED,
): { text: string; values: unknown[] } {
  const values = new Values();
  const conditions = conditionsOf(filters, before, values);
  const attributes = [...(filters.attributes ?? [])].sort(
    (a, b) => Number(a.comparison !== 'eq') - Number(b.comparison !== 'eq'),
  );
  const [first, ...others] = attributes;
  for (const attribute of others)
    conditions.push(`exists (${rowsWith(attribute, values, 'and a.run_id = r.id')})`);
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  const after = !first || before === undefined ? '' : `and a.run_id < ${values.add(before)}`;
  const from = first
    ? `(${rowsWith(first, values, after)}) found join workflow_runs r on r.id = found.run_id`
    : 'workflow_runs r';
  const order = first ? 'found.run_id' : 'r.id';
  return {
    text: `select ${columns} from ${from} ${where} order by ${order} desc limit ${values.add(limit)}`,
    values: values.all,
  };
}

/** Rows of each type that the text may mean; of one only, most often. */
function rowsWith(filter: AttributeFilter, values: Values, more: string): string {
  const found = meanings(filter);
  if (found.length === 0) return 'select null::text as run_id where false';
  return found
    .map(
      ({ name, type, value }) =>
        `select a.run_id from workflow_attributes a where a.name = ${values.add(name)} and a.type = ${values.add(type)}
           and a.value ${OPERATORS[filter.comparison]} ${values.add(value)} ${more}`,
    )
    .join(' union all ');
}

function conditionsOf(
  { workflow, version, status, statuses, ids, sinceMs, untilMs, text }: RunFilters,
  before: string | undefined,
  values: Values,
): string[] {
  const conditions: string[] = [];
  const where = (condition: string, value: unknown) =>
    void conditions.push(condition.replaceAll('?', values.add(value)));
  if (before !== undefined) where('r.id < ?', before);
  if (workflow !== undefined) where('r.workflow = ?', workflow);
  if (version !== undefined) where('r.version = ?', version);
  if (status !== undefined) where('r.status = ?', status);
  if (ids !== undefined) where('r.id = any(?)', ids);
  if (statuses !== undefined) {
    where('r.status = any(?)', statuses);
    // In the words of the index of those that have not completed.
    if (!statuses.includes('completed')) conditions.push("r.status <> 'completed'");
  }
  // An id begins with the time of the start: the key of the table bounds what is read.
  if (sinceMs !== undefined) {
    where('r.id >= ?', firstId('run', sinceMs));
    where('r.started_at >= ?', timestamp(sinceMs));
  }
  if (untilMs !== undefined) {
    where('r.id < ?', firstId('run', untilMs));
    where('r.started_at < ?', timestamp(untilMs));
  }
  if (text !== undefined)
    where("concat_ws(' ', r.id, r.subject, r.outcome) ilike ?", `%${text.replace(/[\\%_]/g, '\\$&')}%`);
  return conditions;
}
