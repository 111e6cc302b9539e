import { beforeAll, describe, expect, it } from 'vitest';
import { returnRequested } from './api-under-test.ts';
import { type Asked, message, Wire } from './infer-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const ID = { 'x-request-id': 'ask-1' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };

const SHARED_HEADERS = [
  'x-content-type-options',
  'referrer-policy',
  'retry-after',
  'www-authenticate',
  'x-request-id',
];

describe('the event door', () => {
  const { api, database } = openedApi('eventBytesMax=20000,requestBytesMax=200000');
  let port: number;
  beforeAll(async () => {
    port = Number(new URL(await api.server.listen({ host: '127.0.0.1', port: 0 })).port);
  });

  /** `{way}` in a body: each way sends events of its own. */
  const text = (body: unknown) => JSON.stringify(body);
  const good = returnRequested('{way}-e');
  const cases: [string, Asked][] = [
    ['an event', { headers: STRUCTURED, body: text({ ...good, id: '{way}-1' }) }],
    ['the same event again', { headers: STRUCTURED, body: text({ ...good, id: '{way}-1' }) }],
    [
      'an event in binary mode',
      {
        headers: {
          'content-type': 'application/json',
          'ce-specversion': '1.0',
          'ce-id': 'binary-{way}',
          'ce-source': good.source,
          'ce-type': good.type,
        },
        body: text(good.data),
      },
    ],
    ['a batch', { headers: BATCH, body: text([1, 2, 1].map((n) => ({ ...good, id: `{way}-b${n}` }))) }],
    ['a batch with a bad one', { headers: BATCH, body: text([{ ...good, id: '{way}-c' }, { a: 1 }]) }],
    ['an empty batch', { headers: BATCH, body: '[]' }],
    ['no JSON', { headers: STRUCTURED, body: '{"specversion":' }],
    ['bytes that are no UTF-8', { headers: STRUCTURED, body: Buffer.from([0x22, 0xff, 0x22]) }],
    ['no event', { headers: STRUCTURED, body: '{"id":"x"}' }],
    ['an unknown type', { headers: STRUCTURED, body: text({ ...good, type: 'no.such' }) }],
    ['data that does not fit', { headers: STRUCTURED, body: text({ ...good, id: '{way}-d', data: {} }) }],
    ['another media type', { headers: { 'content-type': 'text/plain' }, body: 'hello' }],
    [
      'an event over its limit',
      { headers: STRUCTURED, body: text({ ...good, subject: 'x'.repeat(20_001) }) },
    ],
    ['a body over its limit', { headers: STRUCTURED, body: 'x'.repeat(200_001) }],
    ['no body', { headers: STRUCTURED, body: '' }],
    ['no key', { key: '', headers: STRUCTURED, body: text(good) }],
    ['a wrong key', { key: 'aios_wrong', headers: STRUCTURED, body: text(good) }],
    ['a key without the permission', { key: 'viewer', headers: STRUCTURED, body: text(good) }],
  ];

  it.each(cases)('answers %s as the route does, lean and on an ordinary connection', async (_name, given) => {
    const keys = api.keys as Readonly<Record<string, string>>;
    const key = given.key === undefined ? keys.operator : (keys[given.key] ?? given.key);
    const { headers = {}, body = '' } = given;
    const of = (way: string) => ({
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace('{way}', way)]),
      ),
      body: typeof body === 'string' ? body.replaceAll('{way}', way) : body,
    });
    const route = await api.server.inject({
      method: 'POST',
      url: '/api/v1/events',
      headers: {
        host: 'localhost',
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...of('full').headers,
        ...ID,
      },
      payload: Buffer.from(of('full').body),
    });
    const asked = (way: string) => {
      const { headers, body } = of(way);
      return message({ url: '/api/v1/events', key, headers: { ...headers, ...ID }, body });
    };
    const lean = new Wire(port).write(asked('thin'));
    const ordinary = new Wire(port).write(message({ method: 'GET', url: '/healthz', key: '' }));
    expect((await ordinary.answer())?.status).toBe(200);
    ordinary.write(asked('node'));
    for (const wire of [lean, ordinary]) {
      const answer = (await wire.answer())!;
      expect([answer.status, answer.body.toString()]).toEqual([route.statusCode, route.payload]);
      const bare = (type: unknown) => String(type).replace('; charset=utf-8', '');
      expect(bare(answer.headers['content-type'])).toBe(bare(route.headers['content-type']));
      for (const name of SHARED_HEADERS)
        expect([name, answer.headers[name]]).toEqual([name, route.headers[name]]);
      wire.socket.destroy();
    }
  });

  it('spares single events node:http, and leaves it what the route must bound before it is read', async () => {
    const urls: (string | undefined)[] = [];
    const note = ({ url }: { url?: string }) => void urls.push(url);
    api.server.server.on('request', note);
    const wire = new Wire(port);
    const post = async (id: string, subject: string, headers: Record<string, string>) => {
      const bodies = Array.from({ length: 5 }, (_, n) => ({ ...good, id: `${id}-${n}`, subject }));
      const body = text(headers === BATCH ? bodies : bodies[0]);
      wire.write(message({ url: '/api/v1/events', key: api.keys.operator, headers, body }));
      return (await wire.answer())?.status;
    };
    expect(await post('small', 'a', STRUCTURED)).toBe(202);
    expect(await post('few', 'a', BATCH)).toBe(202);
    expect(urls).toEqual([]);
    expect(await post('many', 'x'.repeat(15_000), BATCH)).toBe(202);
    expect(urls).toEqual(['/api/v1/events']);
    wire.socket.destroy();
    api.server.server.off('request', note);
  });

  it('answers what is sent ahead in order, each event durable', async () => {
    const wire = new Wire(port);
    const many = Array.from({ length: 50 }, (_, n) =>
      message({
        url: '/api/v1/events',
        key: api.keys.operator,
        headers: STRUCTURED,
        body: text({ ...good, id: `ahead-${n}` }),
      }),
    );
    wire.write(Buffer.concat(many));
    for (let n = 0; n < 50; n++)
      expect(JSON.parse((await wire.answer())!.body.toString())).toMatchObject({ accepted: 1 });
    wire.socket.destroy();
    const [row] = await database.db.query<{ count: number }>(
      "select count(*)::int as count from events where event->>'id' like 'ahead-%'",
    );
    expect(row!.count).toBe(50);
  });
});
