import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import type { Definition } from '../store/definitions.ts';
import { parseConnector } from './connector-kind.ts';
import { Connectors } from './connectors.ts';
import { isPrivateAddress, type Resolve } from './egress.ts';
import { connectorVariables } from './secrets.ts';

const CONNECTOR = `
name: refunds
type: http
baseUrl: \${env.REFUNDS_URL}
allowPrivate: ['\${env.REFUNDS_URL}']
headers: { authorization: 'Bearer \${secrets.TOKEN}' }
timeoutMs: 200
retry: { attemptsMax: 3, backoff: { initialMs: 1, maxMs: 40 } }
breaker: { failuresMax: 6, openMs: 50 }
concurrencyMax: 2
costPerCallUsd: 0.002
operations:
  refund:
    method: POST
    path: /refunds/{returnId}
    input: { type: object, required: [amount], properties: { amount: { type: number } } }
    body: { amount: input.amount, note: '"for " + input.returnId' }
    response: '{"id": body.refund.id, "status": status}'
    success: [200, 201]
    idempotent: true
  charge: { method: POST, path: /charges }
  find:
    method: GET
    path: /refunds
    query: { customer: input.customer, page: 'input.?page' }
`;

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}
type Respond = (response: ServerResponse, call: number, seen: Seen) => void;

