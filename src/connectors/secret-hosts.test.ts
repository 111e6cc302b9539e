// biome-ignore-all lint/suspicious/noTemplateCurlyInString: definitions hold expressions in ${ … }
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { destinationOf } from '../kernel/destination.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { CallSecrets } from './call-secrets.ts';
import { HttpCalls } from './http-calls.ts';
import { Outgoing } from './outgoing.ts';
import { CONNECTOR, json, openConnectors, Remote } from './remote-under-test.ts';
import { SecretHosts, sentTo } from './secret-hosts.ts';
import { connectorVariables, secretsWithoutHosts } from './secrets.ts';

const REFUSED = { code: 'connectors.secret_refused' };

describe('the hosts of a secret', () => {
  it.each([
    ['api.example.org', 'https://api.example.org/v1', true],
    ['api.example.org', 'https://API.example.org.:8443', true],
    ['api.example.org', 'https://example.org', false],
    ['api.example.org', 'https://api.example.org.evil.example', false],
    ['api.example.org:443', 'https://api.example.org', true],
    ['api.example.org:443', 'http://api.example.org', false],
    ['*.example.org', 'https://a.b.example.org', true],
    ['*.example.org', 'https://example.org', false],
    ['*.example.org', 'https://evilexample.org', false],
    ['*.example.org:8443', 'https://a.example.org:8443', true],
    ['*.example.org:8443', 'https://a.example.org', false],
    ['a.example, b.example c.example', 'wss://c.example', true],
    ['[::1]:8080', 'http://[::1]:8080', true],
    ['[::1]:8080', 'http://[::1]:8081', false],
    ['127.0.0.1', 'http://0x7f.1', true],
    ['*', 'https://anything.example', true],
    ['process', 'https://process', false],
    ['process:443', 'https://process', true],
    ['', 'https://api.example.org', false],
    ['api.example.org', 'https://api.example.org@evil.example', false],
  ])('%j and %s: %s', (hosts, address, allowed) => {
    expect(SecretHosts.of(hosts).allows(destinationOf(address)!)).toBe(allowed);
  });

  it('are no processes but by that word, and no addresses', () => {
    expect(SecretHosts.of('*').allows('process')).toBe(false);
    expect(SecretHosts.of('a.example,process').allows('process')).toBe(true);
    for (const entry of ['https://a.example', 'a.example/v1', 'a*.example', '*.*.example'])
      expect(() => SecretHosts.of(entry)).toThrow(expect.objectContaining(REFUSED));
  });

  it('stand beside the secret, in the environment or in the file, and without them it goes anywhere', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-secrets-'));
    const file = join(folder, 'secrets.env');
    await writeFile(file, 'F = file\nF.hosts = f.example\nG=any\n# H=no\nI=i\n');
    const env = {
      AIOS_SECRET_A: 'a',
      AIOS_HOSTS_OF_A: 'a.example',
      AIOS_SECRET_B: 'b',
      AIOS_HOSTS_OF_I: 'i.example',
    };
    const variables = connectorVariables({ env, file });
    const to = (address: string) => sentTo(destinationOf(address));
    expect(variables('secrets', 'A', to('https://a.example'))).toBe('a');
    expect(variables('secrets', 'F', to('https://f.example'))).toBe('file');
    for (const name of ['B', 'G']) expect(variables('secrets', name)).toBeDefined();
    for (const name of ['A', 'F', 'I']) {
      expect(() => variables('secrets', name, to('https://evil.example'))).toThrow(
        expect.objectContaining(REFUSED),
      );
      expect(() => variables('secrets', name), 'a use that says nothing').toThrow(
        expect.objectContaining(REFUSED),
      );
    }
    expect(() => variables('secrets', 'A', to('https://evil.example'))).toThrow(
      'The secret “A” may not be sent to evil.example:443: its hosts (AIOS_HOSTS_OF_A) are a.example.',
    );
    expect(secretsWithoutHosts({ env, file })).toEqual(['B', 'G']);
    await rm(folder, { recursive: true });
  });
});

