// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { STORES } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';
import { openApiRequest } from './openapi-request.ts';

const V3 = (port: number) => ({
  openapi: '3.1.0',
  info: { title: 'pets', version: '1' },
  servers: [{ url: 'http://127.0.0.1:{port}/v3', variables: { port: { default: String(port) } } }],
  paths: {
    '/pets': {
      parameters: [{ $ref: '#/components/parameters/Trace' }],
      get: {
        operationId: 'findPets',
        parameters: [
          { name: 'status', in: 'query', schema: { type: 'array' } },
          { name: 'tags', in: 'query', explode: false, schema: { type: 'array' } },
          { name: 'filter', in: 'query', style: 'deepObject', schema: { type: 'object' } },
          { name: 'session', in: 'cookie', schema: { type: 'string' } },
        ],
      },
      post: {
        operationId: 'addPet',
        requestBody: { $ref: '#/components/requestBodies/Pet' },
      },
    },
    '/pets/{petId}': {
      parameters: [{ name: 'petId', in: 'path', required: true, schema: {} }],
      get: { operationId: 'getPet' },
      delete: { operationId: 'removePet', parameters: [{ name: 'X-Reason', in: 'header', required: true }] },
    },
    '/upload': { put: { operationId: 'upload', requestBody: { content: { 'multipart/form-data': {} } } } },
  },
  components: {
    parameters: { Trace: { name: 'X-Trace', in: 'header' } },
    requestBodies: { Pet: { required: true, content: { 'application/xml': {}, 'application/json': {} } } },
  },
});
const V2 = {
  swagger: '2.0',
  info: { title: 'pets', version: '1' },
  basePath: '/v2',
  schemes: ['http'],
  paths: {
    '/pets': {
      get: {
        operationId: 'findPets',
        parameters: [
          { name: 'status', in: 'query', type: 'array', collectionFormat: 'pipes' },
          { name: 'tags', in: 'query', type: 'array', collectionFormat: 'multi' },
        ],
      },
      post: { operationId: 'addPet', parameters: [{ name: 'pet', in: 'body', required: true }] },
    },
    '/login': {
      post: {
        operationId: 'login',
        consumes: ['application/x-www-form-urlencoded'],
        parameters: [
          { name: 'user', in: 'formData', required: true },
          { name: 'code', in: 'formData' },
        ],
      },
    },
  },
};

