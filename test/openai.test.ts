import OpenAI from 'openai';
import { expect, it, vi } from 'vitest';
import { runCli } from '../src/cli/program.ts';
import { onnxModel } from '../src/testing/onnx.ts';
import { type Aios, describeOpenAi, eventually } from './openai-under-test.ts';

const PRICES = { inputUsdPerMillion: 1, cachedInputUsdPerMillion: 0.5, outputUsdPerMillion: 4 };
const ask = (content: string) => ({ model: 'assistant', messages: [{ role: 'user' as const, content }] });
const tool = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
});

const MODELS = {
  assistant: { model: 'echo', prices: PRICES },
  vectors: { model: 'vectors', task: 'embeddings', batchMax: 3 },
};

describeOpenAi('the stock npm client of OpenAI', MODELS, (stock) => {
  it('gets a completion, its usage, and the version that answered', async () => {
    const { data, response } = await stock.client.chat.completions.create(ask('Hello there')).withResponse();
    expect(data.choices[0]?.message.content).toBe('Echo: Hello there');
    expect(data.model).toBe('assistant');
    expect(data.usage?.completion_tokens).toBe(3);
    expect(data.usage?.prompt_tokens_details?.cached_tokens).toBe(1);
    expect(response.headers.get('x-aios-model')).toBe('assistant@1');
  });

  it('passes on what is not of this door: seed, stop, n, log probabilities', async () => {
    stock.upstream.taken();
    const answer = await stock.client.chat.completions.create({
      ...ask('one STOP two'),
      seed: 7,
      stop: 'STOP',
      n: 2,
      logprobs: true,
    });
    expect(answer.choices.map(({ message }) => message.content)).toEqual(['Echo: one ', 'Echo: one ']);
    expect(answer.choices[1]?.logprobs?.content?.[0]?.logprob).toBe(-0.5);
    expect(stock.upstream.taken()[0]?.body).toMatchObject({ model: 'echo', seed: 7, n: 2, stop: 'STOP' });
  });

  it('streams, and gets the usage when it asks for it', async () => {
    const stream = await stock.client.chat.completions.create({
      ...ask('a b c'),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Echo: a b c');
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 4 });
    const without = await stock.client.chat.completions.create({ ...ask('a b c'), stream: true });
    for await (const chunk of without) expect(chunk.usage).toBeFalsy();
  });

  it('calls tools, several at once, whole and streamed', async () => {
    const request = {
      ...ask('weather?'),
      tools: [tool('weather'), tool('time')],
      parallel_tool_calls: true,
    };
    const answer = await stock.client.chat.completions.create(request);
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    const calls = answer.choices[0]!.message.tool_calls!;
    expect(calls.map((call) => call.type === 'function' && call.function.name)).toEqual(['weather', 'time']);
    const final = await stock.client.chat.completions.stream(request).finalChatCompletion();
    expect(final.choices[0]!.message.tool_calls).toMatchObject([
      { function: { name: 'weather', arguments: '{"city":"Paris"}' } },
      { function: { name: 'time', arguments: '{"city":"Paris"}' } },
    ]);
    const done = await stock.client.chat.completions.create({
      ...request,
      messages: [
        ...request.messages,
        answer.choices[0]!.message,
        { role: 'tool', tool_call_id: 'call_0', content: 'rain' },
      ],
    });
    expect(done.choices[0]?.message.content).toBe('Echo: rain');
  });

  it('gets structured output: held to its schema, repaired once, else an error by name', async () => {
    const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } };
    const request = {
      ...ask('a number'),
      response_format: { type: 'json_schema' as const, json_schema: { name: 'number', schema } },
    };
    stock.upstream.taken();
    stock.upstream.next(
      { kind: 'content', content: '{"n":"four"}' },
      { kind: 'content', content: '{"n":4}' },
    );
    const parsed = await stock.client.chat.completions.parse(request);
    expect(parsed.choices[0]?.message.content).toBe('{"n":4}');
    const [, repair] = stock.upstream.taken();
    expect(JSON.stringify(repair?.body.messages)).toContain('/choices/0/message/content/n');
    stock.upstream.next({ kind: 'content', content: 'no' }, { kind: 'content', content: 'still no' });
    await expect(stock.client.chat.completions.create(request)).rejects.toMatchObject({
      status: 502,
      code: 'chat.output_invalid',
    });
    const object = {
      ...ask('x'),
      response_format: { type: 'json_object' as const },
      stream: true as const,
    };
    stock.upstream.next({ kind: 'content', content: '[1]' });
    await expect(Array.fromAsync(await stock.client.chat.completions.create(object))).rejects.toMatchObject({
      code: 'chat.output_invalid',
    });
  });

  it('gets embeddings as it asks for them by default (base64), as numbers, in parts, in order', async () => {
    stock.upstream.taken();
    const texts = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'];
    const binary = await stock.client.embeddings.create({ model: 'vectors', input: texts });
    const numbers = await stock.client.embeddings.create({
      model: 'vectors',
      input: texts,
      encoding_format: 'float',
    });
    expect(stock.upstream.taken().map(({ body }) => (body.input as string[]).length)).toEqual([3, 3, 1]); // the second came from the cache
    expect(binary.data.map(({ embedding }) => Array.from(embedding))).toEqual(
      numbers.data.map(({ embedding }) => embedding),
    );
    const alone = await stock.client.embeddings.create({
      model: 'vectors',
      input: 'eta',
      encoding_format: 'float',
    });
    expect(alone.data[0]?.embedding).toEqual(numbers.data[6]?.embedding);
    const short = await stock.client.embeddings.create({ model: 'vectors', input: 'eta', dimensions: 4 });
    expect(short.data[0]?.embedding).toHaveLength(4);
    expect(binary.usage.prompt_tokens).toBe(7);
  });

  it('gets embeddings of an ONNX model by token ids', async () => {
    const ids = (name: string) => ({ name, datatype: 'INT64' as const, shape: ['rows', 'tokens'] });
    const onnx = onnxModel({
      inputs: [ids('input_ids'), ids('attention_mask')],
      outputs: [{ name: 'last_hidden_state', datatype: 'FP32', shape: ['rows', 'tokens', 2] }],
      constants: { axes: { shape: [1], data: BigInt64Array.of(2n) } },
      nodes: [
        { op: 'Cast', inputs: ['input_ids'], outputs: ['a'], attributes: { to: 1 } },
        { op: 'Cast', inputs: ['attention_mask'], outputs: ['b'], attributes: { to: 1 } },
        { op: 'Unsqueeze', inputs: ['a', 'axes'], outputs: ['c'] },
        { op: 'Unsqueeze', inputs: ['b', 'axes'], outputs: ['d'] },
        { op: 'Concat', inputs: ['c', 'd'], outputs: ['last_hidden_state'], attributes: { axis: 2 } },
      ],
    });
    const onnxBase64 = Buffer.from(onnx).toString('base64');
    await stock.aios.api('POST', '/api/v1/models/tokens/versions', { onnxBase64 });
    await stock.aios.api('PUT', '/api/v1/models/tokens/aliases/champion', { version: 1 });
    const input = [[1, 2, 3], [0], [4, 2]];
    const answer = await stock.client.embeddings.create({
      model: 'tokens',
      input,
      encoding_format: 'float',
    });
    const unit = (x: number, y: number) => [x / Math.hypot(x, y), y / Math.hypot(x, y)];
    expect(answer.data.map(({ embedding }) => embedding)).toEqual([unit(6, 3), unit(0, 1), unit(6, 2)]);
    expect(answer.usage.prompt_tokens).toBe(6);
    await expect(stock.client.embeddings.create({ model: 'tokens', input: 'a text' })).rejects.toMatchObject({
      code: 'chat.wrong_model',
    });
  });

  it('lists the models', async () => {
    const ids = (await Array.fromAsync(stock.client.models.list())).map(({ id }) => id);
    expect(ids).toEqual([
      'assistant',
      'assistant@champion',
      'tokens',
      'tokens@champion',
      'vectors',
      'vectors@champion',
    ]);
    expect(await stock.client.models.retrieve('assistant')).toMatchObject({
      id: 'assistant',
      owned_by: 'aios',
    });
    expect(
      await stock.client.chat.completions.create({ ...ask('x'), model: 'assistant@champion' }),
    ).toBeTruthy();
  });

  it('gets its own errors', async () => {
    const other = new OpenAI({ baseURL: stock.aios.baseURL, apiKey: 'wrong', maxRetries: 0 });
    await expect(other.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const unknown = stock.client.chat.completions.create({ ...ask('x'), model: 'nobody' });
    await expect(unknown).rejects.toMatchObject({
      status: 404,
      code: 'models.unknown_model',
      param: 'model',
    });
    await expect(stock.client.models.retrieve('nobody')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(stock.client.completions.create({ model: 'assistant', prompt: 'x' })).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('POST /v1/chat/completions'),
    });
    await expect(
      stock.client.chat.completions.create({ model: 'assistant', messages: [] }),
    ).rejects.toMatchObject({
      status: 400,
      code: 'request.invalid',
      param: 'messages',
      type: 'invalid_request_error',
    });
    const wrong = stock.client.embeddings.create({ model: 'assistant', input: 'x' });
    await expect(wrong).rejects.toMatchObject({ status: 400, code: 'chat.wrong_model' });
    stock.upstream.next({
      kind: 'status',
      status: 400,
      body: { error: { message: 'too long', param: 'messages' } },
    });
    await expect(stock.client.chat.completions.create(ask('x'))).rejects.toMatchObject({
      status: 400,
      code: 'chat.refused',
      param: 'messages',
      message: expect.stringContaining('too long'),
    });
  });

  it('is told of a stream that was cut, with what came before it', async () => {
    const chunk = { id: 'c', choices: [{ index: 0, delta: { content: 'half' }, finish_reason: null }] };
    stock.upstream.next({ kind: 'chunks', chunks: [chunk], isCut: true });
    const stream = await stock.client.chat.completions.create({ ...ask('x'), stream: true });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { choices } of stream) seen.push(choices[0]?.delta.content ?? '');
    })();
    await expect(reading).rejects.toMatchObject({ code: 'chat.stream_cut' });
    expect(seen).toEqual(['half']);
  });

  it('ends the request to the server when it goes away, before and in the answer', async () => {
    stock.upstream.taken();
    stock.upstream.next({ kind: 'hang' });
    const gone = new AbortController();
    const waiting = stock.client.chat.completions.create(ask('x'), { signal: gone.signal });
    await eventually(() => expect(stock.upstream.requests).toHaveLength(1));
    gone.abort();
    await expect(waiting).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await eventually(() => expect(stock.upstream.requests[0]?.isAborted).toBe(true));
    const chunk = { id: 'c', choices: [{ index: 0, delta: { content: 'on ' }, finish_reason: null }] };
    stock.upstream.next({ kind: 'chunks', chunks: new Array(2_000).fill(chunk), pauseMs: 10 });
    const stream = await stock.client.chat.completions.create({ ...ask('x'), stream: true });
    for await (const _ of stream) break;
    await eventually(() => expect(stock.upstream.requests[1]?.isAborted).toBe(true));
  });

  it('gives the same answer again at temperature 0, at no cost and marked', async () => {
    stock.upstream.taken();
    const request = { ...ask('again'), temperature: 0 };
    const both = await Promise.all(
      [1, 2, 3].map(() => stock.client.chat.completions.create(request).asResponse()),
    );
    expect(both.map(({ headers }) => headers.get('x-aios-cache')).sort()).toEqual(['hit', 'hit', 'miss']);
    const streamed = { ...request, stream: true as const };
    const first = await Array.fromAsync(await stock.client.chat.completions.create(streamed));
    const second = await stock.client.chat.completions.create(streamed).withResponse();
    expect(await Array.fromAsync(second.data)).toEqual(first);
    expect(second.response.headers.get('x-aios-cache')).toBe('hit');
    expect(stock.upstream.taken()).toHaveLength(2);
    const fresh = stock.client.chat.completions.create(request, {
      headers: { 'cache-control': 'no-cache' },
    });
    expect((await fresh.asResponse()).headers.get('x-aios-cache')).toBeNull();
  });

  it('shares its models with flows, whose steps commit what they cost', async () => {
    const flow = `
document: { dsl: '1.0.0', namespace: test, name: asking, version: '1.0.0' }
evaluate: { language: cel }
do:
  - ask:
      call: chat:1@default
      with:
        model: assistant
        messages: [ { role: user, content: '\${ input.question }' } ]
        response_format: { type: json_object }
      output: { as: '\${ {"value": output.value, "usage": output.usage} }' }
      export: { as: '\${ {"asked": output} }' }
  - vectors:
      call: embed:1@default
      with: { model: vectors, input: [ a, b ] }
      output: { as: '\${ {"asked": context.asked, "count": size(output.embeddings), "version": output.version} }' }
`;
    const files = [{ path: 'workflows/asking.yaml', text: flow }];
    expect((await stock.aios.api('POST', '/api/v1/apply', { files })).status).toBe(200);
    stock.upstream.next({ kind: 'content', content: '{"colour":"red"}' });
    const { body } = await stock.aios.api('POST', '/api/v1/workflows/asking/runs?wait=30s', {
      input: { question: 'which colour?' },
    });
    expect(body.output).toMatchObject({
      asked: { value: { colour: 'red' }, usage: { completion_tokens: 1 } },
      count: 2,
      version: 1,
    });
    const costs = await stock.aios.app.stations.costs.ofRun(String(body.runId ?? body.id));
    expect(costs.map(({ service, resource, unit }) => [service, resource, unit])).toEqual([
      ['language-model', 'assistant@1', 'tokens'],
      ['language-model', 'vectors@1', 'tokens'],
    ]);
  });

  it('pays for each call, and is refused by name when a budget is used up', async () => {
    const before = await spent(stock.aios);
    await stock.client.chat.completions.create(ask('one two three'));
    const after = await spent(stock.aios);
    // Words of the request as JSON: 3, one of them cached; 4 words written.
    expect(after - before).toBe(Math.ceil(2 * 1 + 0.5 + 4 * 4));
    const set = { scope: 'model', subject: 'assistant', period: 'month', tokensMax: 5 };
    const { status, body } = await stock.aios.api('PUT', '/api/v1/budgets/few', set);
    expect([status, body]).toMatchObject([200, { tokensMax: 5, uses: [] }]);
    const { response } = await stock.client.chat.completions.create(ask('one two three')).withResponse();
    const left = ['limit', 'remaining', 'reset'].map((what) =>
      response.headers.get(`x-ratelimit-${what}-tokens`),
    );
    // What it may use at most is more than the whole budget, and the month ends in so many hours.
    expect(left).toEqual(['5', '0', expect.stringMatching(/^(\d+h)?\d+m\d+s$/)]);
    expect(response.headers.get('ratelimit-policy')).toMatch(/^"few";q=5;w=\d+;qu="tokens"$/);
    expect(response.headers.has('x-ratelimit-limit-requests')).toBe(false);
    const refused = stock.client.chat.completions.create(ask('one two three'), { maxRetries: 5 });
    await expect(refused).rejects.toMatchObject({
      status: 429,
      code: 'budgets.exceeded',
      type: 'insufficient_quota',
      message: expect.stringContaining('“few”'),
    });
    const listed = await stock.aios.api('GET', '/api/v1/budgets');
    expect(listed.body.items).toMatchObject([{ uses: [{ tokens: 7, reservedTokens: 0 }] }]);
    expect((await stock.aios.api('DELETE', '/api/v1/budgets/few')).body).toEqual({
      name: 'few',
      removed: true,
    });
    expect((await stock.aios.api('DELETE', '/api/v1/budgets/few')).status).toBe(404);
    await eventually(async () => {
      const entries = await stock.aios.api('GET', '/api/v1/audit/entries?object=budget:few');
      const actions = (entries.body.items as { action: string }[]).map(({ action }) => action);
      expect(actions).toEqual(['removed', 'set']);
    });
  });

  it('aios budgets sets, shows and ends them', async () => {
    const written: string[] = [];
    const write = vi
      .spyOn(process.stdout, 'write')
      .mockImplementation((text) => written.push(String(text)) > 0);
    try {
      const cli = (...args: string[]) =>
        runCli(['--url', stock.aios.app.url, '--key', stock.aios.apiKey, ...args], async () => 1);
      const set = ['budgets', 'team', '--tokens', '5000', '--usd', '2.5', '--for-key', 'each'];
      expect(await cli(...set, '--period', 'day')).toBe(0);
      expect(written.splice(0).join('')).toMatch(/team\s+key \*\s+day\s+0 of 5000\s+\$0.00 of \$2.50/);
      expect(await cli('budgets', 'team', '--remove')).toBe(0);
      expect(written.splice(0).join('')).toBe('nothing\n');
      expect(await cli('budgets', 'team')).toBe(1);
      expect(await cli('budgets', 'x', '--tokens', '1', '--for-key', 'a', '--for-model', 'b')).toBe(1);
    } finally {
      write.mockRestore();
    }
  });

  it('is told why a language model is not kept, and asks one that is behind another AIOS', async () => {
    try {
      const absent = stock.aios.register('absent', { url: 'http://127.0.0.1:9/v1', model: 'echo' });
      await expect(absent).rejects.toThrow('models.endpoint_unavailable');
      stock.upstream.next({ kind: 'status', status: 404, body: { error: { message: 'no model nobody' } } });
      const unknown = stock.aios.register('unknown', { url: stock.upstream.url, model: 'nobody' });
      await expect(unknown).rejects.toThrow('no model nobody');
      await expect(stock.aios.register('wrong', { url: stock.upstream.url })).rejects.toThrow('/endpoint');
      const outside = { url: 'http://10.0.0.1/v1', model: 'echo' };
      await expect(stock.aios.register('outside', outside)).rejects.toThrow('private address');
      await stock.aios.register('inner', { url: stock.upstream.url, model: 'echo' });
      process.env.AIOS_SECRET_INNER = stock.aios.apiKey;
      await stock.aios.register('outer', { url: stock.aios.baseURL, model: 'inner', secret: 'INNER' });
      const request = { model: 'outer', messages: [{ role: 'user' as const, content: 'through two' }] };
      const answer = await stock.client.chat.completions.create(request);
      expect(answer.choices[0]?.message.content).toBe('Echo: through two');
      const chunks = await Array.fromAsync(
        await stock.client.chat.completions.create({ ...request, stream: true }),
      );
      expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Echo: through two');
    } finally {
      delete process.env.AIOS_SECRET_INNER;
    }
  });
});

async function spent(aios: Aios): Promise<number> {
  const { body } = await aios.api('GET', '/api/v1/costs?groupBy=service');
  const items = body.items as { key: string; amountMicroUsd: number }[];
  return items.find(({ key }) => key === 'language-model')?.amountMicroUsd ?? 0;
}
