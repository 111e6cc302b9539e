import { createHash, createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { digestAnswer } from './authentication.ts';
import { HttpCalls } from './http-calls.ts';
import { Outgoing } from './outgoing.ts';
import { json, Remote, type Seen } from './remote-under-test.ts';

describe('the authentication of calls', () => {
  let remote: Remote;
  let authority: Remote;
  let outgoing: Outgoing;
  const base = (of: Remote) => `http://127.0.0.1:${of.port}`;
  const call = (authentication: JsonObject, method = 'GET') =>
    new HttpCalls(outgoing).call({
      method,
      url: `${base(remote)}/rates?of=EUR`,
      authentication,
      idempotencyKey: 'run_1/rates',
    });
  const forms = () => authority.seen.map(({ body }) => Object.fromEntries(new URLSearchParams(body)));

  beforeEach(async () => {
    [remote, authority] = [new Remote(), new Remote()];
    await Promise.all([remote.listen(), authority.listen()]);
    remote.respond = (response) => void json(response, 200, {});
    authority.respond = (response, count) =>
      void json(response, 200, { access_token: `token-${count}`, expires_in: 3600 });
    outgoing = new Outgoing({ limits: limitsFrom('httpCallMs=1000'), allowPrivate: ['127.0.0.1'] });
  });
  afterEach(async () => {
    remote.close();
    authority.close();
    await outgoing.close();
  });
  const sent = () => remote.seen.map(({ headers }) => headers.authorization);

  it.each([
    ['basic', { basic: { username: 'ada', password: 'pa:ss' } }, `Basic ${btoa('ada:pa:ss')}`],
    ['basic by a whole secret', { basic: { use: 'ada:pa:ss' } }, `Basic ${btoa('ada:pa:ss')}`],
    [
      'basic by a secret of JSON',
      { basic: { use: '{"username":"a","password":"b"}' } },
      `Basic ${btoa('a:b')}`,
    ],
    ['bearer', { bearer: { token: 't0' } }, 'Bearer t0'],
    ['bearer by a whole secret', { bearer: { use: 't1' } }, 'Bearer t1'],
  ])('%s', async (_, policy, header) => {
    await call(policy);
    expect(sent()).toEqual([header]);
  });

  it('digest answers a challenge as RFC 7616 has it, and acts once', async () => {
    const target = { method: 'GET', url: new URL('http://www.example.org/dir/index.html') };
    const challenge =
      'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
    const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
    const answer = digestAnswer(
      challenge,
      { username: 'Mufasa', password: 'Circle of Life' },
      target,
      cnonce,
    );
    expect(answer).toContain('response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"');

    const isRight = ({ method, url, headers }: Seen) => {
      const field = (name: string) =>
        new RegExp(`\\b${name}="?([^",]+)`).exec(headers.authorization ?? '')?.[1] ?? '';
      const md5 = (text: string) => createHash('md5').update(text).digest('hex');
      const [a1, a2] = [md5('ada:here:pass'), md5(`${method}:${url}`)];
      return field('response') === md5(`${a1}:n1:${field('nc')}:${field('cnonce')}:auth:${a2}`);
    };
    let done = 0;
    remote.respond = (response, _, seen) => {
      if (!isRight(seen)) {
        json(
          response,
          401,
          {},
          { 'www-authenticate': 'Basic realm="x", Digest realm="here", nonce="n1", qop="auth"' },
        );
        return;
      }
      done++;
      json(response, 200, {});
    };
    await call({ digest: { username: 'ada', password: 'pass' } }, 'POST');
    expect([done, remote.seen.length]).toEqual([1, 2]);
    await expect(call({ digest: { username: 'ada', password: 'wrong' } })).rejects.toMatchObject({
      extensions: { remoteStatus: 401 },
    });
  });

  it('oauth2 asks for a token once and keeps it; one that is refused is asked for again', async () => {
    const oauth2 = {
      authority: base(authority),
      grant: 'client_credentials',
      client: { id: 'aios', secret: 's3cret-client' },
      scopes: ['a', 'b'],
      audiences: ['shop'],
    };
    await call({ oauth2 });
    await call({ oauth2 });
    expect(sent()).toEqual(['Bearer token-1', 'Bearer token-1']);
    expect(authority.seen[0]!.url).toBe('/oauth2/token');
    expect(forms()).toEqual([
      {
        grant_type: 'client_credentials',
        scope: 'a b',
        audience: 'shop',
        client_id: 'aios',
        client_secret: 's3cret-client',
      },
    ]);
    remote.respond = (response, _, { headers }) =>
      void json(response, headers.authorization === 'Bearer token-2' ? 200 : 401, {});
    await call({ oauth2 });
    expect(sent().slice(2)).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  it('a token about to expire is not used', async () => {
    authority.respond = (response, count) =>
      void json(response, 200, { access_token: `token-${count}`, expires_in: 20 });
    const oauth2 = { authority: base(authority), grant: 'client_credentials', client: { id: 'a' } };
    await call({ oauth2 });
    await call({ oauth2 });
    expect(sent()).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  it.each([
    ['password', { grant: 'password', username: 'ada', password: 'pw' }, { username: 'ada', password: 'pw' }],
    [
      'refresh_token',
      { grant: 'refresh_token', subject: { token: 'r1', type: 'refresh' } },
      { refresh_token: 'r1' },
    ],
    [
      'token exchange',
      {
        grant: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject: { token: 's1', type: 'urn:ietf:params:oauth:token-type:jwt' },
        actor: { token: 'a1', type: 'urn:ietf:params:oauth:token-type:jwt' },
      },
      {
        subject_token: 's1',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        actor_token: 'a1',
        actor_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      },
    ],
    [
      'private_key_jwt',
      {
        grant: 'client_credentials',
        client: { id: 'a', assertion: 'j.w.t', authentication: 'private_key_jwt' },
      },
      { client_id: 'a', client_assertion: 'j.w.t' },
    ],
  ])('oauth2: %s', async (_, members, form) => {
    await call({ oauth2: { authority: base(authority), ...members } });
    expect(forms()[0]).toMatchObject(form);
    expect(sent()).toEqual(['Bearer token-1']);
  });

  it('oauth2: the client in a header, as JSON, and by a JWT that it signs with its secret', async () => {
    const client = { id: 'a', secret: 's:1', authentication: 'client_secret_basic' };
    const shared = { authority: base(authority), endpoints: { token: '/t' }, grant: 'client_credentials' };
    await call({ oauth2: { ...shared, client, request: { encoding: 'application/json' } } });
    expect(authority.seen[0]).toMatchObject({
      url: '/t',
      body: '{"grant_type":"client_credentials"}',
      headers: { authorization: `Basic ${btoa('a:s%3A1')}`, 'content-type': 'application/json' },
    });
    await call({ oauth2: { ...shared, client: { ...client, authentication: 'client_secret_jwt' } } });
    const [head, claims, signature] = forms()[1]!.client_assertion!.split('.');
    expect(signature).toBe(createHmac('sha256', 's:1').update(`${head}.${claims}`).digest('base64url'));
    expect(JSON.parse(atob(claims!))).toMatchObject({ iss: 'a', sub: 'a', aud: `${base(authority)}/t` });
  });

  it('oidc finds the endpoint; a token of another issuer is not used', async () => {
    const jwt = `${btoa('{}')}.${Buffer.from('{"iss":"evil"}').toString('base64url')}.x`;
    authority.respond = (response, _, { url }) =>
      void json(
        response,
        200,
        url === '/realm/.well-known/openid-configuration'
          ? { token_endpoint: `${base(authority)}/realm/token` }
          : { access_token: jwt },
      );
    const oidc = { authority: `${base(authority)}/realm`, grant: 'client_credentials', client: { id: 'a' } };
    await call({ oidc });
    expect(authority.seen.map(({ url }) => url)).toEqual([
      '/realm/.well-known/openid-configuration',
      '/realm/token',
    ]);
    await expect(call({ oidc: { ...oidc, issuers: ['https://good'] } })).rejects.toMatchObject({
      code: 'connectors.authentication_failed',
    });
  });

  it('an authority that refuses is told without the secret that it echoes, and nothing was sent to the system', async () => {
    authority.respond = (response, _, { body }) =>
      void json(response, 400, { error: 'invalid_client', body });
    const client = { id: 'aios', secret: 's3cret-client' };
    const refused = call({ oauth2: { authority: base(authority), grant: 'client_credentials', client } });
    await expect(refused).rejects.toMatchObject({ code: 'connectors.authentication_failed' });
    await expect(refused).rejects.toThrow('invalid_client');
    await expect(refused).rejects.not.toThrow('s3cret-client');
    expect(remote.seen).toHaveLength(0);
  });

  it('an authority at a private address is refused like any other', async () => {
    const oauth2 = { authority: 'http://169.254.169.254', grant: 'client_credentials', client: { id: 'a' } };
    await expect(call({ oauth2 })).rejects.toMatchObject({ code: 'connectors.egress_refused' });
  });
});