describe.each(STORES)('call: openapi over %s', (_, open) => {
  const remote = new Remote();
  let subject: CallsUnderTest;
  const base = () => `http://127.0.0.1:${remote.port}`;
  const flow = (operationId: string, members = '', document = 'v3') =>
    `do: [ { c: { call: openapi, with: { document: { endpoint: ${base()}/${document}.json }, operationId: ${operationId} ${members && `, ${members}`} } } } ]`;
  const called = () => remote.seen.filter(({ url }) => !/json$/.test(url));

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
    subject.audited.length = 0;
    remote.respond = (response, _count, { url, method }) =>
      void json(response, 200, url === '/v3.json' ? V3(remote.port) : url === '/v2.json' ? V2 : { method });
  });

  it('reads: parameters as the operation writes them, and no audit entry', async () => {
    const { result } = await subject.run(
      flow(
        'findPets',
        "parameters: { status: [ a b, c ], tags: [ x, y ], filter: { age: '${ input.age }' }, session: s1, X-Trace: t }",
      ),
      { age: 3 },
    );
    expect(result).toMatchObject({ output: { method: 'GET' } });
    expect(called()[0]).toMatchObject({
      url: '/v3/pets?status=a%20b&status=c&tags=x,y&filter%5Bage%5D=3',
      headers: { cookie: 'session=s1', 'x-trace': 't' },
    });
    expect(subject.audited).toEqual([]);
  });

  it('acts: the body from the parameters that the operation does not have, one key, one audit entry', async () => {
    const { result } = await subject.run(flow('addPet', 'parameters: { name: Milou, X-Trace: t }'));
    expect(result).toMatchObject({ output: { method: 'POST' } });
    expect(called()[0]).toMatchObject({ url: '/v3/pets', body: '{"name":"Milou"}' });
    expect(called()[0]!.headers['idempotency-key']).toBe(`"${subject.audited[0]!.payload.idempotencyKey}"`);
    expect(subject.audited).toMatchObject([{ action: 'openapi.post', payload: { operationId: 'addPet' } }]);
  });

  it('what the document says later does not count for the version that was applied', async () => {
    const body = await subject.prepared(subject.flowOf(flow('getPet', 'parameters: { petId: a/b }')));
    remote.respond = (response) => void json(response, 200, {});
    expect((body.document as JsonObject).metadata).toMatchObject({
      aios: { resources: { [`${base()}/v3.json#getPet`]: { digest: expect.stringMatching(/^sha256:/) } } },
    });
    remote.seen.length = 0;
    await subject.runBody(body);
    expect(remote.seen.map(({ url }) => url)).toEqual(['/v3/pets/a%2Fb']);
  });

  it('a document of 2.0: its host, base path, collections, body and forms', async () => {
    await subject.run(flow('findPets', 'parameters: { status: [ a, b ], tags: [ x, y ] }', 'v2'));
    await subject.run(flow('addPet', 'parameters: { pet: { name: Milou } }', 'v2'));
    await subject.run(flow('login', 'parameters: { user: a b, code: 1 }', 'v2'));
    expect(called().map(({ url, body }) => [url, body])).toEqual([
      ['/v2/pets?status=a%7Cb&tags=x&tags=y', ''],
      ['/v2/pets', '{"name":"Milou"}'],
      ['/v2/login', 'user=a%20b&code=1'],
    ]);
    expect(called()[2]!.headers['content-type']).toBe('application/x-www-form-urlencoded');
  });

  it('authentication, output and redirect as in a call of http', async () => {
    remote.respond = (response, _count, { url }) =>
      url === '/v3.json'
        ? void json(response, 200, V3(remote.port))
        : url === '/there'
          ? void json(response, 200, { there: true })
          : void json(response, 302, {}, { location: '/there' });
    const { result, kept } = await subject.run(
      `use: { secrets: [ TOKEN ] }\n${flow('getPet', 'parameters: { petId: 1 }, authentication: { bearer: { use: TOKEN } }, output: response, redirect: true')}`,
    );
    expect(result).toMatchObject({ output: { statusCode: 200, content: { there: true } } });
    expect(called()[0]!.headers.authorization).toBe('Bearer s3cret-token');
    expect(kept).not.toContain('s3cret-token');
  });

  it.each([
    [
      'an operation that the document lacks',
      'nothing',
      '',
      'v3',
      'definition.invalid',
      /no operation “nothing”; it has findPets/,
    ],
    ['a body that is not sent', 'upload', '', 'v3', 'definition.invalid', /multipart\/form-data/],
    ['a document that is none', 'getPet', '', 'v9', 'definition.invalid', /no OpenAPI document/],
    [
      'a parameter that is missing',
      'removePet',
      'parameters: { petId: 1 }',
      'v3',
      'definition.invalid',
      /“X-Reason” is missing/,
    ],
    [
      'a parameter too many',
      'getPet',
      'parameters: { petId: 1, colour: red }',
      'v3',
      'definition.invalid',
      /no parameter “colour”/,
    ],
  ])('%s is refused when the flow is applied', async (_what, operation, members, document, code, message) => {
    const refused = subject.run(flow(operation, members, document));
    await expect(refused).rejects.toMatchObject({
      code,
      issues: [{ path: expect.stringMatching('^/do/0/c/with/') }],
    });
    await expect(refused).rejects.toThrow(message);
  });

  it('a document that cannot be had is refused with the place that names it', async () => {
    remote.respond = (response) => void json(response, 404, {});
    await expect(subject.run(flow('getPet'))).rejects.toMatchObject({
      code: 'workflow.resource_unavailable',
      issues: [{ path: '/do/0/c/with/document/endpoint' }],
    });
    await expect(
      subject.run(
        "do: [ { c: { call: openapi, with: { document: { endpoint: 'http://169.254.169.254/a' }, operationId: a } } } ]",
      ),
    ).rejects.toThrow(/private address/);
  });
});

describe('the request of an operation', () => {
  const request = (style: string, explode: boolean, place: string, value: JsonObject[string]) =>
    openApiRequest(
      {
        method: 'GET',
        url: place === 'path' ? 'http://a/{c}' : 'http://a/',
        parameters: [{ name: 'c', in: place, required: true, style, explode }],
      },
      { c: value },
    );
  const list = ['blue', 'black'];
  const object = { R: 100, G: 200 };

  // OpenAPI 3.1.1, "Style Examples".
  it.each([
    ['matrix', false, 'path', list, '/;c=blue,black'],
    ['matrix', true, 'path', list, '/;c=blue;c=black'],
    ['matrix', true, 'path', object, '/;R=100;G=200'],
    ['matrix', false, 'path', object, '/;c=R,100,G,200'],
    ['label', false, 'path', list, '/.blue,black'],
    ['label', true, 'path', list, '/.blue.black'],
    ['label', true, 'path', object, '/.R=100.G=200'],
    ['simple', false, 'path', list, '/blue,black'],
    ['simple', true, 'path', object, '/R=100,G=200'],
    ['form', true, 'query', list, '/?c=blue&c=black'],
    ['form', false, 'query', object, '/?c=R,100,G,200'],
    ['form', true, 'query', object, '/?R=100&G=200'],
    ['spaceDelimited', false, 'query', list, '/?c=blue%20black'],
    ['pipeDelimited', false, 'query', list, '/?c=blue%7Cblack'],
    ['deepObject', true, 'query', object, '/?c%5BR%5D=100&c%5BG%5D=200'],
    ['json', false, 'query', object, `/?c=${encodeURIComponent('{"R":100,"G":200}')}`],
  ])('%s, explode %s, in %s', (style, explode, place, value, expected) => {
    expect(request(style, explode, place, value).url).toBe(`http://a${expected}`);
  });
});
