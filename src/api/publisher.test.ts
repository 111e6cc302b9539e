import { describe, expect, it } from 'vitest';
import { AiosClient } from '../client/client.ts';
import type { Json } from '../kernel/json.ts';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

describe('a batch of which not all can be taken for now', () => {
  const { api, database } = openedApi('commitQueueMax=1100');
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  const batch = (prefix: string, count: number) => [
    { ...returnRequested(`${prefix}none`), id: '' },
    ...Array.from({ length: count }, (_, n) => returnRequested(`${prefix}${n}`, n)),
  ];
  const post = (body: unknown) =>
    api.request({ method: 'POST', url: '/api/v1/events', role: 'operator', headers, body: body as Json });

  it('is answered so, and taken whole when it is sent again', async () => {
    const first = await post(batch('a', 1300));
    expect(first.statusCode).toBe(429);
    expect(Number(first.headers['retry-after'])).toBeGreaterThan(0);
    const problem = first.json();
    expect(problem).toMatchObject({
      code: 'request.overloaded',
      limitName: 'commitQueueMax',
      accepted: 1000,
    });
    expect(problem).toMatchObject({
      duplicates: 0,
      rejected: [{ index: 0, problem: { code: 'events.invalid' } }],
    });
    expect(problem.detail).toMatch(/^300 of 1301 events were not taken/);
    // Another one, which has no more to bring than there is room for.
    const again = await post(batch('a', 1300).slice(0, 1101));
    expect(again.json()).toMatchObject({ accepted: 100, duplicates: 1000, rejected: [{ index: 0 }] });
  });

  it('is sent again by the typed client', async () => {
    const baseUrl = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const client = new AiosClient({ baseUrl, key: api.keys.operator, retriesMax: 5 });
    const body = new TextEncoder().encode(JSON.stringify(batch('c', 900)));
    const answers = await Promise.all(
      [0, 1].map(() => client.request('POST', '/api/v1/events', { headers, body })),
    );
    for (const { accepted, duplicates } of answers as { accepted: number; duplicates: number }[])
      expect(accepted + duplicates).toBe(900);
  });

  it('is not said to be accepted where nothing could be', async () => {
    await database.commit.close();
    const answer = await post(batch('d', 2));
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'store.unavailable', accepted: 0, rejected: [{ index: 0 }] });
  });
});
