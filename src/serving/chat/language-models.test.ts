import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { OpenAiServer } from '../../testing/openai-server.ts';
import { ChatUnderTest } from './chat-under-test.ts';

/** Under the load of other tests a machine takes its time. */
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 10 });
const PRICES = { inputUsdPerMillion: 2, outputUsdPerMillion: 8 };
const contentOf = (chunks: readonly JsonObject[]) =>
  (chunks as { choices: { delta?: { content?: string } }[] }[])
    .map(({ choices }) => choices[0]?.delta?.content ?? '')
    .join('');

describe('calls of language models', () => {
  let first: OpenAiServer;
  let second: OpenAiServer;
  let chat: ChatUnderTest;
  const endpoint = (server: OpenAiServer, more: JsonObject = {}): JsonObject => ({
    url: server.url,
    model: 'echo',
    prices: PRICES,
    retries: 0,
    ...more,
  });

  beforeEach(async () => {
    [first, second] = await Promise.all([OpenAiServer.start(), OpenAiServer.start()]);
    chat = new ChatUnderTest({}, { TOKEN: 'very-secret' });
  });
  afterEach(async () => {
    await chat.close();
    await Promise.all([first.stop(), second.stop()]);
  });

  describe('whose server does not answer', () => {
    it.each([
      ['is overloaded', { kind: 'status', status: 429 }],
      ['has a fault', { kind: 'status', status: 500 }],
      ['is away', { kind: 'status', status: 503 }],
      ['cuts the connection', { kind: 'cut' }],
      ['sends what is not JSON', { kind: 'raw', text: '<html>' }],
      ['says nothing', { kind: 'hang' }],
    ] as const)('are answered by the fallback when it %s, whole and streamed', async (_, behaviour) => {
      const fallbacks = [{ url: second.url, model: 'echo-2' }];
      for (const name of ['whole', 'streamed'])
        chat.define(name, endpoint(first, { fallbacks, timeoutMs: 1000 }));
      first.next(behaviour, behaviour);
      expect(await chat.text(chat.call('whole'))).toBe('Echo: hello');
      const { chunks } = await chat.models.stream(chat.call('streamed'));
      expect(contentOf(await Array.fromAsync(chunks))).toBe('Echo: hello');
      expect([first.taken().length, second.taken().length]).toEqual([2, 2]);
      expect(chat.charges.map(({ tags }) => tags.upstream)).toEqual(['echo-2', 'echo-2']);
    });

    it.each([
      [400, 'chat.refused'],
      [422, 'chat.refused'],
      [401, 'chat.misconfigured'],
      [404, 'chat.misconfigured'],
    ])('are not asked again when it refuses with %i', async (status, code) => {
      chat.define('m', endpoint(first, { fallbacks: [{ url: second.url, model: 'echo' }], retries: 3 }));
      first.next({ kind: 'status', status });
      await expect(chat.models.complete(chat.call('m'))).rejects.toMatchObject({ code });
      expect([first.taken().length, second.taken().length]).toEqual([1, 0]);
      expect(chat.charges).toEqual([]);
      expect(chat.settled).toEqual([{ tokens: 0, amountMicroUsd: 0 }]);
    });

    it('are not asked elsewhere once a token came', async () => {
      chat.define('m', endpoint(first, { fallbacks: [{ url: second.url, model: 'echo' }] }));
      const chunk = {
        id: 'c',
        choices: [{ index: 0, delta: { content: 'half of it' }, finish_reason: null }],
      };
      first.next({ kind: 'chunks', chunks: [chunk], isCut: true });
      const { chunks } = await chat.models.stream(chat.call('m'));
      await expect(Array.fromAsync(chunks)).rejects.toMatchObject({ code: 'chat.stream_cut' });
      expect(second.taken()).toHaveLength(0);
      expect(chat.charges).toMatchObject([{ tags: { estimated: true, outputTokens: 3 } }]);
    });

    it('wait as Retry-After says, and are told to wait when it is long', async () => {
      chat.define('m', endpoint(first, { retries: 1 }));
      first.next({ kind: 'status', status: 429, headers: { 'retry-after-ms': '400' } });
      const startedMs = performance.now();
      expect(await chat.text(chat.call('m'))).toBe('Echo: hello');
      expect(performance.now() - startedMs).toBeGreaterThan(395);
      first.next({ kind: 'status', status: 429, headers: { 'retry-after': '90' } });
      await expect(chat.models.complete(chat.call('m'))).rejects.toMatchObject({
        code: 'chat.upstream_limited',
        status: 429,
        extensions: { retryAfterMs: 90_000, upstreamStatus: 429 },
      });
    });

    it('go to another registered model when it is named as fallback', async () => {
      chat.define('other', endpoint(second, { fallbacks: [{ registered: 'm' }] }));
      chat.define('m', endpoint(first, { fallbacks: [{ registered: 'other' }] }));
      first.next({ kind: 'status', status: 500 });
      expect(await chat.text(chat.call('m'))).toBe('Echo: hello');
      expect(second.taken()).toHaveLength(1);
    });
  });

  it('go to the servers by weight, and to one that failed last', async () => {
    chat.define('m', endpoint(first, { weight: 3, alternatives: [{ url: second.url, model: 'echo' }] }));
    for (let i = 0; i < 60; i++) await chat.text(chat.call('m', `${i}`));
    const share = first.taken().length / 60; // 3 of 4, and 6 standard deviations around it
    expect(share).toBeGreaterThan(0.42);
    expect(share).toBeLessThan(1);
    second.taken();
    await first.stop();
    for (let i = 0; i < 20; i++) expect(await chat.text(chat.call('m', `${i}`))).toBe(`Echo: ${i}`);
    expect(second.taken()).toHaveLength(20);
    first = await OpenAiServer.start();
  });

  it('are bounded: so many at a time, so many wait, the rest is refused; who goes away leaves the queue', async () => {
    chat.define('m', endpoint(first, { concurrencyMax: 2, queueMax: 3 }));
    const gate = Promise.withResolvers<void>();
    first.next(...new Array(6).fill({ kind: 'slow', until: gate.promise }));
    const gone = new AbortController();
    const calls = Array.from({ length: 5 }, (_, i) =>
      chat.models.complete(chat.call('m', `${i}`, i === 4 ? { signal: gone.signal } : {})),
    );
    await eventually(() => expect(first.requests).toHaveLength(2));
    await expect(chat.models.complete(chat.call('m', 'one more'))).rejects.toMatchObject({
      code: 'request.overloaded',
      extensions: { limitName: 'queueMax', limit: 3 },
    });
    gone.abort();
    await expect(calls[4]).rejects.toMatchObject({ code: 'serving.canceled' });
    gate.resolve();
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual([...new Array(4).fill('fulfilled'), 'rejected']);
    expect(first.concurrentMax).toBe(2);
    expect(chat.held).toHaveLength(chat.settled.length);
  });

  it('end at their deadline, and when AIOS stops', async () => {
    chat.define('m', endpoint(first, { retries: 5 }));
    first.next({ kind: 'hang' }, { kind: 'hang' });
    await expect(chat.models.complete(chat.call('m', 'x', { deadlineMs: 3_000 }))).rejects.toMatchObject({
      code: 'serving.timeout',
    });
    const waiting = chat.models.complete(chat.call('m'));
    await eventually(() => expect(first.requests).toHaveLength(2));
    chat.models.close();
    await expect(waiting).rejects.toMatchObject({ message: 'AIOS is stopping.' });
    await eventually(() => expect(first.requests.every(({ isAborted }) => isAborted)).toBe(true));
  });

  it('end when a stream falls silent', async () => {
    chat.define('m', endpoint(first, { idleMs: 3_000 })); // its first part comes in that time, also on a busy machine
    const chunk = { id: 'c', choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }] };
    first.next({ kind: 'chunks', chunks: [chunk, chunk], pauseMs: 30_000 });
    const { chunks } = await chat.models.stream(chat.call('m'));
    await expect(Array.fromAsync(chunks)).rejects.toMatchObject({ code: 'serving.timeout' });
  });

  it('carry the credentials of their server, and no others', async () => {
    chat.define('m', endpoint(first, { secret: 'TOKEN', headers: { 'x-team': 'of $' + '{secrets.TOKEN}' } }));
    await chat.text(chat.call('m'));
    expect(first.taken()[0]?.headers).toMatchObject({
      authorization: 'Bearer very-secret',
      'x-team': 'of very-secret',
    });
    const url = `${first.url}/?api-version=7`;
    chat.define('query', endpoint(first, { url, secret: 'TOKEN' }));
    const body = { error: { message: 'Incorrect API key provided: very-secret' } };
    first.next({ kind: 'status', status: 401, body });
    await expect(chat.models.complete(chat.call('query'))).rejects.toMatchObject({
      message: '401: Incorrect API key provided: ***',
    });
    expect(first.taken()[0]?.path).toBe('/v1/chat/completions?api-version=7');
    chat.define('unset', endpoint(first, { secret: 'ABSENT' }));
    await expect(chat.models.complete(chat.call('unset'))).rejects.toMatchObject({
      code: 'chat.misconfigured',
      message: expect.stringContaining('AIOS_SECRET_ABSENT'),
    });
  });

  it('are paid by the usage that is told, else by an estimate that says so; set aside is the most', async () => {
    chat.define('m', endpoint(first, { outputTokensMax: 100 }));
    await chat.text(chat.call('m', 'hello', { request: { max_tokens: 5_000, n: 2 } }));
    expect(first.taken()[0]?.body.max_tokens).toBe(100);
    const held = chat.held[0]!;
    expect(held).toEqual({ tokens: 206, amountMicroUsd: 6 * 2 + 200 * 8 }); // 4 for the message, 2 for its 5 bytes
    expect(chat.charges[0]).toMatchObject({
      resource: 'm@1',
      quantity: 3,
      amountMicroUsd: 1 * 2 + 2 * 8,
      tags: { by: 'key:key_1', inputTokens: 1, cachedTokens: 1, outputTokens: 2, operation: 'chat' },
    });
    first.tellsUsage = false;
    const { body } = await chat.models.complete(chat.call('m', 'hello'));
    expect(body.usage).toMatchObject({ prompt_tokens: 6, completion_tokens: 3, estimated: true });
    expect(chat.charges[1]).toMatchObject({ quantity: 9, tags: { estimated: true } });
    const { chunks } = await chat.models.stream(chat.call('m', 'hello'));
    expect((await Array.fromAsync(chunks)).at(-1)?.usage).toMatchObject({
      prompt_tokens: 6,
      estimated: true,
    });
  });

  it('do not ask for usage in streams where the server would refuse', async () => {
    chat.define('m', endpoint(first, { streamUsage: false }));
    const { chunks } = await chat.models.stream(chat.call('m'));
    await Array.fromAsync(chunks);
    expect(first.taken()[0]?.body).not.toHaveProperty('stream_options');
  });

  it('wait for an equal one that is under way, and lead when it failed', async () => {
    chat.define('m', endpoint(first, { cache: { ttlMs: 60_000 } }));
    first.next({ kind: 'hang' });
    const gone = new AbortController();
    const leader = chat.models.complete(chat.call('m', 'x', { signal: gone.signal }));
    await eventually(() => expect(first.requests).toHaveLength(1));
    const followers = [1, 2, 3].map(() => chat.models.complete(chat.call('m', 'x')));
    gone.abort();
    await expect(leader).rejects.toMatchObject({ code: 'serving.canceled' });
    const answers = await Promise.all(followers);
    expect(answers.map(({ cache }) => cache).sort()).toEqual(['hit', 'hit', 'miss']);
    expect(first.taken()).toHaveLength(2);
    expect(chat.charges).toHaveLength(1);
    chat.define('never', endpoint(first, { cache: false }));
    const cold = chat.call('never', 'x', { request: { temperature: 0 } });
    expect([await chat.models.complete(cold), await chat.models.complete(cold)]).toMatchObject([
      { cache: undefined },
      { cache: undefined },
    ]);
  });

  it('that stream the same wait for each other only so long: who reads slowly holds up nobody else', async () => {
    const impatient = new ChatUnderTest({ chatSharedStreamMs: 20 });
    impatient.define('m', endpoint(first, { cache: { ttlMs: 60_000 } }));
    const same = () => impatient.models.stream(impatient.call('m', 'the same'));
    const slow = await same();
    const other = await same();
    expect([slow.cache, other.cache]).toEqual(['miss', undefined]);
    expect((await Array.fromAsync(other.chunks)).length).toBeGreaterThan(0);
    expect(first.taken()).toHaveLength(2);
    await Array.fromAsync(slow.chunks);
    expect((await same()).cache).toBe('hit');
    await impatient.close();
  });

  it('are counted against what their key may ask', async () => {
    chat.define('m', endpoint(first));
    const by = { kind: 'key', id: 'limited' };
    await expect(chat.models.complete(chat.call('m', 'x', { by }))).rejects.toMatchObject({
      code: 'serving.rate_limited',
    });
    expect([first.taken(), chat.held]).toEqual([[], []]);
  });

  it('of another kind of model are refused', async () => {
    chat.define('onnx-one', endpoint(first));
    await expect(chat.models.complete(chat.call('onnx-one'))).rejects.toMatchObject({
      code: 'chat.wrong_model',
    });
    chat.define('m', endpoint(first));
    const format = { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'nothing' } } };
    const call = chat.call('m', 'x', { request: { response_format: format } });
    await expect(chat.models.complete(call)).rejects.toMatchObject({
      code: 'request.invalid',
      issues: [{ path: '/response_format/json_schema/schema' }],
    });
  });
});
