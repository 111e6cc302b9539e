import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { TestDatabase } from '../src/testing/database.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const PROJECT = {
  'contracts/order.yaml': `name: order
version: 1.0.0
owner: shop
schema: { type: object, properties: { customer: { type: string }, amount: { type: number } } }`,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]',
  'features/orders.yaml': `name: orders
entity: customer
source: { event: order }
keys: { customer: data.customer }
features: { spend: { aggregate: sum, of: data.amount } }`,
  'features/stock.yaml':
    'name: stock\nentity: customer\nsource: { table: shop.stock, timestamp: at }\nfeatures: { units: { type: int64 } }',
};

const python = await pythonEnvironment(['openlineage-python==1.54.0']);
const unavailable = python ? '' : ' (skipped: no python3 here, or no PyPI)';

describe.skipIf(!python)(`the stock OpenLineage client of Python${unavailable}`, () => {
  let database: TestDatabase;
  let close: OpenedApp['close'];
  let app: App;
  beforeAll(async () => {
    vi.stubEnv('AIOS_FEATURE_SCHEMAS', 'shop');
    vi.stubEnv('AIOS_LINEAGE_DATABASES', 'postgres://db.example.org:5432/shop');
    ({ app, database, close } = await openApp({
      project: PROJECT,
      before: ({ db }) =>
        db.queryDynamic(
          'create schema shop; create table shop.stock (customer text, at timestamptz, units bigint, primary key (customer, at))',
        ),
    }));
  });
  afterAll(async () => {
    await close();
    vi.unstubAllEnvs();
  });
  const idsOf = async (node: string, direction: 'up' | 'down') =>
    (await app.stations.graph.query({ node, direction })).nodes.map(({ id }) => id);
  const edges = async () =>
    (await database.db.query<{ count: number }>('select count(*) as count from lineage_edges'))[0]!.count;

  it('brings jobs and datasets into the graph, to the column, and once', async () => {
    expect(await runPython(python!, 'test/clients/openlineage_in.py', app.url, app.adminKey)).toEqual({
      sent: 4,
    });
    expect(await idsOf('feature:stock.units', 'up')).toEqual(
      expect.arrayContaining([
        'column:shop.stock#units',
        'column:s3://lake/deliveries#units',
        'job:airflow/stock.daily',
      ]),
    );
    expect(await idsOf('field:order#amount', 'down')).toEqual(['field:order#amount', 'feature:orders.spend']);
    expect(await idsOf('event-type:order', 'down')).toEqual(
      expect.arrayContaining([
        'feature-view:orders',
        'job:dbt/reports',
        'external-dataset:bigquery/reports.spend',
      ]),
    );
    expect(await idsOf('external-dataset:s3://lake/orphan', 'up')).toHaveLength(1);
    const before = await edges();
    await runPython(python!, 'test/clients/openlineage_in.py', app.url, app.adminKey);
    expect(await edges()).toBe(before);
  });

  it('an upstream job stands in the impact of a change', async () => {
    const bytes = new TextEncoder().encode(
      PROJECT['features/orders.yaml'].replace('data.customer', 'data.client'),
    );
    const form = { files: [{ path: 'features/orders.yaml', base64: Buffer.from(bytes).toString('base64') }] };
    const response = await fetch(`${app.url}/api/v1/apply?dryRun=true`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(form),
    });
    const { impact } = (await response.json()) as { impact: { affected: { node: string }[] }[] };
    expect(impact[0]!.affected.map(({ node }) => node)).toContain('job:dbt/reports');
  });
});
