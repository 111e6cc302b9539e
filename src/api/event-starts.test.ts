import { describe, expect, it } from 'vitest';
import type { Json } from '../kernel/json.ts';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

describe('the API starts a run', () => {
  const { api } = openedApi();
  const start = (name: string, query: string, body: Json) =>
    api.request({
      method: 'POST',
      url: `/api/v1/workflows/${name}/runs${query}`,
      role: 'operator',
      body,
      headers: { 'content-type': 'application/cloudevents+json' },
    });

  it('by no event that was logged before the flow started on it, which is told instead of waited for', async () => {
    const event = returnRequested('evt-early', 3);
    await start('returns', '?wait=5s', event);
    const lag = async () =>
      (await api.request({ url: '/api/v1/consumer-groups', role: 'viewer' }))
        .json()
        .items.find(({ group }: { group: string }) => group === 'workflows').lag;
    await expect.poll(lag).toBe(0);
    const document = { dsl: '1.0.3', namespace: 'test', name: 'late', version: '1.0.0' };
    const schedule = { on: { one: { with: { type: 'return.requested' } } } };
    const body = { document, schedule, do: [{ end: { set: { done: true } } }] };
    const put = { method: 'PUT', url: '/api/v1/workflows/late', role: 'operator', body } as const;
    expect((await api.request(put)).statusCode).toBe(200);
    for (const query of ['?wait=30s', '']) {
      const refused = await start('late', query, event);
      expect([refused.statusCode, refused.json()]).toMatchObject([409, { code: 'workflow.event_passed' }]);
    }
    const next = await start('late', '?wait=5s', returnRequested('evt-on-time', 3));
    expect(next.json()).toMatchObject({ status: 'completed', output: { done: true } });
  });
});