const json = (response: ServerResponse, status: number, body: unknown, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const ok: Respond = (response) => void json(response, 201, { refund: { id: 're-1' } });

describe('connectors', () => {
  let server: Server;
  let port: number;
  let seen: Seen[];
  let respond: Respond;
  let env: Record<string, string>;
  let connectors: Connectors;

  const create = (text = CONNECTOR, limits = '', resolve?: Resolve) => {
    const { name, body } = parseConnector(readDocument(text, 'connectors/refunds.yaml'));
    const definition: Definition = {
      kind: 'connector',
      name,
      version: 3,
      digest: 'sha256:3',
      body,
      source: text,
      createdAt: 0,
      createdBy: 'test',
    };
    return new Connectors({
      definitions: { list: () => [definition], onChange: () => () => {} },
      limits: limitsFrom(limits),
      variables: connectorVariables({ env }),
      ...(resolve ? { resolve } : {}),
    });
  };
  const refund = (
    changes: { input?: JsonObject; signal?: AbortSignal; operation?: string; key?: string } = {},
  ) =>
    connectors.call({
      connector: 'refunds',
      operation: changes.operation ?? 'refund',
      input: changes.input ?? { returnId: 'r/1', amount: 20 },
      idempotencyKey: changes.key ?? 'run_1/refund',
      signal: changes.signal,
    });

  beforeEach(async () => {
    seen = [];
    respond = ok;
    server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', url = '', headers } = request;
      const call = { method, url, headers, body };
      seen.push(call);
      respond(response, seen.length, call);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
    env = { REFUNDS_URL: `http://127.0.0.1:${port}/v1`, AIOS_SECRET_TOKEN: 's3cret-token' };
    connectors = create();
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await connectors.close();
  });

  it('send what the mappings make of the input, and answer what they make of the response', async () => {
    expect(await refund()).toEqual({
      output: { id: 're-1', status: 201 },
      status: 201,
      attempts: 1,
      costMicroUsd: 2000,
      version: 3,
      digest: 'sha256:3',
    });
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: '/v1/refunds/r%2F1',
        body: '{"amount":20,"note":"for r/1"}',
        headers: {
          authorization: 'Bearer s3cret-token',
          'idempotency-key': '"run_1/refund"',
          'content-type': 'application/json',
        },
      },
    ]);
  });

  it('put parameters into the query, leave out what is absent, and give the body as it is', async () => {
    respond = (response) => void json(response, 200, [1, 2]);
    const answer = await refund({ operation: 'find', input: { customer: 'a&b=c' } });
    expect(answer.output).toEqual([1, 2]);
    expect(seen).toMatchObject([{ method: 'GET', url: '/v1/refunds?customer=a%26b%3Dc', body: '' }]);
    respond = (response) => void response.writeHead(204).end();
    expect((await refund({ operation: 'charge', input: { any: 1 } })).output).toBe(null);
    expect(seen[1]).toMatchObject({ body: '{"any":1}' });
  });

  it('try again under the same key, and count each attempt as cost', async () => {
    respond = (response, call, at) => (call < 3 ? void json(response, 503, {}) : ok(response, call, at));
    expect(await refund()).toMatchObject({ attempts: 3, costMicroUsd: 6000 });
    expect(new Set(seen.map(({ headers }) => headers['idempotency-key']))).toEqual(
      new Set(['"run_1/refund"']),
    );
  });

  it('wait as long as Retry-After asks, and give up at once when that is too long', async () => {
    respond = (response, call, at) =>
      call === 1 ? void json(response, 429, {}, { 'retry-after': '0' }) : ok(response, call, at);
    expect(await refund({ operation: 'charge' })).toMatchObject({ attempts: 2 });
    respond = (response) => void json(response, 429, {}, { 'retry-after': '3600' });
    await expect(refund()).rejects.toMatchObject({
      code: 'connectors.failed',
      extensions: { remoteStatus: 429, retryAfterMs: 3_600_000, attempts: 1 },
    });
  });

  const silence: Respond = () => {};
  const cut: Respond = (response) => void response.destroy();
  it.each([
    ['no answer comes in time', silence],
    ['the connection is cut', cut],
  ])(
    'tell an unknown outcome when %s, and repeat only what the receiver does once',
    async (_, respondWith) => {
      respond = respondWith;
      await expect(refund({ operation: 'charge' })).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
      });
      expect(seen).toHaveLength(1);
      await expect(refund()).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
        extensions: { attempts: 3 },
      });
      expect(seen).toHaveLength(4);
    },
  );

  it('keep an outcome unknown that a later attempt did not settle', async () => {
    respond = (response, call) => {
      if (call > 1) return void json(response, 500, {});
      response.destroy();
    };
    await expect(refund()).rejects.toMatchObject({ code: 'connectors.outcome_unknown' });
    respond = (response, call) => {
      if (call > 4) return void json(response, 409, { done: 'before' });
      response.destroy();
    };
    await expect(refund()).rejects.toMatchObject({
      code: 'connectors.refused',
      extensions: { remoteStatus: 409 },
    });
  });

  it('stop when they are canceled: before sending nothing happened, after it the outcome is unknown', async () => {
    await expect(refund({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'connectors.canceled',
    });
    expect(seen).toHaveLength(0);
    const controller = new AbortController();
    respond = () => controller.abort();
    await expect(refund({ signal: controller.signal })).rejects.toMatchObject({
      code: 'connectors.outcome_unknown',
    });
    expect(seen).toHaveLength(1);
  });

  it('pause calls to a system that keeps failing, then try one', async () => {
    respond = (response) => void json(response, 500, {});
    for (let call = 0; call < 6; call++)
      await expect(refund({ operation: 'charge' })).rejects.toMatchObject({ code: 'connectors.failed' });
    await expect(refund({ operation: 'charge' })).rejects.toMatchObject({ code: 'connectors.unavailable' });
    expect(seen).toHaveLength(6);
    respond = ok;
    await expect
      .poll(() =>
        refund().then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(201);
  });

  it('are bounded: two at a time, and a queue that ends', async () => {
    await connectors.close();
    connectors = create(CONNECTOR, 'connectorQueueMax=1');
    let active = 0;
    let most = 0;
    respond = (response, call, at) => {
      most = Math.max(most, ++active);
      setTimeout(() => {
        active--;
        ok(response, call, at);
      }, 20);
    };
    const outcomes = await Promise.allSettled([refund(), refund(), refund(), refund()]);
    expect(most).toBe(2);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    expect(outcomes[3]).toMatchObject({ reason: { code: 'connectors.overloaded' } });
  });

  it('never show a secret, also when the system echoes it', async () => {
    respond = (response, _, { headers }) => void json(response, 400, { got: headers.authorization });
    const error = (await refund().catch((reason: unknown) => reason)) as AiosError;
    expect(error).toMatchObject({
      code: 'connectors.refused',
      message: expect.stringContaining('Bearer ***'),
    });
    expect(JSON.stringify(error.toProblem())).not.toContain('s3cret-token');
  });

  it('do not follow a redirect', async () => {
    respond = (response) => void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    await expect(refund()).rejects.toMatchObject({
      code: 'connectors.refused',
      message: expect.stringContaining('redirects are not followed'),
    });
  });

  describe('refuse', () => {
    const cases: [string, string, () => Promise<unknown>, string?][] = [
      [
        'a connector that does not exist',
        'connectors.unknown',
        () => connectors.call({ connector: 'none', operation: 'x', input: {}, idempotencyKey: 'k' }),
      ],
      [
        'an operation that does not exist',
        'connectors.unknown_operation',
        () => refund({ operation: 'none' }),
        'refund, charge, find',
      ],
      [
        'an input outside the schema',
        'connectors.input_invalid',
        () => refund({ input: { returnId: 'r', amount: 'x' } }),
        '/amount',
      ],
      [
        'a path without its value',
        'connectors.input_invalid',
        () => refund({ input: { amount: 1 } }),
        '/returnId',
      ],
      [
        'a value that would leave the path',
        'connectors.input_invalid',
        () => refund({ input: { returnId: '..', amount: 1 } }),
        '/returnId',
      ],
      [
        'a secret that is not set',
        'connectors.variable_unset',
        () => {
          delete env.AIOS_SECRET_TOKEN;
          return refund();
        },
        'AIOS_SECRET_TOKEN is not set',
      ],
      [
        'an address that is none',
        'connectors.variable_unset',
        () => {
          env.REFUNDS_URL = 'postgres://user:pw@db';
          return refund();
        },
        'must begin with http',
      ],
      [
        'an answer over the limit',
        'connectors.response_too_large',
        () => {
          respond = (response) => void json(response, 200, 'x'.repeat(5_000_000));
          return refund();
        },
      ],
      [
        'an answer that is no JSON',
        'connectors.response_invalid',
        () => {
          respond = (response) =>
            void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>');
          return refund();
        },
      ],
      [
        'an answer that the mapping fails on',
        'connectors.response_invalid',
        () => {
          respond = (response) => void json(response, 200, {});
          return refund();
        },
        'body.refund.id',
      ],
    ];
    it.each(cases)('%s', async (_, code, call, message = '') => {
      const error = (await (async () => call())().catch((reason: unknown) => reason)) as AiosError;
      expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
      expect(error.message).not.toContain('pw@db');
    });
  });

  describe('reach no private address', () => {
    const without = CONNECTOR.replace(/allowPrivate.*\n/, '');
    const reach = async (baseUrl: string, allow = '', resolve?: Resolve) => {
      env.REFUNDS_URL = baseUrl;
      await connectors.close();
      connectors = create(`${without}${allow}`, '', resolve);
      return refund({ operation: 'charge' });
    };
    const names: Resolve = (_, done) =>
      done(null, [
        { address: '93.184.216.34', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);

    it.each([
      '127.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '0x7f.1',
      '2130706433',
      'localhost',
      '169.254.169.254',
    ])('such as %s', async (host) => {
      await expect(reach(`http://${host}:${port}`)).rejects.toMatchObject({
        code: 'connectors.egress_refused',
      });
      expect(seen).toHaveLength(0);
    });

    it('behind a name with one public and one private address', async () => {
      await expect(reach(`http://shop.example:${port}`, '', names)).rejects.toMatchObject({
        code: 'connectors.egress_refused',
      });
    });

    it('on another port than the allowed one', async () => {
      await expect(reach(`http://127.0.0.1:${port}`, "allowPrivate: ['127.0.0.1:1']")).rejects.toMatchObject({
        code: 'connectors.egress_refused',
      });
    });

    it.each([
      ['http://127.0.0.1', '127.0.0.1'],
      ['http://shop.example', 'shop.example'],
    ])('unless it is allowed by name: %s', async (base, name) => {
      const local: Resolve = (_, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
      expect(await reach(`${base}:${port}`, `allowPrivate: ['${name}:${port}']`, local)).toMatchObject({
        status: 201,
      });
    });

    it('and tell a name that does not exist from one that is refused', async () => {
      const unknown: Resolve = (name, done) =>
        done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' }), []);
      await expect(reach(`http://none.example:${port}`, '', unknown)).rejects.toMatchObject({
        code: 'connectors.unreachable',
        extensions: { attempts: 3 },
      });
    });
  });

  it('keep calls under way when a new version comes', async () => {
    const changes: ((changed: Definition[]) => void)[] = [];
    const define = (text: string, version: number): Definition => {
      const { name, body } = parseConnector(readDocument(text, 'connectors/refunds.yaml'));
      return {
        kind: 'connector',
        name,
        version,
        digest: `${version}`,
        body,
        source: '',
        createdAt: 0,
        createdBy: '',
      };
    };
    await connectors.close();
    connectors = new Connectors({
      definitions: {
        list: () => [define(CONNECTOR, 1)],
        onChange: (listener) => {
          changes.push(listener);
          return () => {};
        },
      },
      limits: limitsFrom(''),
      variables: connectorVariables({ env }),
    });
    respond = (response, call, at) => void setTimeout(() => ok(response, call, at), 20);
    const under = refund();
    await expect.poll(() => seen.length).toBe(1);
    for (const change of changes) change([define(CONNECTOR, 2)]);
    expect([(await under).version, (await refund()).version]).toEqual([1, 2]);
  });
});

describe('a private address', () => {
  it.each([
    ['10.1.2.3', true],
    ['100.64.0.1', true],
    ['172.31.255.255', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['8.8.8.8', false],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['64:ff9b::a00:1', true],
    ['2002:a00:1::', true],
    ['fd00::1', true],
    ['fe80::1', true],
    ['2606:4700:4700::1111', false],
    ['not an address', true],
  ])('%s: %s', (address, expected) => expect(isPrivateAddress(address)).toBe(expected));
});

describe('a connector', () => {
  const operations = 'operations: { a: { method: GET, path: / } }';
  const base = `name: a\ntype: http\nbaseUrl: https://a.example\n`;
  it.each([
    [`${base}operations: { a: { method: GET, path: x } }`, '/operations/a/path', 'pattern'],
    [`${base}operations: { a: { method: GET, path: '/{a b}' } }`, '/operations/a/path', 'names no member'],
    [`${base}operations: { a: { method: GET, path: '/?q=1' } }`, '/operations/a/path', 'query'],
    [`${base}operations: { a: { method: POST, path: /, body: 'a +' } }`, '/operations/a/body', 'a +'],
    [
      `${base}operations: { a: { method: POST, path: /, body: { x: 'a +' } } }`,
      '/operations/a/body/x',
      'a +',
    ],
    [
      `${base}operations: { a: { method: GET, path: /, input: { type: banana } } }`,
      '/operations/a/input',
      'JSON Schema',
    ],
    [`${base}${operations}\nheaders: { host: x }`, '/headers/host', 'set by AIOS'],
    [`${base}${operations}\nheaders: { x: '\${env.HOME}' }`, '/headers/x', 'not allowed here'],
    [`${base}${operations}\nretries: 3`, '/retries', 'not known here'],
    [`name: a\ntype: http\nbaseUrl: ftp://a\n${operations}`, '/baseUrl', 'http://'],
    [`name: a\ntype: http\nbaseUrl: https://u:p@a.example\n${operations}`, '/baseUrl', 'credentials'],
  ])('that is wrong is refused with its place: %s', (text, path, message) => {
    try {
      parseConnector(readDocument(text, 'connectors/a.yaml'));
      expect.unreachable();
    } catch (error) {
      expect((error as AiosError).issues[0]).toMatchObject({
        path,
        file: 'connectors/a.yaml',
        line: expect.any(Number),
        message: expect.stringContaining(message),
      });
    }
  });

  it('finds secrets in the environment first, then in the file of secrets as it is now', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aios-secrets-'));
    const file = join(folder, 'secrets');
    const variables = connectorVariables({ env: { AIOS_SECRET_A: 'environment' }, file });
    expect(variables('secrets', 'B')).toBe(undefined);
    await writeFile(file, 'A=file\nB = b=1 \n');
    expect([variables('secrets', 'A'), variables('secrets', 'B')]).toEqual(['environment', 'b=1']);
    await rm(folder, { recursive: true });
  });

  it('cannot read the settings of AIOS', () => {
    const variables = connectorVariables({ env: { AIOS_ADMIN_KEY: 'k', SHOP: 's', AIOS_SECRET_A: 'a' } });
    expect([variables('env', 'AIOS_ADMIN_KEY'), variables('env', 'SHOP'), variables('secrets', 'A')]).toEqual(
      [undefined, 's', 'a'],
    );
  });
});
