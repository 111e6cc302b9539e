import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { TestDatabase } from '../src/testing/database.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';

const CONTRACT = `name: order
version: 1.0.0
owner: shop
compatibility: NONE
schema:
  type: object
  required: [customer, amount]
  properties: { customer: { type: string }, amount: { type: number }, note: { type: string } }`;
const PROJECT: Record<string, string> = {
  'aios.yaml': 'name: lineage',
  'contracts/order.yaml': CONTRACT,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml': `name: orders
entity: customer
source: { event: order }
keys: { customer: data.customer }
features:
  count: { aggregate: count }
  spend: { aggregate: sum, of: data.amount }`,
  'services/all.yaml': 'name: all\nviews: [orders]',
  'decisions/limit.yaml': `name: limit
hitPolicy: first
inputs: { spend: { type: number, nullable: true } }
outputs: { action: { enum: [grant, refuse] } }
rules:
  - { id: all, when: 'true', then: { action: grant }, reason: always }`,
  'workflows/grant.yaml': `document: { dsl: 1.0.0, namespace: test, name: grant, version: 1.0.0 }
evaluate: { language: cel }
schedule: { on: { one: { with: { type: order } } } }
do:
  - know:
      call: features:1@default
      with: { service: all, entity: { customer: '\${ event.data.customer }' } }
      export: { as: '\${ {"features": output} }' }
  - decide:
      call: decide:1@default
      with: { decision: limit, input: { spend: '\${ context.features.spend }' } }`,
};

describe('lineage of a project', () => {
  let database: TestDatabase;
  let folder: string;
  let app: App;
  let close: OpenedApp['close'];
  beforeAll(async () => {
    ({ app, database, dataDir: folder, close } = await openApp({ project: PROJECT }));
    await app.publish([
      {
        specversion: '1.0',
        id: 'o-1',
        source: 'urn:test',
        type: 'order',
        time: new Date().toISOString(),
        data: { customer: 'c7', amount: 3 },
      },
    ]);
  });
  afterAll(() => close());

  const aios = (...args: string[]) => runCommand([...args, '--url', app.url, '--key', app.adminKey]);
  const project = async (changes: Record<string, string>): Promise<string> => {
    const at = await mkdtemp(join(folder, 'project-'));
    for (const [path, text] of Object.entries({ ...PROJECT, ...changes })) {
      await mkdir(dirname(join(at, path)), { recursive: true });
      await writeFile(join(at, path), text);
    }
    return at;
  };

  it('goes from a column to the flow, over HTTP and in the command line', async () => {
    const { said, code } = await aios('lineage', 'field:order#amount', '--down');
    expect(code).toBe(0);
    for (const node of [
      'feature:orders.spend',
      'service-feature:all.spend',
      'decision-input:limit.spend',
      'decision:limit v1',
      'workflow:grant v1',
    ])
      expect(said).toContain(node);
    expect(said).not.toContain('feature:orders.count');
    const up = JSON.parse(
      (await aios('lineage', 'decision:limit', '--up', '--kinds', 'field', '--json')).said,
    );
    expect(up.nodes.map(({ id }: { id: string }) => id)).toEqual(
      expect.arrayContaining(['field:order#amount', 'field:order#customer']),
    );
    expect(up.nodes.map(({ id }: { id: string }) => id)).not.toContain('field:order#note');
  });

  it('goes up from a run to the contract', async () => {
    const run = await vi.waitFor(
      async () => {
        const [row] = await database.db.query<{ run_id: string }>('select run_id from lineage_runs limit 1');
        expect(row).toBeDefined();
        return row!.run_id;
      },
      { timeout: 15_000 },
    );
    const { said } = await aios('lineage', `run:${run}`, '--up');
    for (const node of ['workflow:grant v1', 'decision:limit v1', 'contract:order v1'])
      expect(said).toContain(node);
  });

  it('tells near names of a node that is not there', async () => {
    const { said, code } = await aios('lineage', 'feature:orders.spent');
    expect(code).not.toBe(0);
    expect(said).toContain('feature:orders.spend');
  });

  it('a plan tells what a retyped field breaks, and nothing of a description', async () => {
    const retyped = await project({
      'contracts/order.yaml': CONTRACT.replace('1.0.0', '2.0.0').replace(
        'amount: { type: number }',
        'amount: { type: string }',
      ),
    });
    const { code, said } = await aios('plan', retyped);
    expect(code).toBe(2);
    expect(said).toContain('contract order: BREAKS');
    expect(said).toContain('field:order#amount retyped (number → string)');
    expect(said).toContain('feature:orders.spend: breaks');
    expect(said).not.toContain('feature:orders.count');
    const described = await project({
      'contracts/order.yaml': `${CONTRACT.replace('1.0.0', '1.0.1')}\ndescription: orders of goods`,
    });
    const harmless = await aios('plan', described);
    expect(harmless.code).toBe(2);
    expect(harmless.said).not.toContain('BREAKS');
    expect((await aios('plan', await project({}))).code).toBe(0);
  });

  it('a plan that adapts its readers breaks nothing but values', async () => {
    const adapted = await project({
      'features/orders.yaml': PROJECT['features/orders.yaml']!.replace(
        'of: data.amount',
        'of: data.amount * 2.0',
      ),
    });
    const { said } = await aios('plan', adapted);
    expect(said).toContain('feature:orders.spend changed');
    expect(said).toContain('service-feature:all.spend: other values');
    expect(said).not.toContain('BREAKS');
  });
});
