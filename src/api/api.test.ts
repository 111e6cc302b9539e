import { describe, expect, it } from 'vitest';
import { PERMISSIONS } from '../access/permissions.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import { LIMITS } from '../kernel/limits.ts';
import { type RequestOptions, returnRequested } from './api-under-test.ts';
import { openedApi, problemOf } from './opened-api-under-test.ts';

describe('the API', () => {
  const { api } = openedApi('requestBytesMax=100000');
  const problem = (options: RequestOptions) => problemOf(api, options);

  describe('guards', () => {
    it('every route by exactly one permission that exists, and shows it in the document', async () => {
      const document = (await api.request({ url: '/api/v1/openapi.json' })).json();
      expect(document.openapi).toBe('3.1.0');
      const operations = Object.values(document.paths).flatMap((path) => Object.values(path as object));
      expect(operations.length).toBeGreaterThan(40);
      const open: string[] = [];
      for (const { summary, description = '', security } of operations) {
        const permission = /Permission: `([^`]+)`/.exec(description)?.[1];
        if (!permission) open.push(summary);
        else expect([PERMISSIONS, Boolean(security)]).toEqual([expect.arrayContaining([permission]), true]);
      }
      expect(open.sort()).toEqual([
        'End the session',
        'Metrics in the text format of Prometheus',
        'Server metadata',
        'The caller and their permissions',
        'The names of keys by id, including revoked ones',
        'The version of MLflow whose API is answered',
        'Turn an API key into a session of the console',
        'Turn the one-time token of a login link into a session of the console',
        'What an error means and how to resolve it; the `type` of a problem is this address',
        'What this server can do beyond the rest of the API (MLflow)',
        'Whether the inference server is live',
        'Whether the inference server is ready',
        'Whether the process is alive',
        'Whether the process is ready for traffic; 503 with the reason if not',
      ]);
    });

    it.each<[string, RequestOptions, string]>([
      ['no key', { url: '/api/v1/tasks' }, 'access.unauthenticated'],
      [
        'a wrong key',
        { url: '/api/v1/tasks', headers: { authorization: 'Bearer aios_key_x' } },
        'access.unauthenticated',
      ],
      ['a role without the permission', { url: '/api/v1/keys', role: 'operator' }, 'access.forbidden'],
      [
        'a reviewer who starts runs',
        { method: 'POST', url: '/api/v1/workflows/greet/runs', role: 'reviewer', body: {} },
        'access.forbidden',
      ],
      [
        'a foreign host without a key',
        { url: '/api/v1/me', headers: { host: 'evil.example' } },
        'access.foreign_host',
      ],
      ['an unknown address', { url: '/api/v1/nothing', role: 'admin' }, 'request.not_found'],
      [
        'malformed JSON',
        { method: 'POST', url: '/api/v1/keys', role: 'admin', body: '{"a":' },
        'request.malformed',
      ],
      [
        'a number that JSON.parse makes an infinity of',
        { method: 'POST', url: '/api/v1/keys', role: 'admin', body: '{"name":1e999}' },
        'request.malformed',
      ],
      [
        'another media type',
        {
          method: 'POST',
          url: '/api/v1/keys',
          role: 'admin',
          body: 'a=b',
          headers: { 'content-type': 'text/csv' },
        },
        'request.media_type',
      ],
      [
        'a body outside the schema',
        { method: 'POST', url: '/api/v1/keys', role: 'admin', body: { name: 5, more: 1 } },
        'request.invalid',
      ],
      [
        'a body over the limit',
        { method: 'POST', url: '/api/v1/keys', role: 'admin', body: { name: 'x'.repeat(200_000) } },
        'request.too_large',
      ],
      ['a page that is too long', { url: '/api/v1/runs?limit=100000', role: 'viewer' }, 'request.invalid'],
      ['an unknown filter', { url: '/api/v1/tasks?color=red', role: 'viewer' }, 'request.invalid'],
    ])('against %s', async (_, options, code) => expect(await problem(options)).toMatchObject({ code }));

    it.each([
      ['is another', { 'content-type': 'text/csv' }, 'The content type “text/csv” is not read here'],
      ['is empty', { 'content-type': '' }, 'The body comes without a content type'],
    ])('names the content type that is read, where that of a body %s', async (_, headers, told) => {
      const sent = {
        method: 'POST',
        url: '/api/v1/keys',
        role: 'admin',
        body: 'a=b',
        headers,
      } as const;
      expect(await problem(sent)).toMatchObject({
        code: 'request.media_type',
        detail: `${told}; send application/json.`,
      });
    });

    it('names the limit that a body is over, and asks for a key where one is missing', async () => {
      expect(
        await problem({
          method: 'POST',
          url: '/api/v1/apply',
          role: 'admin',
          body: { files: 'x'.repeat(200_000) },
        }),
      ).toMatchObject({ limitName: 'requestBytesMax', limit: 100_000 });
      expect((await api.request({ url: '/api/v1/tasks' })).headers['www-authenticate']).toBe('Bearer');
    });
  });

  describe('lets people in', () => {
    it('by a login link once, by a pasted key, and out again', async () => {
      const me = (await api.request({ url: '/api/v1/me', role: 'reviewer' })).json();
      expect(me).toMatchObject({
        name: 'the reviewer',
        roles: ['reviewer'],
        permissions: expect.arrayContaining(['tasks.act']),
      });
      const token = await api.access.loginToken(me.id);
      const login = await api.request({ url: `/login?token=${token}` });
      expect([login.statusCode, login.headers.location]).toEqual([302, '/']);
      expect(await problem({ url: `/login?token=${token}` })).toMatchObject({
        code: 'access.unauthenticated',
      });
      const pasted = await api.request({
        method: 'POST',
        url: '/api/v1/login',
        body: { key: api.keys.reviewer },
      });
      for (const { headers } of [login, pasted]) {
        const cookie = String(headers['set-cookie']).split(';')[0]!;
        expect((await api.request({ url: '/api/v1/me', headers: { cookie } })).json()).toMatchObject({
          id: me.id,
          kind: 'session',
        });
        const foreign = { cookie, origin: 'http://evil.example' };
        expect(await problem({ method: 'POST', url: '/api/v1/logout', headers: foreign })).toMatchObject({
          code: 'access.foreign_origin',
        });
        await api.request({ method: 'POST', url: '/api/v1/logout', headers: { cookie } });
        expect(await problem({ url: '/api/v1/me', headers: { cookie } })).toMatchObject({
          code: 'access.unauthenticated',
        });
      }
    });

    it('by keys that are shown once and can be revoked', async () => {
      const made = await api.request({
        method: 'POST',
        url: '/api/v1/keys',
        role: 'admin',
        body: { name: 'ci', roles: ['operator'] },
      });
      expect(made.statusCode).toBe(201);
      const { id, key } = made.json();
      const headers = { authorization: `Bearer ${key}` };
      expect((await api.request({ url: '/api/v1/me', headers })).json()).toMatchObject({ id, name: 'ci' });
      const list = await api.request({ url: '/api/v1/keys', role: 'admin' });
      expect([
        list.json().items.some((item: { id: string }) => item.id === id),
        list.body.includes(key),
      ]).toEqual([true, false]);
      await api.request({ method: 'DELETE', url: `/api/v1/keys/${id}`, role: 'admin' });
      expect(await problem({ url: '/api/v1/me', headers })).toMatchObject({ code: 'access.unauthenticated' });
      const ended = (cursor = '') =>
        api.request({ url: `/api/v1/keys?state=ended&limit=1${cursor}`, role: 'admin' });
      const page = (await ended()).json();
      expect(page.items).toMatchObject([{ id, name: 'ci', revokedAt: expect.any(String) }]);
      expect((await ended(`&cursor=${id}`)).json()).toEqual({ items: [], nextCursor: null });
      // What it did is told by its name for good, to whoever may call at all.
      const names = (ids: string) => `/api/v1/key-names?ids=${ids}`;
      const named = await api.request({ url: names(`${id},key_none`), role: 'viewer' });
      expect(named.json().items).toEqual([{ id, name: 'ci' }]);
      expect(await problem({ url: names(id) })).toMatchObject({ code: 'access.unauthenticated' });
      const many = Array.from({ length: LIMITS.keyNamesMax.value + 1 }, () => id).join(',');
      expect(await problem({ url: names(many), role: 'viewer' })).toMatchObject({
        code: 'request.invalid',
        detail: expect.stringContaining('keyNamesMax'),
      });
    });
  });

  it('makes keys that end by themselves, each with its audit entry', async () => {
    const post = (body: JsonObject) => ({
      method: 'POST' as const,
      url: '/api/v1/keys',
      role: 'admin' as const,
      body,
    });
    const guest = { name: 'guest', roles: ['viewer'], groups: [] };
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const { id } = (await api.request(post({ ...guest, expiresAt }))).json();
    const keys = (await api.request({ url: '/api/v1/keys', role: 'admin' })).json().items;
    expect(keys.find((item: { id: string }) => item.id === id)).toMatchObject({ expiresAt });
    const brief = (
      await api.request(post({ ...guest, expiresAt: new Date(Date.now() + 2000).toISOString() }))
    ).json();
    const headers = { authorization: `Bearer ${brief.key}` };
    await expect
      .poll(() => problem({ url: '/api/v1/me', headers }), { timeout: 20_000 })
      .toMatchObject({ status: 401, code: 'access.expired' });
    for (const wrong of ['2020-01-01T00:00:00Z', 'tomorrow'])
      expect(await problem(post({ ...guest, expiresAt: wrong }))).toMatchObject({
        code: 'request.invalid',
        issues: [expect.objectContaining({ path: '/expiresAt' })],
      });
    const entries = await api.request({ url: `/api/v1/audit/entries?object=key:${id}`, role: 'admin' });
    expect(entries.json().items).toMatchObject([{ kind: 'key', action: 'created', object: `key:${id}` }]);
  });

  it('takes events, tells which were refused and why, and finds them', async () => {
    const body = JSON.stringify([
      returnRequested('b-1', 5),
      returnRequested('b-1', 5),
      returnRequested('b-2', 'x'),
    ]);
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    const response = await api.request({
      method: 'POST',
      url: '/api/v1/events',
      role: 'operator',
      body,
      headers,
    });
    expect([response.statusCode, response.json()]).toMatchObject([
      202,
      { accepted: 1, duplicates: 1, rejected: [{ index: 2, problem: { code: 'contracts.data_invalid' } }] },
    ]);
    const found = await api.request({ url: '/api/v1/events?type=return.requested&limit=1', role: 'viewer' });
    expect(found.json()).toMatchObject({
      items: [{ id: 'b-1', source: 'urn:shop' }],
      nextCursor: null,
    });
  });

  it('shows definitions and takes a new version, or says with file and line why not', async () => {
    const put = (body: Json) =>
      api.request({ method: 'PUT', url: '/api/v1/queues/second', role: 'operator', body });
    expect((await put({ name: 'second', title: 'B', form: {} })).json()).toMatchObject({
      name: 'second',
      version: 1,
    });
    expect((await put({ name: 'second', title: 'B', form: { type: 'banana' } })).json()).toMatchObject({
      code: 'definition.invalid',
      issues: [{ file: 'queues/second.json', line: expect.any(Number), path: '/form' }],
    });
    expect((await api.request({ url: '/api/v1/queues', role: 'viewer' })).json().items).toHaveLength(2);
    expect(await problem({ url: '/api/v1/queues/none', role: 'viewer' })).toMatchObject({
      code: 'definition.not_found',
    });
  });

  it('says whether it lives, is ready, and how it is', async () => {
    const probe = (url: string) => api.request({ url, headers: { host: '10.0.0.9' } });
    expect([(await probe('/healthz')).json(), (await probe('/readyz')).json()]).toEqual([
      { status: 'live' },
      { ready: true, checks: { store: 'ok' } },
    ]);
    const inference = ['/v2/health/live', '/v2/health/ready'];
    expect(await Promise.all(inference.map(async (url) => (await probe(url)).statusCode))).toEqual([
      200, 200,
    ]);
    expect((await probe('/metrics')).body).toBe('up 1\n');
    expect((await api.request({ url: '/api/v1/kpis', role: 'viewer' })).json()).toEqual({ tasksOpen: 0 });
  });

  it('met no fault of its own', () => expect(api.faults).toEqual([]));
});
