import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Connectors } from './connectors.ts';
import {
  CONNECTOR,
  defineConnector,
  json,
  ok,
  openConnectors,
  Remote,
  type Respond,
} from './remote-under-test.ts';

describe('connectors', () => {
  let remote: Remote;
  let told: string[];
  let env: Record<string, string>;
  let connectors: Connectors;

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
    remote = new Remote();
    await remote.listen();
    env = { AIOS_VAR_REFUNDS_URL: `http://127.0.0.1:${remote.port}/v1`, AIOS_SECRET_TOKEN: 's3cret-token' };
    ({ connectors, told } = openConnectors(CONNECTOR, env));
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    remote.close();
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
    expect(remote.seen).toMatchObject([
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
    remote.respond = (response) => void json(response, 200, [1, 2]);
    const answer = await refund({ operation: 'find', input: { customer: 'a&b=c' } });
    expect(answer.output).toEqual([1, 2]);
    expect(remote.seen).toMatchObject([{ method: 'GET', url: '/v1/refunds?customer=a%26b%3Dc', body: '' }]);
    remote.respond = (response) => void response.writeHead(204).end();
    expect((await refund({ operation: 'charge', input: { any: 1 } })).output).toBe(null);
    expect(remote.seen[1]).toMatchObject({ body: '{"any":1}' });
  });

  it('answer whole numbers to the digit: one that a double would change is a text', async () => {
    remote.respond = (response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"id":9007199254740993,"even":9007199254740994,"share":0.5}');
    expect((await refund({ operation: 'find', input: { customer: 'a' } })).output).toEqual({
      id: '9007199254740993',
      even: 9007199254740994,
      share: 0.5,
    });
  });

  it('try again under the same key, and count each attempt as cost', async () => {
    remote.respond = (response, call, at) =>
      call < 3 ? void json(response, 503, {}) : ok(response, call, at);
    expect(await refund()).toMatchObject({ attempts: 3, costMicroUsd: 6000 });
    expect(new Set(remote.seen.map(({ headers }) => headers['idempotency-key']))).toEqual(
      new Set(['"run_1/refund"']),
    );
  });

  it('wait as long as Retry-After asks, and give up at once when that is too long', async () => {
    remote.respond = (response, call, at) =>
      call === 1 ? void json(response, 429, {}, { 'retry-after': '0' }) : ok(response, call, at);
    expect(await refund({ operation: 'charge' })).toMatchObject({ attempts: 2 });
    remote.respond = (response) => void json(response, 429, {}, { 'retry-after': '3600' });
    await expect(refund()).rejects.toMatchObject({
      code: 'connectors.failed',
      extensions: { remoteStatus: 429, retryAfterMs: 3_600_000, attempts: 1 },
    });
  });

  const silence: Respond = () => {};
  const HASTY = CONNECTOR.replace('timeoutMs: 5000', 'timeoutMs: 500');
  const cut: Respond = (response) => void response.destroy();
  it.each([
    ['no answer comes in time', silence, HASTY],
    ['the connection is cut', cut, CONNECTOR],
  ])(
    'tell an unknown outcome when %s, and repeat only what the receiver does once',
    async (_, respondWith, definition) => {
      await connectors.close();
      ({ connectors } = openConnectors(definition, env));
      remote.respond = respondWith;
      await expect(refund({ operation: 'charge' })).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
      });
      expect(remote.seen).toHaveLength(1);
      await expect(refund()).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
        extensions: { attempts: 3 },
      });
      expect(remote.seen).toHaveLength(4);
    },
  );

  const closed: Respond = (response) => void response.writeHead(503, { connection: 'close' }).end();
  const status =
    (code: number): Respond =>
    (response) =>
      void json(response, code, {}, code === 302 ? { location: '/' } : {});
  it.each([
    ['cut', 'a server error', cut, status(500)],
    ['cut', 'too many requests', cut, status(429)],
    ['a server error', 'too many requests', closed, status(429)],
    ['cut', 'a key in use', cut, status(409)],
    ['a server error', 'a key of another call', closed, status(422)],
    ['a server error', 'a credential that has expired', closed, status(401)],
    ['cut', 'a redirect', cut, status(302)],
  ])(
    'keep an outcome unknown when the first attempt ends with %s and the last with %s',
    async (_, __, first, last) => {
      remote.respond = (response, call, seen) => (call === 1 ? first : last)(response, call, seen);
      await expect(refund()).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
        message: expect.stringContaining('An earlier attempt may have been done'),
      });
    },
  );

  it.each([
    ['cut', cut],
    ['a server error', closed],
  ])(
    'keep an outcome unknown when the first attempt ends with %s and then the system is away',
    async (_, first) => {
      remote.respond = (response, call, seen) => {
        first(response, call, seen);
        remote.close();
      };
      await expect(refund()).rejects.toMatchObject({
        code: 'connectors.outcome_unknown',
        extensions: { attempts: 3 },
      });
      expect(remote.seen).toHaveLength(1);
      await expect(refund()).rejects.toMatchObject({ code: 'connectors.unreachable' });
    },
  );

  it('take an answer about the call itself as settling what an earlier attempt left open', async () => {
    remote.respond = (response, call, seen) => (call === 1 ? cut : status(402))(response, call, seen);
    await expect(refund()).rejects.toMatchObject({
      code: 'connectors.refused',
      extensions: { remoteStatus: 402 },
    });
  });

  it('stop when they are canceled: before sending nothing happened, after it the outcome is unknown', async () => {
    await expect(refund({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'connectors.canceled',
    });
    expect(remote.seen).toHaveLength(0);
    const controller = new AbortController();
    remote.respond = () => controller.abort();
    await expect(refund({ signal: controller.signal })).rejects.toMatchObject({
      code: 'connectors.outcome_unknown',
    });
    expect(remote.seen).toHaveLength(1);
  });

  it('pause calls to a system that keeps failing, then try one, and tell each change once', async () => {
    let nowMs = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => nowMs);
    remote.respond = (response) => void json(response, 500, { of: 'a customer' });
    for (let call = 0; call < 6; call++)
      await expect(refund({ operation: 'charge' })).rejects.toMatchObject({ code: 'connectors.failed' });
    nowMs += 49;
    await expect(refund({ operation: 'charge' })).rejects.toMatchObject({ code: 'connectors.unavailable' });
    expect(remote.seen).toHaveLength(6);
    expect(told).toEqual([
      'refunds open: 6 in a row failed, the last with connectors.failed (status 500); calls pause for 50 ms',
    ]);
    nowMs += 1;
    await expect(refund({ operation: 'charge' })).rejects.toMatchObject({ code: 'connectors.failed' });
    expect(told.slice(1)).toEqual([
      'refunds half-open: the pause is over, and one call tries whether it answers',
      'refunds open: a call that tried it failed, the last with connectors.failed (status 500); calls pause for 50 ms',
    ]);
    remote.respond = ok;
    nowMs += 50;
    expect(await refund()).toMatchObject({ status: 201 });
    expect(told.slice(3)).toEqual([
      expect.stringMatching(/^refunds half-open: /),
      'refunds closed: a call was answered',
    ]);
  });

  it('are bounded: two at a time, and a queue that ends', async () => {
    await connectors.close();
    ({ connectors } = openConnectors(CONNECTOR, env, 'connectorQueueMax=1'));
    const gate = Promise.withResolvers<void>();
    remote.respond = (response, call, at) => void gate.promise.then(() => ok(response, call, at));
    const calls = [refund(), refund(), refund(), refund()];
    await expect(calls[3]).rejects.toMatchObject({ code: 'connectors.overloaded' });
    await expect.poll(() => remote.seen).toHaveLength(2);
    await new Promise((resolve) => setTimeout(resolve, 20)); // a third would come by then, were it not held
    expect(remote.seen).toHaveLength(2);
    gate.resolve();
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  });

  it('never show a secret, also when the system echoes it', async () => {
    remote.respond = (response, _, { headers }) => void json(response, 400, { got: headers.authorization });
    const error = (await refund().catch((reason: unknown) => reason)) as AiosError;
    expect(error).toMatchObject({
      code: 'connectors.refused',
      message: expect.stringContaining('Bearer ***'),
    });
    expect(JSON.stringify(error.toProblem())).not.toContain('s3cret-token');
  });

  it('do not follow a redirect', async () => {
    remote.respond = (response) =>
      void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
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
        'a variable that is not set',
        'connectors.variable_unset',
        () => {
          delete env.AIOS_VAR_REFUNDS_URL;
          return refund();
        },
        'AIOS_VAR_REFUNDS_URL is not set',
      ],
      [
        'an address that is none',
        'connectors.variable_unset',
        () => {
          env.AIOS_VAR_REFUNDS_URL = 'postgres://user:pw@db';
          return refund();
        },
        'must begin with http',
      ],
      [
        'an answer over the limit',
        'connectors.response_too_large',
        () => {
          remote.respond = (response) => void json(response, 200, 'x'.repeat(5_000_000));
          return refund();
        },
      ],
      [
        'an answer that is not JSON',
        'connectors.response_invalid',
        () => {
          remote.respond = (response) =>
            void response.writeHead(200, { 'content-type': 'application/json' }).end('<html>');
          return refund();
        },
      ],
      [
        'an answer that the mapping fails on',
        'connectors.response_invalid',
        () => {
          remote.respond = (response) => void json(response, 200, {});
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

  it('keep calls under way when a new version comes', async () => {
    await connectors.close();
    const opened = openConnectors(CONNECTOR, env);
    connectors = opened.connectors;
    remote.respond = (response, call, at) => void setTimeout(() => ok(response, call, at), 20);
    const under = refund();
    await expect.poll(() => remote.seen.length).toBe(1);
    opened.change([defineConnector(CONNECTOR, 4)]);
    expect([(await under).version, (await refund()).version]).toEqual([3, 4]);
  });
});
