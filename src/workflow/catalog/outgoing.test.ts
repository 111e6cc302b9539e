// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import { AiosError } from '../../kernel/errors.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { compileFlow } from '../language/compile.ts';
import { runJq } from '../language/jq-evaluator.ts';
import { CallsUnderTest, SECRETS } from './calls-under-test.ts';

describe.each(STORES)('secrets and credentials of calls over %s', (_, open) => {
  const remote = new Remote();
  let subject: CallsUnderTest;
  const http = (members: string) => `do: [ { get: { call: http, with: { ${members} } } } ]`;
  const address = () => `http://127.0.0.1:${remote.port}/rates`;
  const headers = () => remote.seen.at(-1)!.headers;

  beforeAll(async () => {
    await remote.listen();
    subject = await CallsUnderTest.open(open);
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
  });
  beforeEach(() => {
    remote.seen.length = 0;
    remote.respond = (response) => void json(response, 200, {});
  });

  const withoutSecrets = async (kept: string) => {
    const everything = kept + (await subject.fixture.readNotes()).join();
    for (const value of ['s3cret-token', 's3cret-word', 's3cret-client', btoa(SECRETS.LOGIN!)])
      expect(everything).not.toContain(value);
    expect(kept).toContain('{secrets.');
  };

  it('a secret in a header arrives, and nothing that is kept holds it, though the server echoes it', async () => {
    remote.respond = (response, _, { headers: sent }) => void json(response, 200, { echo: sent['x-key'] });
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${http(`method: post, endpoint: '${address()}', headers: { x-key: 'key \${ secrets.TOKEN }' }, output: response`)}`,
    );
    expect(headers()['x-key']).toBe('key s3cret-token');
    expect(result).toMatchObject({ output: { content: { echo: 'key ***' } } });
    await withoutSecrets(kept);
  });

  it('a secret in the query arrives, and the address that is put out has none', async () => {
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${http(`method: put, endpoint: '${address()}', query: { key: '\${ secrets.TOKEN }' }, output: response`)}`,
    );
    expect(remote.seen[0]!.url).toBe('/rates?key=s3cret-token');
    expect(result).toMatchObject({ output: { request: { uri: expect.stringContaining('key=***') } } });
    await withoutSecrets(kept);
  });

  it('an error that the server answers is kept without the credentials it names', async () => {
    remote.respond = (response, _, { headers: sent }) =>
      void json(response, 400, { sent: sent.authorization, plain: 's3cret-word' });
    const { result, kept } = await subject.run(
      `use: { secrets: [ LOGIN ], authentications: { login: { basic: { use: LOGIN } } } }\n${http(`method: post, endpoint: { uri: '${address()}', authentication: { use: login } }`)}`,
    );
    expect(headers().authorization).toBe(`Basic ${btoa('ada:s3cret-word')}`);
    expect(result!.error).toMatchObject({ status: 400, detail: expect.stringContaining('***') });
    await withoutSecrets(kept);
  });

  it('a member of a secret that is a JSON object, under a name with a hyphen, in jq', async () => {
    const token = new Remote();
    await token.listen();
    token.respond = (response) => void json(response, 200, { access_token: 'tok-1' });
    const { kept } = await subject.run(`evaluate: { language: jq }
use:
  secrets: [ my-client ]
  authentications:
    shop:
      oauth2:
        authority: http://127.0.0.1:${token.port}
        grant: client_credentials
        client: { id: '\${ $secrets["my-client"].id }', secret: '\${ $secrets["my-client"].secret }' }
${http(`method: post, endpoint: { uri: '${address()}', authentication: { use: shop } }`)}`);
    token.close();
    expect(token.seen[0]!.body).toContain('client_id=aios&client_secret=s3cret-client');
    expect(headers().authorization).toBe('Bearer tok-1');
    await withoutSecrets(kept);
    expect(kept).not.toContain('tok-1');
  });

  it('a secret that is not set is an error of authorization, and nothing is sent', async () => {
    const { result } = await subject.run(
      `use: { secrets: [ NONE ] }\n${http(`method: get, endpoint: '${address()}', headers: { x-key: '\${ secrets.NONE }' }`)}`,
    );
    expect(result!.error).toMatchObject({
      type: 'https://serverlessworkflow.io/spec/1.0.0/errors/authorization',
      status: 403,
    });
    expect(remote.seen).toHaveLength(0);
  });

  it('an operator who gives a step other arguments cannot send its secret elsewhere, nor another secret', async () => {
    const elsewhere = new Remote();
    await elsewhere.listen();
    const { runId } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${http(`method: post, endpoint: '${address()}', headers: { x-key: '\${ secrets.TOKEN }' }, body: { a: 1 }`)}`,
    );
    const other = `http://127.0.0.1:${elsewhere.port}/steal`;
    const { kept } = await subject.again(runId, 'get', {
      method: 'post',
      endpoint: other,
      headers: { 'x-key': '{secrets.LOGIN}' },
      body: { a: 2 },
    });
    elsewhere.close();
    expect(elsewhere.seen).toEqual([]);
    expect(remote.seen.map(({ headers: sent, body }) => [sent['x-key'], body])).toEqual([
      ['s3cret-token', '{"a":1}'],
      ['s3cret-token', '{"a":2}'],
    ]);
    expect(kept).not.toContain('s3cret');
  });

  it('arguments that an operator gives name no secret where the flow names none', async () => {
    const { runId } = await subject.run(
      http(`method: post, endpoint: '${address()}', headers: { x-key: plain }`),
    );
    const given = { method: 'post', endpoint: address(), headers: { 'x-key': '{secrets.TOKEN}' } };
    await subject.again(runId, 'get', given);
    expect(remote.seen.map(({ headers: sent }) => sent['x-key'])).toEqual(['plain', '{secrets.TOKEN}']);
    const { result } = await subject.again(runId, 'get', { ...given, secretsAt: ['/headers/x-key'] });
    expect(result!.error).toMatchObject({ type: expect.stringMatching('validation$') });
    expect(remote.seen).toHaveLength(2);
  });

  it('data that looks like a reference is data', async () => {
    await subject.run(
      `use: { secrets: [ TOKEN ] }\n${http(`method: get, endpoint: '${address()}', headers: { x-key: '\${ secrets.TOKEN }', x-name: '\${ input.name }' }`)}`,
      { name: '{secrets.TOKEN}' },
    );
    expect(headers()).toMatchObject({ 'x-key': 's3cret-token', 'x-name': '{secrets.TOKEN}' });
  });

  it.each([
    ['in a set', 'use: { secrets: [ T ] }\ndo: [ { a: { set: { x: "${ secrets.T }" } } } ]', '/do/0/a/set/x'],
    [
      'in a condition',
      'use: { secrets: [ T ] }\ndo: [ { a: { if: secrets.T == "x", set: { x: 1 } } } ]',
      '/do/0/a/if',
    ],
    [
      'in a body',
      `use: { secrets: [ T ] }\n${http("method: post, endpoint: 'https://a.example', body: '${ secrets.T }'")}`,
      '/do/0/get/with/body',
    ],
    [
      'beside another expression',
      `use: { secrets: [ T ] }\n${http("method: get, endpoint: 'https://a.example', headers: { a: '${ input.a } ${ secrets.T }' }")}`,
      '/do/0/get/with/headers/a',
    ],
    [
      'that use does not name',
      http("method: get, endpoint: 'https://a.example', headers: { a: '${ secrets.T }' }"),
      '/do/0/get/with/headers/a',
    ],
    [
      'written out in a call',
      http("method: get, endpoint: { uri: 'https://a.example', authentication: { bearer: { token: abc } } }"),
      '/do/0/get/with/endpoint/authentication/bearer/token',
    ],
    [
      'written out where a name is expected',
      http(
        "method: get, endpoint: { uri: 'https://a.example', authentication: { basic: { use: 'ada:word' } } }",
      ),
      '/do/0/get/with/endpoint/authentication/basic/use',
    ],
    [
      'written out in use',
      'use: { authentications: { a: { basic: { username: u, password: p } } } }\ndo: [ { a: { set: { x: 1 } } } ]',
      '/use/authentications/a/basic/password',
    ],
    [
      'of a policy that is not there',
      http("method: get, endpoint: { uri: 'https://a.example', authentication: { use: none } }"),
      '/do/0/get/with/endpoint/authentication',
    ],
    [
      'of a grant that needs a person',
      'use: { secrets: [ T ] }\n' +
        http(
          "method: get, endpoint: { uri: 'https://a.example', authentication: { oauth2: { authority: 'https://b.example', grant: authorization_code } } }",
        ),
      '/do/0/get/with/endpoint/authentication/oauth2/grant',
    ],
  ])('a secret %s is refused when the flow is applied', (_, text, path) => {
    let refusal: unknown;
    try {
      compileFlow(subject.flowOf(text), subject.catalog, runJq);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(AiosError);
    const paths = (refusal as AiosError).issues.map((issue) => issue.path);
    expect(paths.some((found) => found.startsWith(path))).toBe(true);
  });
});
