import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cors } from './cors.ts';
import { type InferUnderTest, message, openInferUnderTest, Wire } from './infer-under-test.ts';

const APP = 'https://app.example';
const PREFLIGHT = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'authorization,content-type,x-stainless-os',
};
const corsOf = (headers: object) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')));

describe.each([
  ['the origins that are named', [APP, 'http://localhost:5173'], APP],
  ['every origin', ['*'], '*'],
])('calls of pages of %s', (_, origins, told) => {
  let door: InferUnderTest;
  beforeAll(async () => {
    door = await openInferUnderTest('', origins);
  });
  afterAll(() => door.close());

  const preflight = (url: string, origin: string, more = {}) =>
    door.server.inject({
      method: 'OPTIONS',
      url,
      headers: { host: 'localhost', origin, ...PREFLIGHT, ...more },
    });

  it('may be asked for by preflight, at addresses that are none too, and never with credentials', async () => {
    for (const url of ['/v2/models/double/infer', '/v1/nowhere', '/api/v1/nowhere?a=1']) {
      const { statusCode, headers } = await preflight(url, APP);
      expect([statusCode, corsOf(headers)]).toEqual([
        204,
        {
          'access-control-allow-origin': told,
          'access-control-expose-headers': expect.stringContaining('x-request-id'),
          'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
          'access-control-allow-headers': 'authorization,content-type,x-stainless-os',
          'access-control-max-age': '600',
        },
      ]);
      expect(headers.vary).toContain('origin');
    }
  });

  it('are told so with every answer of a door, lean and not, and with errors', async () => {
    const headers = { origin: APP };
    const wire = new Wire(door.port);
    for (const [asked, status] of [
      [{ headers }, 200],
      [{ headers, key: 'wrong' }, 401],
      [{ headers, url: '/v2/models/none/infer' }, 404],
      [{ headers, url: '/v2', method: 'GET' }, 200],
      [{ headers, url: '/v2/models/none/infer' }, 404],
      [{ headers, url: '/v1/nowhere' }, 404],
    ] as const) {
      const answer = (await wire.write(message(asked)).answer())!;
      expect([answer.status, corsOf(answer.headers)]).toEqual([
        status,
        {
          'access-control-allow-origin': told,
          'access-control-expose-headers': expect.stringContaining('ratelimit'),
        },
      ]);
      expect(answer.headers.vary).toBe(told === '*' ? undefined : 'origin');
    }
    wire.socket.destroy();
  });

  it('are not for the pages of the console, and nothing is said to who is no page', async () => {
    const page = await preflight('/login', APP);
    expect([page.statusCode, corsOf(page.headers)]).toEqual([404, {}]);
    const answer = await door.server.inject({ url: '/v2', headers: { host: 'localhost' } });
    expect(corsOf(answer.headers)).toEqual({});
  });
});

describe('calls of pages of other origins', () => {
  it.each([
    ['by default', []],
    ['of an origin that is not named', ['https://other.example']],
    ['of an origin with another port', [`${APP}:8443`]],
    ['of an origin with another scheme', ['http://app.example']],
  ])('are not allowed %s', async (_, origins) => {
    const door = await openInferUnderTest('', origins);
    const headers = { host: 'localhost', origin: APP, ...PREFLIGHT };
    const url = '/v2/models/double/infer';
    const preflight = await door.server.inject({ method: 'OPTIONS', url, headers });
    expect([preflight.statusCode, corsOf(preflight.headers)]).toEqual([204, {}]);
    const wire = new Wire(door.port).write(message({ headers: { origin: APP } }));
    expect(corsOf((await wire.answer())!.headers)).toEqual({});
    wire.socket.destroy();
    await door.close();
  });

  it('of the origin `null` (files, sandboxed frames) are allowed by `*` alone', () => {
    const headers = { origin: 'null' };
    expect(new Cors([APP]).headersOf('/v2', headers)).toEqual(['vary', 'origin']);
    expect(new Cors(['*']).headersOf('/v2', headers)).toContain('*');
  });
});
