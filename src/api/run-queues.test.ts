import { describe, expect, it, vi } from 'vitest';
import { openedApi } from './opened-api-under-test.ts';

const QUEUE = 'name: orders\nconcurrency: 1\nfairness: key\n';
const flow = (queue: string) => `
document: { dsl: '1.0.0', namespace: test, name: ordered, version: '1.0.0', metadata: { aios: { queue: ${queue} } } }
evaluate: { language: cel }
do: [ { hello: { set: { hello: '\${ input.name }' } } } ]
`;

describe('queues of runs over the API', () => {
  const { api } = openedApi();
  const apply = (files: Record<string, string>) =>
    api.request({
      method: 'POST',
      url: '/api/v1/apply',
      role: 'operator',
      body: { files: Object.entries(files).map(([path, text]) => ({ path, text })) },
    });
  const patch = (paused: boolean, role: 'operator' | 'viewer' = 'operator', name = 'orders') =>
    api.request({ method: 'PATCH', url: `/api/v1/run-queues/${name}`, role, body: { paused } });

  it('are refused with the place of the fault, and so is a flow whose queue is not there', async () => {
    const faulty = await apply({
      'run-queues/orders.yaml': 'name: orders\nrate: { limit: 3, period: soon }\n',
    });
    expect(faulty.json()).toMatchObject({
      code: 'definition.invalid',
      issues: [{ path: '/rate/period', line: 2 }],
    });
    const unfair = await apply({ 'run-queues/orders.yaml': 'name: orders\nfairness: none\nperKey: 1\n' });
    expect(unfair.json()).toMatchObject({ issues: [{ path: '/fairness' }] });
    const lost = await apply({ 'workflows/ordered.yaml': flow('{ name: orders }') });
    expect(lost.json()).toMatchObject({ code: 'definition.reference', issues: [{ found: 'orders' }] });
    const wrong = await apply({ 'workflows/ordered.yaml': flow('{ name: orders, priority: 101, keys: a }') });
    expect(wrong.json().issues.map(({ path }: { path: string }) => path)).toEqual([
      '/document/metadata/aios/queue/keys',
      '/document/metadata/aios/queue/priority',
    ]);
  });

  it('are paused and let go on, audited; a run that waits tells its place', async () => {
    const key = "{ name: orders, key: 'input.name', priority: 70 }";
    await apply({ 'run-queues/orders.yaml': QUEUE, 'workflows/ordered.yaml': flow(key) });
    expect((await patch(true, 'viewer')).statusCode).toBe(403);
    expect((await patch(true, 'operator', 'nope')).json()).toMatchObject({ code: 'definition.not_found' });
    for (let twice = 0; twice < 2; twice++)
      expect((await patch(true)).json()).toMatchObject({
        name: 'orders',
        version: 1,
        paused: true,
        pending: 0,
      });
    const start = (name: string, wait = '') =>
      api.request({
        method: 'POST',
        url: `/api/v1/workflows/ordered/runs${wait}`,
        role: 'operator',
        body: { input: { name } },
      });
    const first = await start('Ann');
    await new Promise((resolve) => setTimeout(resolve, 2)); // of the same millisecond, either may be before the other
    const second = await start('Bob', '?wait=10ms');
    expect([first.statusCode, second.statusCode]).toEqual([202, 202]);
    expect([first.json(), second.json()]).toMatchObject([{ status: 'pending' }, { status: 'pending' }]);
    const read = async (id: string) =>
      (await api.request({ url: `/api/v1/runs/${id}`, role: 'viewer' })).json();
    expect(await read(second.json().id)).toMatchObject({ queue: { name: 'orders', key: 'Bob', ahead: 1 } });
    const list = await api.request({ url: '/api/v1/run-queues', role: 'viewer' });
    expect(list.json().items).toMatchObject([
      {
        name: 'orders',
        body: { concurrency: 1 },
        paused: true,
        pending: 2,
        admitted: 0,
        oldestAt: expect.any(String),
      },
    ]);
    expect((await patch(false)).json()).toMatchObject({ paused: false });
    await vi.waitFor(async () => expect((await read(second.json().id)).status).toBe('completed'));
    // The log is put in order after the commit.
    await expect
      .poll(async () => {
        const { items } = (await api.request({ url: '/api/v1/audit/entries', role: 'admin' })).json();
        return items
          .filter(({ kind }: { kind: string }) => kind === 'run-queue')
          .map(({ action }: { action: string }) => action)
          .sort();
      })
      .toEqual(['paused', 'resumed']);
  });
});
