import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { openedApi } from './opened-api-under-test.ts';
import { route } from './routes.ts';
import { createServer } from './server.ts';

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('the API under hostile requests', () => {
  const { api } = openedApi('streamsMax=2,streamHeartbeatMs=50,accessCacheMs=10');
  let address: string;
  beforeAll(async () => {
    address = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });

  const lists = ['runs', 'tasks', 'tasks?status=waiting', 'events', 'dead-letters', 'audit/entries'];
  const cursors = [
    'x',
    '%',
    '-1',
    '9'.repeat(30),
    "'; drop table tasks; --",
    '\u0000',
    '0.0.0.0.0.0.0.1e99',
    base64([1, 1e300, 'a']),
    base64([1, 9e15, 'a']),
    base64([1e12, 0, 'a']),
    base64([1, 0, 'a\u0000']),
    base64([[], {}, null]),
    base64(null),
    'a'.repeat(10_000),
  ];
  it.each(lists)('takes no cursor of /%s that it did not give for more than it is', async (list) => {
    for (const cursor of cursors) {
      const url = `/api/v1/${list}${list.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`;
      const response = await api.request({ url, role: 'viewer' });
      expect([url, [200, 400, 404].includes(response.statusCode)]).toEqual([url, true]);
    }
  });

  it.each([
    '/api/v1/runs?workflow=%00',
    '/api/v1/runs/a%00b',
    '/api/v1/tasks?queue=a%00',
    '/api/v1/runs?q=%25%5f%5c',
    "/api/v1/runs?q=' or 1=1 --",
    '/api/v1/runs?since=0000-00-00T00:00:00Z',
    '/api/v1/events?since=-271821-04-20T00:00:00Z',
    '/api/v1/costs?groupBy=run_id;drop',
    '/api/v1/audit/proof?index=1e400',
    '/api/v1/audit/proof?index=-1',
    '/api/v1/audit/tile/0/999999999999999999999',
  ])('answers %s without a fault of its own', async (url) => {
    const { statusCode } = await api.request({ url, role: 'admin' });
    expect(statusCode).toBeLessThan(500);
  });

  it('bounds the streams of a process, and gives a place back', async () => {
    const open = () => stream(address, api.keys.viewer);
    const [one, two] = [await open(), await open()];
    const third = await open();
    expect([one.status, two.status, third.status]).toEqual([200, 200, 429]);
    expect(await third.response.json()).toMatchObject({
      code: 'request.overloaded',
      limitName: 'streamsMax',
    });
    await one.close();
    await expect
      .poll(async () => {
        const again = await open();
        await again.close();
        return again.status;
      })
      .toBe(200);
    await two.close();
  });

  it('ends a stream when the key that opened it is revoked', async () => {
    const { id, key } = await api.access.createKey('leaves', ['viewer'], 'test');
    const open = await stream(address, key);
    expect(open.status).toBe(200);
    await api.access.revoke(id);
    const reader = open.response.body!.getReader();
    for (;;) if ((await reader.read()).done) break;
  });

  it('met no fault of its own', () => expect(api.faults).toEqual([]));
});

describe('answers', () => {
  it('tell nothing of a fault that was not foreseen, which goes to the log', async () => {
    const faults: string[] = [];
    const server = await createServer({
      limits: limitsFrom(),
      access: { authenticate: () => undefined, can: () => false },
      onFault: ({ message }) => void faults.push(message),
      routes: [
        (scope) =>
          route(scope, {
            method: 'GET',
            url: '/fault',
            permission: 'public',
            summary: 'fails',
            tag: 'test',
            handle: () => {
              throw new Error('connect ECONNREFUSED 10.0.0.5:5432');
            },
          }),
      ],
    });
    const response = await server.inject({ url: '/fault' });
    expect(response.json()).toMatchObject({ code: 'internal', status: 500 });
    expect(response.body).not.toContain('10.0.0.5');
    expect(faults).toEqual(['connect ECONNREFUSED 10.0.0.5:5432']);
    expect(response.headers['x-content-type-options']).toBe('nosniff');
    await server.close();
  });

  it('of the console carry its policy by whichever address the page comes, and leave its folder by none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-console-'));
    await mkdir(join(folder, 'dist', 'assets'), { recursive: true });
    await writeFile(join(folder, 'dist', 'index.html'), '<p>console</p>');
    await writeFile(join(folder, 'dist', 'assets', 'a.js'), '1');
    await writeFile(join(folder, 'secret.txt'), 'secret');
    const server = await createServer({
      limits: limitsFrom(),
      access: { authenticate: () => undefined, can: () => false },
      onFault: () => {},
      consoleDir: join(folder, 'dist'),
      routes: [],
    });
    const accept = { accept: 'text/html' };
    for (const url of ['/', '/index.html', '/runs/run_1']) {
      const { headers, body } = await server.inject({ url, headers: accept });
      expect([url, body]).toEqual([url, '<p>console</p>']);
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['content-security-policy']).toContain("base-uri 'none'");
    }
    // As curl and probes ask, and as a page asks for a script that is not there.
    const any = { headers: { accept: '*/*' } };
    for (const url of ['/', '/?token=1'])
      expect((await server.inject({ url, ...any })).body).toBe('<p>console</p>');
    for (const url of ['/assets/gone.js', '/runs/run_1'])
      expect((await server.inject({ url, ...any })).statusCode).toBe(404);
    for (const url of [
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/assets/..%2f..%2fsecret.txt',
      '/..%5csecret.txt',
    ])
      expect((await server.inject({ url, headers: accept })).body).not.toContain('secret\n');
    await server.close();
    await rm(folder, { recursive: true });
  });
});

async function stream(address: string, key: string) {
  const ended = new AbortController();
  const response = await request(`${address}/api/v1/stream`, key, ended.signal);
  return {
    response,
    status: response.status,
    close: async () => {
      ended.abort();
      await response.body?.cancel().catch(() => {});
    },
  };
}

function request(url: string, key: string, signal: AbortSignal): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${key}` }, signal });
}