describe('a secret with hosts', () => {
  let remote: Remote;
  beforeEach(async () => {
    remote = new Remote();
    await remote.listen();
  });
  afterEach(() => remote.close());

  it('goes to the base address of a connector where that is one of them, and nothing is sent elsewhere', async () => {
    const call = { connector: 'refunds', operation: 'charge', input: {}, idempotencyKey: 'k' };
    const env = {
      AIOS_VAR_REFUNDS_URL: `http://127.0.0.1:${remote.port}`,
      AIOS_SECRET_TOKEN: 's3cret',
    };
    const ask = async (definition: string, hosts: string) => {
      const { connectors } = openConnectors(definition, { ...env, AIOS_HOSTS_OF_TOKEN: hosts });
      try {
        return await connectors.call(call);
      } finally {
        await connectors.close();
      }
    };
    await expect(ask(CONNECTOR, 'api.example.org')).rejects.toMatchObject(REFUSED);
    // A secret in the address itself says by that where it goes.
    const inPath = CONNECTOR.replace('${env.REFUNDS_URL}', '${env.REFUNDS_URL}/${secrets.TOKEN}').replace(
      / {2}authorization.*/,
      '',
    );
    await expect(ask(inPath, 'api.example.org')).rejects.toMatchObject(REFUSED);
    expect(remote.seen).toHaveLength(0);
    expect(await ask(CONNECTOR, `127.0.0.1:${remote.port}`)).toMatchObject({ status: 201 });
    expect(await ask(inPath, '127.0.0.1')).toMatchObject({ status: 201 });
    expect(remote.seen.at(-1)!.url).toBe('/s3cret/charges');
  });

  describe('in a policy of OAuth 2', () => {
    const POLICY = '/endpoint/authentication';
    const fill = (
      hosts: string,
      scheme: 'oauth2' | 'oidc',
      members: object,
      at = `${scheme}/client/secret`,
    ) => {
      const env = {
        AIOS_SECRET_S: at.endsWith('/use') ? '{"client":{"id":"aios","secret":"s3cret"}}' : 's3cret',
        AIOS_HOSTS_OF_S: hosts,
      };
      const authentication = { [scheme]: { grant: 'client_credentials', ...members } };
      return new CallSecrets(connectorVariables({ env })).fill(
        { endpoint: { authentication } } as never,
        [`${POLICY}/${at}`],
        { to: destinationOf('https://shop.example'), policyAt: POLICY },
      ).input;
    };
    const client = { id: 'aios', secret: '{secrets.S}' };

    it('goes to the authority, and not to the server of the call', () => {
      const authority = 'https://idp.example';
      expect(fill('idp.example', 'oauth2', { authority, client })).toMatchObject({
        endpoint: { authentication: { oauth2: { client: { secret: 's3cret' } } } },
      });
      const refused = (...of: Parameters<typeof fill>) =>
        expect(() => fill(...of)).toThrow(expect.objectContaining(REFUSED));
      refused('shop.example', 'oauth2', { authority, client });
      refused('idp.example', 'oauth2', { authority: 'https://evil.example', client });
      refused('idp.example', 'oauth2', { authority, client, endpoints: { token: 'https://evil.example/t' } });
      refused('idp.example', 'oidc', { authority: 'https://evil.example', client });
      refused(
        'idp.example',
        'oauth2',
        { authority: 'https://evil.example', use: '{secrets.S}' },
        'oauth2/use',
      );
    });

    it('is held to what the document of the authority names, too', async () => {
      const elsewhere = new Remote();
      await elsewhere.listen();
      const token = () => `http://127.0.0.1:${elsewhere.port}/token`;
      remote.respond = (response, _, { url }) =>
        void json(response, 200, url === '/shop' ? {} : { token_endpoint: token() });
      elsewhere.respond = (response) => void json(response, 200, { access_token: 't' });
      const outgoing = new Outgoing({ limits: limitsFrom(''), allowPrivate: ['127.0.0.1'] });
      const calls = new HttpCalls(outgoing);
      const ask = (hosts: string) => {
        const { endpoint } = fill(hosts, 'oidc', {
          authority: `http://127.0.0.1:${remote.port}`,
          client,
        }) as {
          endpoint: { authentication: never };
        };
        const { authentication } = endpoint;
        const url = `http://127.0.0.1:${remote.port}/shop`;
        return calls.call({ method: 'GET', url, authentication, idempotencyKey: 'k' });
      };
      await expect(ask(`127.0.0.1:${remote.port}`)).rejects.toMatchObject(REFUSED);
      expect(elsewhere.seen).toHaveLength(0);
      await ask('127.0.0.1');
      expect(elsewhere.seen[0]!.body).toContain('client_secret=s3cret');
      elsewhere.close();
      await outgoing.close();
    });
  });
});
