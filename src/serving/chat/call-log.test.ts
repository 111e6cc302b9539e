import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { type Behaviour, OpenAiServer } from '../../testing/openai-server.ts';
import type { LoggedCall } from './call-record.ts';
import { sampleOfBody } from './call-sample.ts';
import { ChatUnderTest } from './chat-under-test.ts';
import { StreamedAnswer } from './streamed-answer.ts';

const PRICES = { inputUsdPerMillion: 2, outputUsdPerMillion: 8 };

describe('the log of calls of language models', () => {
  let first: OpenAiServer;
  let second: OpenAiServer;
  let chat: ChatUnderTest;
  const define = (
    name: string,
    log: { sample: number; redact?: string[] } | undefined,
    more: JsonObject = {},
  ) =>
    chat.define(
      name,
      {
        url: first.url,
        model: 'echo',
        prices: PRICES,
        retries: 0,
        fallbacks: [{ url: second.url, model: 'echo-2', prices: PRICES }],
        ...more,
      },
      { log },
    );
  const logged = async (count = 1): Promise<LoggedCall[]> => {
    await vi.waitFor(() => expect(chat.logged).toHaveLength(count));
    return chat.logged;
  };

  beforeEach(async () => {
    [first, second] = await Promise.all([OpenAiServer.start(), OpenAiServer.start()]);
    chat = new ChatUnderTest({ requestLogBytesMax: 2_000 });
    define('all', { sample: 1 });
  });
  afterEach(async () => {
    await chat.close();
    await Promise.all([first.stop(), second.stop()]);
  });

  it('keeps a call whole: what was asked and said, for whom, its tokens and costs, and each server that was asked', async () => {
    first.next({ kind: 'status', status: 503 });
    const step = { runId: 'run_1', stepKey: 'a', record: () => {} };
    const { body } = await chat.models.complete(chat.call('all', 'hello', { step }));
    const [call] = await logged();
    expect(call).toMatchObject({
      model: 'all',
      version: 1,
      digest: 'sha256:0',
      status: 'answered',
      cached: undefined,
      caller: { kind: 'key', id: 'key_1' },
      step: { runId: 'run_1', stepKey: 'a' },
      request: { messages: [{ role: 'user', content: 'hello' }] },
      answer: body,
      error: null,
      truncated: false,
      costMicroUsd: 18,
      further: {
        operation: 'chat',
        stream: false,
        usage: { inputTokens: 1, outputTokens: 2, estimated: false },
        attempts: [
          { server: new URL(first.url).host, model: 'echo', error: 'chat.upstream_failed' },
          { server: new URL(second.url).host, model: 'echo-2', error: null },
        ],
      },
    });
    expect(call?.costMicroUsd).toBeGreaterThan(0);
    expect(call?.latencyMs).toBeGreaterThan(0);
  });

  it('keeps what is asked for and nothing by default', async () => {
    define('none', undefined);
    define('never', { sample: 0 });
    for (const name of ['none', 'never', 'all']) await chat.models.complete(chat.call(name));
    expect((await logged()).map(({ model }) => model)).toEqual(['all']);
  });

  it('keeps an answer of the cache at no cost, and a call that failed with its error', async () => {
    const question = chat.call('all', 'hello', { request: { temperature: 0 } });
    await chat.models.complete(question);
    await chat.models.complete(question);
    for (const server of [first, second]) server.next({ kind: 'status', status: 500 });
    await expect(chat.models.complete(chat.call('all', 'other'))).rejects.toThrow();
    const [, hit, failed] = await logged(3);
    expect(hit).toMatchObject({
      status: 'answered',
      cached: 'hit',
      costMicroUsd: 0,
      further: { attempts: [] },
    });
    expect(failed).toMatchObject({
      status: 'failed',
      answer: null,
      error: { code: 'chat.upstream_failed', detail: expect.stringContaining('500') },
    });
  });

  const content = (text: string) => ({
    choices: [{ index: 0, delta: { content: text }, finish_reason: null }],
  });
  const stop = { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] };
  const plan = (chunks: JsonObject[], more: Partial<Behaviour> = {}) =>
    first.next({ kind: 'chunks', chunks, ...more } as Behaviour);

  it('keeps a stream as one answer, when it ends', async () => {
    plan([content('Hel'), content('lo'), stop]);
    await Array.fromAsync((await chat.models.stream(chat.call('all'))).chunks);
    const [call] = await logged();
    expect(call).toMatchObject({
      status: 'answered',
      answer: { choices: [{ message: { content: 'Hello' }, finish_reason: 'stop' }], usage: {} },
      further: { firstChunkMs: expect.any(Number) },
    });
    expect(call?.costMicroUsd).toBe(chat.charges[0]?.amountMicroUsd);
  });

  it('keeps what a stream said until it was cut, or its caller left', async () => {
    plan([content('Hel'), content('lo')], { isCut: true });
    await expect(Array.fromAsync((await chat.models.stream(chat.call('all'))).chunks)).rejects.toThrow();
    plan([content('Hel'), content('lo'), stop], { pauseMs: 20 });
    for await (const _ of (await chat.models.stream(chat.call('all'))).chunks) break;
    const [cut, left] = await logged(2);
    expect(cut).toMatchObject({
      status: 'failed',
      answer: { choices: [{ message: { content: 'Hello' }, finish_reason: null }] },
      error: { code: 'chat.stream_cut' },
    });
    expect(left).toMatchObject({
      status: 'failed',
      answer: { choices: [{ message: { content: 'Hel' } }] },
      error: { code: 'serving.canceled' },
    });
  });

  it('tells of embeddings how many and how long they are', async () => {
    define('vectors', { sample: 1 }, { task: 'embeddings', model: 'vectors' });
    await chat.models.embed(chat.call('vectors', '', { request: { input: ['a', 'b'] } }));
    const [call] = await logged();
    expect(call).toMatchObject({ request: { input: ['a', 'b'] }, answer: { vectors: 2, dimensions: 8 } });
    expect(call?.answer).not.toHaveProperty('data');
  });

  it('has what is redacted nowhere, also where an error would quote it', async () => {
    define('quiet', { sample: 1, redact: ['content'] });
    await chat.models.complete(chat.call('quiet', 'a secret'));
    for (const server of [first, second])
      server.next({ kind: 'status', status: 500, body: { error: { message: 'no: a secret' } } });
    await expect(chat.models.complete(chat.call('quiet', 'a secret'))).rejects.toThrow();
    const calls = await logged(2);
    expect(JSON.stringify(calls)).not.toContain('secret');
    expect(calls[1]).toMatchObject({ redacted: ['content'], error: { code: 'chat.upstream_failed' } });
  });
});

