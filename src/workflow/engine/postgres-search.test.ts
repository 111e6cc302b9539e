import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { attributeOf, attributeValue } from './attributes.ts';
import { workflowMigrations } from './migrations.ts';
import { searchRuns } from './postgres-search.ts';
import type { RunFilters } from './stored-run.ts';

const RUNS = 100_000;

interface Plan {
  'Node Type': string;
  'Actual Rows': number;
  'Relation Name'?: string;
  Plans?: Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

describe('searching runs by attributes', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(workflowMigrations);
    await database.db.query(
      `insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, entries)
       select 'run_' || lpad(n::text, 8, '0'), 'orders', 1, 1, case when n % 10 = 0 then 'failed' else 'completed' end, '{}', now(), now(), '[]'
       from generate_series(1, ${RUNS}) n`,
    );
    // Half of all runs have the same region: what is found by it must be read in the order of the page, not whole.
    await database.db.query(
      `insert into workflow_attributes
       select 'run_' || lpad(n::text, 8, '0'), a.name, 'text', case a.name when 'orderId' then 'o-' || n else 'r-' || n % 2 end
       from generate_series(1, ${RUNS}) n, (values ('orderId'), ('region')) a(name)`,
    );
    await database.db.query('analyze workflow_runs');
    await database.db.query('analyze workflow_attributes');
  });
  afterAll(() => database.close());

  const explain = async (filters: RunFilters, before?: string) => {
    const { text, values } = searchRuns(filters, before, 51);
    const [row] = await database.db.queryDynamic<{ 'QUERY PLAN': { Plan: Plan }[] }>(
      `explain (analyze, format json) ${text}`,
      values,
    );
    return nodes(row!['QUERY PLAN'][0]!.Plan);
  };
  const equal = (name: string, text: string) => ({ name, text, comparison: 'eq' as const });

  it.each<[string, RunFilters, string | undefined, number]>([
    ['one among all', { attributes: [equal('orderId', 'o-777')] }, undefined, 1],
    ['half of all', { attributes: [equal('region', 'r-1')] }, undefined, 51],
    ['half of all, from a cursor on', { attributes: [equal('region', 'r-1')] }, 'run_00050000', 51],
    ['two at once', { attributes: [equal('region', 'r-1'), equal('orderId', 'o-777')] }, undefined, 1],
    ['with a status', { attributes: [equal('region', 'r-0')], status: 'failed' }, undefined, 51],
  ])('reads what it shows: %s', async (_, filters, before, rows) => {
    const plan = await explain(filters, before);
    expect(plan[0]!['Actual Rows']).toBe(rows);
    expect(plan.map((node) => node['Node Type'])).not.toContain('Seq Scan');
    expect(plan.map((node) => node['Node Type'])).not.toContain('Sort');
    // With a status that one in five has, five are read for one that is shown.
    for (const node of plan) expect(node['Actual Rows']).toBeLessThanOrEqual(Math.max(1, rows) * 8);
  });

  it('keeps numbers in texts that sort as they do, and gives them back', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    const encode = (n: number) => attributeOf({ name: 'n', type: 'number' }, n)!;
    fc.assert(
      fc.property(finite, finite, (a, b) => {
        expect(encode(a).value < encode(b).value).toBe(a < b);
        expect(attributeValue(encode(a))).toBe(a === 0 ? 0 : a);
      }),
    );
  });
});
