import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import type { LineageEdge } from '../../kernel/definition-lineage.ts';
import { Definitions, definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { Lineage } from '../lineage.ts';
import { ledgerMigrations } from '../migrations.ts';
import { LineageGraph } from './graph.ts';
import { lineageWrite } from './graph-lane.ts';
import { lineageMigrations } from './migrations.ts';

const edge = (text: string): LineageEdge => {
  const [from, to] = text.split(' > ') as [string, string];
  return { from, to };
};

describe('the lineage graph', () => {
  let database: TestDatabase;
  let graph: LineageGraph;
  let lineage: Lineage;
  const put = (source: string, version: number, edges: string[], nodes: string[] = [source]) =>
    database.commit.commit([
      lineageWrite({
        source,
        version,
        nodes: nodes.map((id) => ({ id, type: 'number' })),
        edges: edges.map(edge),
      }),
    ]);
  const namesOf = async (query: Parameters<LineageGraph['query']>[0]) =>
    (await graph.query(query)).nodes.map(({ id }) => id);

  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...ledgerMigrations, ...lineageMigrations]);
    const { db, limits } = database;
    lineage = new Lineage(db, systemClock);
    graph = new LineageGraph({
      ...{ db, limits, lineage },
      outcomes: async (run) => (run === 'run_1' ? ['tsk_1'] : []),
      runOfTask: async (task) => (task === 'tsk_1' ? 'run_1' : undefined),
    });
    await put(
      'contract:order',
      1,
      ['contract:order > event-type:order', 'event-type:order > field:order#total'],
      ['contract:order', 'field:order#total'],
    );
    await put('feature-view:orders', 1, [
      'event-type:order > feature-view:orders',
      'field:order#total > feature:orders.spend',
      'feature-view:orders > feature:orders.spend',
      'feature-view:orders > feature:orders.count',
    ]);
    await put('feature-service:risk', 1, ['feature:orders.spend > service-feature:risk.spend']);
    await put('workflow:returns', 1, [
      'service-feature:risk.spend > model:risk',
      'model:risk > workflow:returns',
    ]);
  });
  afterAll(() => database.close());

  it('goes down from a field to what is made of it, and no further than asked', async () => {
    expect(await namesOf({ node: 'field:order#total', direction: 'down' })).toEqual([
      'field:order#total',
      'feature:orders.spend',
      'service-feature:risk.spend',
      'model:risk',
      'workflow:returns',
    ]);
    expect(await namesOf({ node: 'field:order#total', direction: 'down', depth: 1 })).toHaveLength(2);
  });

  it('goes up from a model to the contract', async () => {
    const { nodes } = await graph.query({ node: 'model:risk', direction: 'up' });
    expect(nodes.map(({ id, depth }) => [id, depth])).toContainEqual(['contract:order', -5]);
    expect(nodes.map(({ id }) => id)).not.toContain('feature:orders.count');
    expect(nodes.find(({ id }) => id === 'field:order#total')?.type).toBe('number');
  });

  it('tells kinds only, with an edge for every way between them', async () => {
    const { nodes, edges } = await graph.query({
      node: 'field:order#total',
      direction: 'down',
      kinds: ['feature', 'workflow'],
    });
    expect(nodes.map(({ id }) => id)).toEqual([
      'field:order#total',
      'feature:orders.spend',
      'workflow:returns',
    ]);
    expect(edges).toEqual([
      edge('field:order#total > feature:orders.spend'),
      edge('feature:orders.spend > workflow:returns'),
    ]);
  });

  it('pages hold each node and edge once', async () => {
    const whole = await graph.query({ node: 'contract:order', direction: 'down' });
    const nodes: string[] = [];
    const edges: LineageEdge[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await graph.query({
        node: 'contract:order',
        direction: 'down',
        limit: 3,
        cursor: cursor ?? undefined,
      });
      nodes.push(...page.nodes.map(({ id }) => id));
      edges.push(...page.edges);
      cursor = page.nextCursor;
    }
    expect(nodes).toEqual(whole.nodes.map(({ id }) => id));
    const texts = (list: readonly LineageEdge[]) => list.map(({ from, to }) => `${from} > ${to}`).sort();
    expect(texts(edges)).toEqual(texts(whole.edges));
  });

  it('tells what was in force at a time', async () => {
    await put(
      'feature-view:late',
      1,
      ['field:order#total > feature:late.a'],
      ['feature-view:late', 'feature:late.a'],
    );
    const [{ now }] = (await database.db.query<{ now: number }>('select clock_timestamp() as now')) as [
      { now: number },
    ];
    await put(
      'feature-view:late',
      2,
      ['field:order#total > feature:late.b'],
      ['feature-view:late', 'feature:late.b'],
    );
    const down = (asOf?: number) => namesOf({ node: 'field:order#total', direction: 'down', asOf });
    expect(await down()).toContain('feature:late.b');
    expect(await down()).not.toContain('feature:late.a');
    expect(await down(now)).toContain('feature:late.a');
    expect(await down(now)).not.toContain('feature:late.b');
  });

  it('leads from a run to what it was made with, from a version to its runs, from a task to its run', async () => {
    await put('model:risk@3', 0, ['model:risk@2 > model:risk@3', 'dataset:orders@1 > model:risk@3']);
    await database.commit.commit([
      lineage.record({
        runId: 'run_1',
        pins: [
          { kind: 'model', name: 'risk', version: '3' },
          { kind: 'feature-service', name: 'risk', version: '1' },
        ],
      }),
    ]);
    const up = await namesOf({ node: 'run:run_1', direction: 'up' });
    expect(up).toEqual(
      expect.arrayContaining([
        'run:run_1',
        'model:risk@3',
        'model:risk@2',
        'dataset:orders@1',
        'feature-service:risk',
      ]),
    );
    expect(await namesOf({ node: 'run:run_1', direction: 'down' })).toEqual(['run:run_1', 'task:tsk_1']);
    expect(await namesOf({ node: 'task:tsk_1', direction: 'up' })).toEqual(
      expect.arrayContaining(['run:run_1', 'model:risk@3']),
    );
    expect(await namesOf({ node: 'dataset:orders@1', direction: 'down' })).toContain('model:risk@3');
    expect(await namesOf({ node: 'model:risk@3', direction: 'down' })).toContain('run:run_1');
    expect(await namesOf({ node: 'feature-service:risk@1', direction: 'down' })).toContain('run:run_1');
  });

  it('knows the version in force of a definition', async () => {
    const definitions = new Definitions(database.db);
    const body = { name: 'orders' };
    await database.commit.commit([
      definitions.put({ kind: 'feature-view', name: 'orders', body, source: '', createdBy: 'x' }),
    ]);
    const { nodes } = await graph.query({ node: 'feature:orders.spend', direction: 'up' });
    expect(nodes.find(({ id }) => id === 'feature-view:orders')?.version).toBe('1');
  });

  it('refuses a node that it does not know, with near names', async () => {
    await expect(graph.query({ node: 'feature:orders.spent', direction: 'up' })).rejects.toMatchObject({
      code: 'lineage.unknown_node',
      extensions: { near: expect.arrayContaining(['feature:orders.spend']) },
    });
    await expect(graph.query({ node: 'run:none', direction: 'up' })).rejects.toMatchObject({
      code: 'lineage.unknown_node',
    });
  });

  it('says that there is more where a chain is longer than it goes, but not where that was asked for, nor in a circle', async () => {
    for (const [name, length] of [
      ['chain', 5_000],
      ['circle', 150],
    ] as const) {
      await database.db.query(
        `insert into lineage_edges (from_id, to_id, source)
         select 'job:' || $1 || '/' || n, 'job:' || $1 || '/' || (n + 1) % $2::int, 'jobs' from generate_series(0, $2::int - 1) n`,
        [name, length],
      );
      await database.db.query(`insert into lineage_nodes (id, kind) values ('job:' || $1 || '/0', 'job')`, [
        name,
      ]);
    }
    const ask = async (node: string, depth?: number) => {
      const answer = await graph.query({ node, direction: 'down', depth, limit: 5_000 });
      return [answer.nodes.length, answer.truncated];
    };
    expect(await ask('job:chain/0')).toEqual([201, true]);
    expect(await ask('job:chain/0', 300)).toEqual([201, true]);
    expect(await ask('job:chain/0', 20)).toEqual([21, false]);
    expect(await ask('job:circle/0')).toEqual([150, false]);
    expect(await ask('job:circle/0', 200)).toEqual([150, false]);
  });

  it('is bounded in a graph of 100,000 edges, and reads it by its indexes', async () => {
    await database.db.query(
      `insert into lineage_edges (from_id, to_id, source) select 'field:big#' || (n / 10), 'feature:big.' || n, 'bulk' from generate_series(1, 100000) n`,
    );
    await database.db.query(
      `insert into lineage_edges (from_id, to_id, source) select 'event-type:big', 'field:big#' || n, 'bulk' from generate_series(0, 10000) n`,
    );
    await database.db.query(`insert into lineage_nodes (id, kind) values ('event-type:big', 'event-type')`);
    const few = await graph.query({ node: 'event-type:big', direction: 'down', limit: 10 });
    expect(few.truncated).toBe(true);
    expect(few.nodes).toHaveLength(10);
    const plan = await database.db.query<{ 'QUERY PLAN': string }>(
      `explain select from_id, to_id from lineage_edges where to_id = any(array['feature:big.77']) and until is null`,
    );
    expect(plan.map((row) => row['QUERY PLAN']).join()).toContain('lineage_edges_to');
    expect(await graph.edgesOf(['feature:big.77'], 'up', 10)).toEqual([edge('field:big#7 > feature:big.77')]);
  });
});
