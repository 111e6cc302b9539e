// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { json, Remote } from '../../connectors/remote-under-test.ts';
import { memoryFixture } from '../engine/stores-under-test.ts';
import { CallsUnderTest } from './calls-under-test.ts';

const OPENAPI = (port: number) =>
  JSON.stringify({
    openapi: '3.0.0',
    info: { title: 'shop', version: '1' },
    servers: [{ url: `http://127.0.0.1:${port}` }],
    paths: {
      '/orders': {
        get: {
          operationId: 'list',
          parameters: [{ name: 'key', in: 'query', schema: { type: 'string' } }],
          responses: { 200: { description: 'ok' } },
        },
      },
    },
  });

const ASYNCAPI = (port: number) =>
  JSON.stringify({
    asyncapi: '3.0.0',
    info: { title: 'shop', version: '1' },
    servers: { s: { host: `127.0.0.1:${port}`, protocol: 'http' } },
    channels: { orders: { address: '/orders' } },
    operations: { place: { action: 'send', channel: { $ref: '#/channels/orders' } } },
  });

const PROTO = 'syntax = "proto3"; package shop; message O {} service Orders { rpc Place(O) returns (O); }';

describe('a secret of a flow that lists its hosts', () => {
  const remote = new Remote();
  let subject: CallsUnderTest;

  beforeAll(async () => {
    await remote.listen();
    subject = await CallsUnderTest.open(memoryFixture, ['node'], '', {
      isShellAllowed: true,
      containerEngine: undefined,
    });
    subject.files['resources/openapi.json'] = OPENAPI(remote.port);
    subject.files['resources/asyncapi.json'] = ASYNCAPI(remote.port);
    subject.files['resources/shop.proto'] = PROTO;
  });
  afterAll(async () => {
    await subject.close();
    remote.close();
  });
  beforeEach(() => {
    remote.seen.length = 0;
    remote.respond = (response) => void json(response, 200, {});
  });

  const run = (secret: string, call: string) =>
    subject.run(
      `use: { secrets: [ ${secret} ], authentications: { a: { bearer: { token: '\${ secrets.${secret} }' } } } }\ndo: [ { get: ${call} } ]`,
    );
  const uri = () => `http://127.0.0.1:${remote.port}/rates`;
  const withPolicy = () => `{ uri: '${uri()}', authentication: { use: a } }`;
  const calls: [string, (secret: string) => string][] = [
    [
      'a header',
      (secret) =>
        `{ call: http, with: { method: get, endpoint: '${uri()}', headers: { x-key: '\${ secrets.${secret} }' } } }`,
    ],
    [
      'the query',
      (secret) =>
        `{ call: http, with: { method: get, endpoint: '${uri()}', query: { key: '\${ secrets.${secret} }' } } }`,
    ],
    ['a policy', () => `{ call: http, with: { method: post, endpoint: ${withPolicy()} } }`],
    [
      'a parameter of OpenAPI',
      (secret) =>
        `{ call: openapi, with: { document: { endpoint: resources/openapi.json }, operationId: list, parameters: { key: '\${ secrets.${secret} }' } } }`,
    ],
    [
      'a message',
      () =>
        `{ call: asyncapi, with: { document: { endpoint: resources/asyncapi.json }, operation: place, message: { payload: {} }, authentication: { use: a } } }`,
    ],
  ];

  it.each(calls)('is sent in %s to a host of the list, and to no other', async (_, call) => {
    const { result } = await run('AWAY', call('AWAY'));
    expect(result!.error).toMatchObject({
      type: 'https://serverlessworkflow.io/spec/1.0.0/errors/authorization',
      status: 403,
      detail: expect.stringContaining(
        `The secret “AWAY” may not be sent to 127.0.0.1:${remote.port}: its hosts (AIOS_HOSTS_OF_AWAY) are *.example.org`,
      ),
    });
    expect(remote.seen).toHaveLength(0);
    expect((await run('HERE', call('HERE'))).result!.error).toBeUndefined();
    expect(JSON.stringify(remote.seen)).toContain('s3cret-here');
  });

  it.each([
    [
      'gRPC',
      () =>
        `{ call: grpc, with: { proto: { endpoint: resources/shop.proto }, service: { name: shop.Orders, host: 'http://127.0.0.1', port: ${remote.port}, authentication: { use: a } }, method: Place } }`,
    ],
    [
      'MCP',
      () =>
        `{ call: mcp, with: { method: tools/list, transport: { http: { endpoint: '${uri()}', headers: { x-key: '\${ secrets.AWAY }' } } } } }`,
    ],
    ['A2A', () => `{ call: a2a, with: { method: tasks/get, server: ${withPolicy()} } }`],
    [
      'the agent of a card',
      () => `{ call: a2a, with: { method: tasks/get, agentCard: { endpoint: ${withPolicy()} } } }`,
    ],
    [
      'OAuth 2, whose authority the secret itself names and the flow another',
      () =>
        `{ call: http, with: { method: get, endpoint: { uri: '${uri()}', authentication: { oauth2: { use: AWAY_POLICY, authority: '${uri()}' } } } } }`,
    ],
    [
      'a process',
      () => `{ run: { shell: { command: 'echo $KEY', environment: { KEY: '\${ secrets.AWAY }' } } } }`,
    ],
    [
      'a server of MCP that is started',
      () =>
        `{ call: mcp, with: { method: tools/list, transport: { stdio: { command: node, environment: { KEY: '\${ secrets.AWAY }' } } } } }`,
    ],
  ])('does not go by %s to where it may not be sent', async (_, call) => {
    const secret = call().includes('AWAY_POLICY') ? 'AWAY_POLICY' : 'AWAY';
    const { result } = await run(secret, call());
    expect(result!.error).toMatchObject({
      status: 403,
      detail: expect.stringContaining(`The secret “${secret}” may not be sent`),
    });
    expect(remote.seen).toHaveLength(0);
  });
});