describe('what is kept of a body', () => {
  const body = {
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'one' }] },
      { role: 'assistant', tool_calls: [{ function: { name: 'find', arguments: '{"id":7}' } }] },
    ],
    content: 'two',
  };
  it.each([
    [['arguments'], '"arguments":"[redacted]"', '{"id":7}'],
    [['tool_calls.arguments'], '"arguments":"[redacted]"', '{"id":7}'],
    [['messages'], '"messages":"[redacted]","content":"two"', 'one'],
    [['messages.content'], '"content":"[redacted]"},', 'one'],
  ])('is all but %j', (redact, told, hidden) => {
    const text = JSON.stringify(sampleOfBody(body, redact, 10_000).body);
    expect(text).toContain(told);
    expect(text).not.toContain(hidden);
  });

  it('is what is under a name where it stands under it, and no more', () => {
    expect(sampleOfBody(body, ['arguments.tool_calls', 'content.messages', 'text.content'], 10_000)).toEqual({
      body,
      truncated: false,
    });
  });

  it('is bounded, and says so', () => {
    const long = { messages: [{ content: 'x'.repeat(5_000) }, { content: 'later' }], model: 'm' };
    const { body: kept, truncated } = sampleOfBody(long, [], 1_000);
    expect(JSON.stringify(kept).length).toBeLessThan(1_100);
    expect(truncated).toBe(true);
    const url = `data:image/png;base64,${'A'.repeat(50_000)}`;
    const picture = sampleOfBody({ image_url: { url }, text: 'after' }, [], 1_000);
    expect(picture).toMatchObject({
      body: {
        image_url: { url: expect.stringMatching(/^data:image\/png;base64,A+… \(50022 characters\)$/) },
        text: 'after',
      },
      truncated: true,
    });
  });
});

describe('the answer that chunks add up to', () => {
  it('has the calls of tools with their arguments, by their index, for each choice', () => {
    const answer = new StreamedAnswer();
    const call = (index: number, part: JsonObject) =>
      answer.take({ id: 'x', choices: [{ index: 1, delta: { tool_calls: [{ index, ...part }] } }] });
    answer.take({
      id: 'x',
      created: 3,
      model: 'm',
      choices: [{ index: 0, delta: { role: 'assistant', content: null } }],
    });
    call(0, { id: 'a', type: 'function', function: { name: 'find', arguments: '{"q":' } });
    call(0, { id: 'a', function: { arguments: '1}' } });
    call(1, { id: 'b', function: { name: 'stop', arguments: '' } });
    call(1_000_000_000, { id: 'far' });
    call(-1, { id: 'before' });
    answer.take({ choices: [{ index: 1, delta: {}, finish_reason: 'tool_calls' }] });
    answer.take({ choices: [], usage: { total_tokens: 3 } });
    expect(answer.toJson()).toEqual({
      id: 'x',
      created: 3,
      model: 'm',
      choices: [
        { index: 0, message: { role: 'assistant', content: null }, finish_reason: null },
        {
          index: 1,
          message: {
            tool_calls: [
              { id: 'a', type: 'function', function: { name: 'find', arguments: '{"q":1}' } },
              { id: 'b', function: { name: 'stop', arguments: '' } },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { total_tokens: 3 },
    });
  });

  it('reaches no prototype', () => {
    const answer = new StreamedAnswer();
    const delta = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    ) as JsonObject;
    answer.take({ choices: [{ index: 0, delta }] });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
