import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { apiDocument, clientSource } from '../../scripts/generate-client.ts';
import { type ApiUnderTest, returnRequested } from '../api/api-under-test.ts';
import { openedApi } from '../api/opened-api-under-test.ts';
import { AiosClient } from './client.ts';

describe('the generated client', () => {
  it('is that of the API as it is now (node scripts/generate-client.ts)', async () => {
    const current = await readFile(join(import.meta.dirname, 'generated.ts'), 'utf8');
    expect(current).toBe(clientSource(await apiDocument()));
  });
});

describe('a client', () => {
  const { api } = openedApi();
  let baseUrl: string;
  const as = (role: keyof ApiUnderTest['keys']) => new AiosClient({ baseUrl, key: api.keys[role] });
  beforeAll(async () => {
    baseUrl = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });
  const start = (id: string) =>
    as('operator').call('POST /api/v1/workflows/{name}/runs', {
      params: { name: 'returns' },
      query: { wait: '5s' },
      body: returnRequested(id),
      headers: { 'content-type': 'application/cloudevents+json' },
    });

  it('starts a run, answers its task and follows it to its end, typed', async () => {
    const { id } = (await start('c-1')) as { id: string };
    const { items } = await as('viewer').call('GET /api/v1/tasks', { query: { run: id } });
    const task = items[0]!;
    const ended = as('viewer').waitForRun(id);
    await as('reviewer').call('POST /api/v1/tasks/{id}/complete', {
      params: { id: task.id },
      body: { result: { decision: 'approve' }, contextDigest: task.contextDigest },
    });
    expect(await ended).toMatchObject({ id, status: 'completed', outcome: 'approve' });
  });

  it('follows streams event by event', async () => {
    const { id } = (await start('c-2')) as { id: string };
    const statuses: unknown[] = [];
    for await (const { event, data } of as('viewer').stream(`/api/v1/runs/${id}/stream`)) {
      statuses.push([event, (data as { status: string }).status]);
      if (statuses.length === 1)
        await as('operator').call('POST /api/v1/runs/{id}/cancel', { params: { id } });
    }
    expect([statuses[0], statuses.at(-1)]).toEqual([
      ['run', 'waiting'],
      ['run', 'canceled'],
    ]);
  });

  it('reads lists to their end, page after page', async () => {
    const ids = ['p-1', 'p-2', 'p-3'];
    for (const id of ids) await start(id);
    const seen: string[] = [];
    for await (const event of as('viewer').items<{ id: string }>('/api/v1/events', { limit: 2 }))
      seen.push(event.id);
    expect(seen.slice(0, 3)).toEqual(['p-3', 'p-2', 'p-1']);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('throws the problem that the server answers with', async () => {
    const { problem } = (await as('viewer')
      .call('GET /api/v1/runs/{id}', { params: { id: 'a/../b' } })
      .catch((error: unknown) => error)) as { problem: object };
    expect(problem).toMatchObject({ code: 'workflow.run_not_found', status: 404 });
    await expect(as('viewer').stream('/api/v1/runs/none/stream').next()).rejects.toMatchObject({
      problem: { code: 'workflow.run_not_found' },
    });
    await expect(
      new AiosClient({ baseUrl: 'http://127.0.0.1:1', key: 'k', retriesMax: 0 }).request('GET', '/'),
    ).rejects.toMatchObject({
      problem: { code: 'client.unreachable', hint: expect.stringContaining('--url') },
    });
  });

  it.each([429, 503])('asks again after a %s, as long as its patience lasts', async (status) => {
    let calls = 0;
    const respond: RequestListener = (_, response) => {
      if (++calls < 3) response.writeHead(status).end();
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
    };
    const server = createServer(respond).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await new AiosClient({ baseUrl: url, key: 'k' }).request('GET', '/x')).toEqual({ ok: true });
    calls = 0;
    const impatient = new AiosClient({ baseUrl: url, key: 'k', retriesMax: 0 });
    await expect(impatient.request('GET', '/x')).rejects.toMatchObject({
      problem: {
        code: 'client.not_aios',
        status,
        detail: expect.stringContaining(`${url} answers ${status}`),
      },
    });
    server.close();
  });

  it.each(['127.0.0.1:7700', 'nothing', 'ftp://127.0.0.1'])(
    'refuses %s as the address of a server',
    (baseUrl) => {
      expect(() => new AiosClient({ baseUrl, key: 'k' })).toThrow(
        expect.objectContaining({ code: 'client.address', message: expect.stringContaining(baseUrl) }),
      );
    },
  );

  it('says so where HTTPS asks a server of HTTP', async () => {
    const https = new AiosClient({ baseUrl: baseUrl.replace('http', 'https'), key: 'k', retriesMax: 0 });
    await expect(https.request('GET', '/healthz')).rejects.toMatchObject({
      problem: {
        code: 'client.unreachable',
        detail: expect.stringContaining(`it does not speak TLS: ${baseUrl}?`),
      },
    });
  });
});
