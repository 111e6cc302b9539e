import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../src/app/app.ts';
import { limitsFrom } from '../src/kernel/limits.ts';
import { filesOf, type OpenedApp, openApp } from './app-under-test.ts';

const PROJECT = {
  'contracts/order.placed.yaml': `name: order.placed
version: 1.0.0
owner: shop
schema: { type: object, properties: { customer: { type: string } } }
quality: [{ metric: rowCount, window: 1h, mustBeGreaterThan: 0 }]
`,
  'entities/customer.yaml': 'name: customer\njoinKeys: [customer]\n',
  'features/orders.yaml': `name: orders
entity: customer
source: { event: order.placed }
keys: { customer: data.customer }
features: { orders_7d: { aggregate: count, window: 7d } }
`,
};

describe('Limits that are lowered below what was applied before', () => {
  let opened: OpenedApp;
  beforeAll(async () => {
    opened = await openApp({
      limits:
        'contractQualityWindowMaxMs=60000,featureRetentionMs=60000,definitionAliasesMax=1,featureRequestRowsMax=2,featureRequestViewsMax=1',
      before: async ({ url: databaseUrl }, dataDir) => {
        const options = { databaseUrl, dataDir, host: '127.0.0.1', port: 0, limits: limitsFrom() };
        const first = await createApp(options);
        await first.apply(filesOf(PROJECT));
        await first.stop();
      },
    });
  });
  afterAll(() => opened.close());

  const post = async (path: string, body: unknown, type = 'application/json') => {
    const headers = { authorization: `Bearer ${opened.app.adminKey}`, 'content-type': type };
    const answer = await fetch(opened.app.url + path, {
      ...{ method: 'POST', headers, body: JSON.stringify(body) },
    });
    return { status: answer.status, body: (await answer.json()) as unknown };
  };

  it('let the server start, and what was applied go on', async () => {
    const event = {
      ...{ specversion: '1.0', id: '1', source: 'shop', type: 'order.placed', data: { customer: 'c-1' } },
    };
    const sent = await post('/api/v1/events', event, 'application/cloudevents+json');
    expect(sent).toEqual({ status: 202, body: { accepted: 1, duplicates: 0, rejected: [] } });
    const wrong = await post('/api/v1/events', { ...event, id: '2', data: { customer: 1 } });
    expect(wrong).toMatchObject({ status: 422, body: { code: 'contracts.data_invalid' } });
    const asked = { views: ['orders'], entities: [{ customer: 'c-1' }] };
    await expect
      .poll(() => post('/api/v1/features/online', asked))
      .toMatchObject({ status: 200, body: { names: ['orders_7d'], rows: [[1]] } });
    // What a process measures by is what it has compiled of the version in force.
    const [rule] = opened.app.stations.contracts.measuredOf('order.placed');
    expect(rule!.windowMs).toBe(3_600_000);
  });

  it.each([
    ['online', 'entities', { customer: 'c-1' }],
    ['historical', 'spine', { customer: 'c-1', timestamp: new Date().toISOString() }],
  ])('bound the rows and the views of one request: %s', async (door, rows, row) => {
    const ask = (views: string[], count: number) =>
      post(`/api/v1/features/${door}`, { views, [rows]: new Array(count).fill(row) });
    expect(await ask(['orders'], 2)).toMatchObject({
      status: 200,
      body: { rows: [[expect.any(Number)], [expect.any(Number)]] },
    });
    expect(await ask(['orders'], 3)).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect(await ask(['orders', 'more'], 1)).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    });
  });

  it('refuse the same definition when it is applied again, with its place and the limit', async () => {
    await expect(opened.app.apply(filesOf(PROJECT))).rejects.toMatchObject({
      code: 'definition.invalid',
      extensions: { limitName: 'contractQualityWindowMaxMs', limit: 60_000 },
      issues: [{ file: 'contracts/order.placed.yaml', line: 5, path: '/quality/0' }],
    });
  });
});
