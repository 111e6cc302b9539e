import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { HttpCalls } from './http-calls.ts';
import { Outgoing } from './outgoing.ts';
import { json, Remote } from './remote-under-test.ts';

describe('HTTP calls of flows', () => {
  let remote: Remote;
  let other: Remote;
  let outgoing: Outgoing;
  let calls: HttpCalls;
  const base = (of = remote) => `http://127.0.0.1:${of.port}`;
  const call = (changes: Partial<Parameters<HttpCalls['call']>[0]> = {}) =>
    calls.call({ method: 'GET', url: `${base()}/rates`, idempotencyKey: 'run_1/rates', ...changes });

  beforeEach(async () => {
    [remote, other] = [new Remote(), new Remote()];
    await Promise.all([remote.listen(), other.listen()]);
    remote.respond = (response) => void json(response, 200, { rate: 2 });
    outgoing = new Outgoing({
      limits: limitsFrom('httpCallMs=300'),
      allowPrivate: [`127.0.0.1:${remote.port}`, `127.0.0.1:${other.port}`],
    });
    calls = new HttpCalls(outgoing);
  });
  afterEach(async () => {
    remote.close();
    other.close();
    await outgoing.close();
  });

  it('sends what is given and answers status, headers and text', async () => {
    const answer = await call({
      method: 'POST',
      url: `${base()}/rates?base=EUR`,
      query: { to: 'USD', list: [1, 2], none: null },
      headers: { 'X-Shop': 'one' },
      body: { amount: 5 },
    });
    expect(answer).toMatchObject({ status: 200, text: '{"rate":2}' });
    expect(remote.seen[0]).toMatchObject({
      method: 'POST',
      url: '/rates?base=EUR&to=USD&list=%5B1%2C2%5D',
      body: '{"amount":5}',
      headers: { 'x-shop': 'one', 'content-type': 'application/json', 'idempotency-key': '"run_1/rates"' },
    });
  });

  it('reads without an idempotency key; text goes as text', async () => {
    await call();
    await call({ method: 'PUT', body: 'plain' });
    expect(remote.seen[0]!.headers['idempotency-key']).toBeUndefined();
    expect(remote.seen[1]).toMatchObject({
      body: 'plain',
      headers: { 'content-type': expect.stringMatching('text/plain') },
    });
  });

  it.each([
    [404, 'connectors.refused'],
    [409, 'connectors.refused'],
    [429, 'connectors.failed'],
    [503, 'connectors.failed'],
    [302, 'connectors.refused'],
  ])('a status %d is the error %s, with the status', async (status, code) => {
    remote.respond = (response) => void json(response, status, { why: 'no' }, { location: '/elsewhere' });
    await expect(call()).rejects.toMatchObject({ code, extensions: { remoteStatus: status } });
    expect(remote.seen).toHaveLength(1);
  });

  it('follows redirects when asked: what was posted is then looked at', async () => {
    remote.respond = (response, count) =>
      count === 1 ? void json(response, 303, {}, { location: '/result' }) : void json(response, 200, {});
    const { url } = await call({ method: 'POST', body: {}, redirect: true });
    expect(url).toBe(`${base()}/result`);
    expect(remote.seen.map(({ method, url: path, body }) => [method, path, body])).toEqual([
      ['POST', '/rates', '{}'],
      ['GET', '/result', ''],
    ]);
  });

  it('a redirect that does not end, and one to a place that is refused, end in an error', async () => {
    remote.respond = (response) => void json(response, 307, {}, { location: '/rates' });
    await expect(call({ redirect: true })).rejects.toMatchObject({ extensions: { remoteStatus: 307 } });
    remote.respond = (response) =>
      void json(response, 302, {}, { location: 'http://169.254.169.254/latest' });
    await expect(call({ redirect: true })).rejects.toMatchObject({ code: 'connectors.egress_refused' });
  });

  it('credentials are sent to its host only, and are in no error', async () => {
    remote.respond = (response, _, { headers }) =>
      headers.authorization === 'Bearer s3cret-token'
        ? void json(response, 302, {}, { location: `${base(other)}/there` })
        : void json(response, 400, { sent: headers.authorization });
    const headers = { 'x-key': 's3cret-key' };
    await call({ authentication: { bearer: { token: 's3cret-token' } }, headers, redirect: true });
    expect(remote.seen[0]!.headers['x-key']).toBe('s3cret-key');
    expect(other.seen[0]!.headers).not.toMatchObject({ authorization: expect.anything() });
    expect(other.seen[0]!.headers['x-key']).toBeUndefined();
    const refused = call({ authentication: { basic: { use: 'ada:s3cret-word' } } });
    await expect(refused).rejects.toThrow(/Status 400/);
    await expect(refused).rejects.not.toThrow(Buffer.from('ada:s3cret-word').toString('base64'));
  });

  it.each([
    ['no address', { url: 'rates' }],
    ['another scheme', { url: 'file:///etc/passwd' }],
    ['credentials in the address', { url: 'http://a:b@127.0.0.1/' }],
    ['a header that is not the flow’s to set', { headers: { Host: 'bank' } }],
    ['a method that is none', { method: 'BREW' }],
  ])('%s is refused before anything is sent', async (_, changes) => {
    await expect(call(changes)).rejects.toMatchObject({ code: 'connectors.input_invalid' });
    expect(remote.seen).toHaveLength(0);
  });

  it('a private address is refused, silence after sending is of unknown outcome', async () => {
    await expect(call({ url: 'http://localhost:1/' })).rejects.toMatchObject({
      code: 'connectors.egress_refused',
    });
    remote.respond = () => {};
    await expect(call({ method: 'POST' })).rejects.toMatchObject({ code: 'connectors.outcome_unknown' });
  });
});
