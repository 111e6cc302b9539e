import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiDocument } from '../../scripts/generate-client.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { type ApiDependencies, allRoutes, COLLECTIONS } from './all-routes.ts';
import { AllowedMethods } from './allowed-methods.ts';
import { openedApi } from './opened-api-under-test.ts';
import { createServer } from './server.ts';

describe('the methods of the routes of the API', () => {
  let server: FastifyInstance;
  /** Every address with a name in place of each parameter, and the methods that the document shows there. */
  let addresses: [string, string[]][];
  beforeAll(async () => {
    const limits = limitsFrom('requestBytesMax=300000');
    const absent = {
      limits,
      collections: COLLECTIONS,
      metrics: async () => '',
    } as unknown as ApiDependencies;
    server = await createServer({
      limits,
      access: { authenticate: () => undefined, can: () => false },
      routes: allRoutes(absent),
      onFault: () => {},
    });
    addresses = Object.entries((await apiDocument()).paths).map(([path, operations]) => [
      // The page of an error is there for codes that are.
      path.replace('/errors/{code}', '/errors/request.method').replaceAll(/\{[^}]+\}/g, 'x1'),
      Object.keys(operations).map((method) => method.toUpperCase()),
    ]);
  });
  afterAll(() => server.close());

  const ask = (method: string, url: string, headers = {}, payload?: string) =>
    server.inject({
      method: method as 'GET',
      url,
      headers: { host: 'localhost', ...headers },
      ...(payload === undefined ? {} : { payload }),
    });
  const list = (allow: unknown) => String(allow).split(', ');

  it('are told by OPTIONS, at every address, to everybody', async () => {
    expect(addresses.length).toBeGreaterThan(150);
    for (const [url, methods] of addresses) {
      const { statusCode, headers } = await ask('OPTIONS', url);
      const withHead = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
      expect([url, statusCode, list(headers.allow)]).toEqual([
        url,
        204,
        expect.arrayContaining([...withHead, 'OPTIONS']),
      ]);
    }
  });

  it('are told by the answer to any other method, and those that are told are taken', async () => {
    for (const [url] of addresses) {
      const allow = list((await ask('OPTIONS', url)).headers.allow).filter((one) => one !== 'OPTIONS');
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE']) {
        const answer = await ask(method, url);
        const isTaken = answer.statusCode !== 405 && answer.statusCode !== 404;
        if (url !== '/v1/traces')
          expect([method, url, isTaken]).toEqual([method, url, allow.includes(method)]);
        if (answer.statusCode === 405) expect(list(answer.headers.allow)).toEqual(allow);
      }
    }
  });

  it.each([
    ['a problem', '/api/v1/me', { code: 'request.method', status: 405, allow: ['GET', 'HEAD'] }],
    [
      'an error of OpenAI',
      '/v1/models',
      { error: { code: 'request.method', type: 'invalid_request_error' } },
    ],
    [
      'an error of the inference protocol',
      '/v2/models/x1',
      { code: 'request.method', error: expect.any(String) },
    ],
    ['an error of MLflow', '/api/2.0/mlflow/runs/get', { error_code: 'ENDPOINT_NOT_FOUND' }],
    ['an error of the registry', '/schema-registry/subjects', { error_code: 405 }],
  ])('that are not taken are answered as %s, with a query too', async (_, url, body) => {
    const answer = await ask('DELETE', `${url}?a=1`);
    expect(answer.json()).toMatchObject(body);
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('are told instead of reading a large body', async () => {
    const answer = await ask('PUT', '/api/v1/events', {}, 'x'.repeat(200_000));
    expect(answer.json()).toMatchObject({ code: 'request.method', allow: ['GET', 'HEAD', 'POST'] });
    expect(answer.headers.connection).toBe('close');
  });

  it('leave an address without any as it was, for OPTIONS too', async () => {
    for (const method of ['GET', 'OPTIONS', 'PUT'])
      expect((await ask(method, '/api/v1/nowhere')).json()).toMatchObject({ code: 'request.not_found' });
  });
});

describe('the document of the API', () => {
  it('names the headers of answers, those of limits where a model is asked', async () => {
    const { paths, components } = (await apiDocument()) as unknown as {
      paths: Record<
        string,
        Record<string, { responses: Record<string, { headers?: Record<string, { $ref: string }> }> }>
      >;
      components: { headers: object };
    };
    const headersOf = (path: string, method: string) =>
      Object.values(paths[path]![method]!.responses).map(({ headers = {} }) => Object.keys(headers));
    for (const [path, operations] of Object.entries(paths))
      for (const method of Object.keys(operations))
        for (const names of headersOf(path, method))
          expect([path, names]).toEqual([path, expect.arrayContaining(['x-request-id'])]);
    expect(headersOf('/v2/models/{name}/infer', 'post')[0]).toEqual([
      'x-request-id',
      'RateLimit-Policy',
      'RateLimit',
    ]);
    expect(headersOf('/v1/chat/completions', 'post')[0]).toEqual(Object.keys(components.headers));
    expect(headersOf('/v1/models', 'get')[0]).toEqual(['x-request-id']);
  });
});

describe('HEAD', () => {
  const { api } = openedApi();

  it('answers as GET does, without the body', async () => {
    for (const url of ['/api/v1/workflows', '/api/v1/runs/run_none', '/healthz', '/metrics']) {
      const get = await api.request({ url, role: 'viewer' });
      const head = await api.request({ method: 'HEAD' as 'GET', url, role: 'viewer' });
      const of = ({ statusCode, headers }: typeof get) => [statusCode, headers['content-type']];
      expect([url, head.payload, of(head)]).toEqual([url, '', of(get)]);
    }
    expect((await api.request({ method: 'HEAD' as 'GET', url: '/api/v1/runs' })).statusCode).toBe(401);
  });

  it('of a stream ends at once', async () => {
    const origin = await api.server.listen({ host: '127.0.0.1', port: 0 });
    const answer = await fetch(`${origin.replace('127.0.0.1', 'localhost')}/api/v1/events/stream`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${api.keys.viewer}`, 'x-request-id': 'live' },
      signal: AbortSignal.timeout(5_000),
    });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect([answer.headers.get('x-request-id'), await answer.text()]).toEqual(['live', '']);
  });
});

describe('allowed methods', () => {
  it('are those of all routes that take an address', () => {
    const allowed = new AllowedMethods();
    allowed.add({ url: '/v2/models/:name', method: ['DELETE', 'GET'] });
    allowed.add({ url: '/v2/models/stats', method: 'POST' });
    allowed.add({ url: '/files/*', method: 'PUT' });
    allowed.add({ url: '/a.b', method: 'GET' });
    allowed.add({ url: '/*', method: 'GET' });
    expect(allowed.of('/v2/models/stats?x=/')).toEqual(['GET', 'POST', 'DELETE']);
    expect(allowed.of('/v2/models/risk/')).toEqual(['GET', 'DELETE']);
    expect(allowed.of('/v2/models/risk/versions')).toEqual([]);
    expect(allowed.of('/files/a/b')).toEqual(['PUT']);
    expect(allowed.of('/axb')).toEqual([]);
    expect(allowed.of('/nowhere')).toEqual([]);
  });
});
