import type OpenAI from 'openai';
import { expect, it } from 'vitest';
import type { Json } from '../src/kernel/json.ts';
import { describeOpenAi, eventually } from './openai-under-test.ts';

const modelYaml = (url: string, price: number, more = '') => `
name: from-project
runtime: openai
${more}
endpoint:
  url: ${url}
  model: echo
  prices: { inputUsdPerMillion: ${price} }
`;

const quotaOf = (headers: Headers, unit = 'requests') =>
  ['limit', 'remaining', 'reset'].map((what) => headers.get(`x-ratelimit-${what}-${unit}`));

const MODELS = { hostile: { model: 'echo' }, 'hostile-vectors': { model: 'vectors', task: 'embeddings' } };

describeOpenAi('language models in operation', MODELS, (stock) => {
  const ask = (model: string, more: object = {}) =>
    stock.client.chat.completions
      .create({ model, messages: [{ role: 'user', content: 'hello' }], ...more })
      .withResponse();

  it('come with a project; another price is another version, which an alias takes', async () => {
    const apply = (price: number) =>
      stock.aios.api('POST', '/api/v1/apply', {
        files: [{ path: 'models/from-project/model.yaml', text: modelYaml(stock.upstream.url, price) }],
      });
    expect((await apply(1)).status).toBe(200);
    expect((await ask('from-project')).response.headers.get('x-aios-model')).toBe('from-project@1');
    expect((await apply(2)).status).toBe(200);
    await stock.aios.api('PUT', '/api/v1/models/from-project/aliases/candidate', { version: 2 });
    const { data, response } = await ask('from-project@candidate');
    expect([data.model, response.headers.get('x-aios-model')]).toEqual([
      'from-project@candidate',
      'from-project@2',
    ]);
    expect(await stock.client.models.retrieve('from-project@2')).toMatchObject({
      id: 'from-project@2',
      version: 2,
    });
    await expect(stock.client.models.retrieve('from-project@3')).rejects.toMatchObject({ status: 404 });
    expect((await ask('from-project@2')).response.headers.get('x-aios-model')).toBe('from-project@2');
  });

  it('are bounded for each key by the rate of their definition, and their costs are told by who asked', async () => {
    const text = modelYaml(stock.upstream.url, 2, 'serving: { rateLimit: { perSecond: 0.01, burst: 2 } }');
    await stock.aios.api('POST', '/api/v1/apply', {
      files: [{ path: 'models/from-project/model.yaml', text }],
    });
    const { request_id: requestId, response } = await ask('from-project');
    expect(quotaOf(response.headers)).toEqual(['2', '1', expect.stringMatching(/^1m\d+s$/)]);
    expect(response.headers.get('ratelimit-policy')).toBe('"requests";q=2;w=200');
    expect(requestId).toMatch(/^req_/);
    const streamed = await ask('from-project', { stream: true });
    expect(quotaOf(streamed.response.headers)).toEqual(['2', '0', expect.stringMatching(/^3m\d+s$/)]);
    expect(streamed.response.headers.get('x-request-id')).toMatch(/^req_/);
    for await (const _ of streamed.data as unknown as AsyncIterable<unknown>);
    const refused = (await ask('from-project').catch((error: unknown) => error)) as InstanceType<
      typeof OpenAI.APIError
    >;
    expect(refused).toMatchObject({ status: 429, code: 'serving.rate_limited' });
    expect(refused.requestID).toMatch(/^req_/);
    expect(quotaOf(refused.headers!)).toEqual(['2', '0', expect.stringMatching(/^3m\d+s$/)]);
    expect(refused.headers!.get('ratelimit')).toMatch(/^"requests";r=0;t=\d+$/);
    expect(Number(refused.headers!.get('retry-after'))).toBeGreaterThan(90);
    const { body } = await stock.aios.api('GET', '/api/v1/costs?groupBy=by');
    expect(body.items).toMatchObject([{ key: expect.stringMatching(/^key:key_/) }]);
  });

  it('are sampled for the request log as their definition says, with audit entries', async () => {
    const text = modelYaml(
      stock.upstream.url,
      2,
      'serving: { log: { sample: 1, redact: [messages.content] } }',
    );
    const files = [{ path: 'models/from-project/model.yaml', text }];
    expect((await stock.aios.api('POST', '/api/v1/apply', { files })).status).toBe(200);
    const { response } = await ask('from-project');
    const stream = await stock.client.chat.completions.create({
      model: 'from-project',
      messages: [{ role: 'user', content: 'streamed' }],
      stream: true,
    });
    for await (const _ of stream);
    await eventually(async () => {
      const { body } = await stock.aios.api('GET', '/api/v1/models/from-project/requests');
      const told = { status: 'answered', usage: { inputTokens: 1 }, attempts: [{ model: 'echo' }] };
      const message = (content: string) => ({ choices: [{ message: { content } }] });
      const [version] = response.headers.get('x-aios-model')!.split('@').slice(-1);
      expect(body.items).toMatchObject([
        { ...told, stream: true, answer: message('Echo: streamed') },
        { ...told, stream: false, version: Number(version), answer: message('Echo: hello') },
      ]);
      const requests = (body.items as { request: Json }[]).map(({ request }) => JSON.stringify(request));
      for (const request of requests) expect(request).toContain('"content":"[redacted]"');
      const { body: audited } = await stock.aios.api('GET', '/api/v1/audit/entries?kind=inference');
      const objects = (audited.items as { object: string }[]).map(({ object }) => object);
      for (const { auditObject } of body.items as { auditObject: string }[])
        expect(objects).toContain(auditObject);
    });
  });

  it('are tried by rollouts: a user keeps the version, and what it does is counted', async () => {
    await stock.aios.register('tried', { url: stock.upstream.url, model: 'echo', retries: 0 });
    const second = {
      runtime: 'openai',
      endpoint: { url: stock.upstream.url, model: 'echo-2', retries: 0 },
    };
    await stock.aios.api('POST', '/api/v1/models/tried/versions', second);
    const plan = { challenger: 2, kind: 'canary', steps: [{ percent: 50 }] };
    const started = await stock.aios.api('POST', '/api/v1/models/tried/rollouts', plan);
    expect([started.status, started.body]).toMatchObject([201, { status: 'running' }]);
    const versionOf = async (user: string, more: object = {}) =>
      (await ask('tried', { user, ...more })).response.headers.get('x-aios-model');
    await eventually(async () => {
      const versions = new Set<string | null>();
      for (let i = 0; i < 12; i++) versions.add(await versionOf(`user-${i}`));
      expect([...versions].sort()).toEqual(['tried@1', 'tried@2']);
    });
    const users = Array.from({ length: 20 }, (_, i) => `user-${i}`);
    const first = await Promise.all(users.map((user) => versionOf(user)));
    expect(await Promise.all(users.map((user) => versionOf(user, { temperature: 0.5 })))).toEqual(first);
    stock.upstream.next({ kind: 'status', status: 500 });
    await expect(versionOf(users[first.indexOf('tried@2')]!)).rejects.toMatchObject({
      code: 'chat.upstream_failed',
    });
    await eventually(async () => {
      const { body } = await stock.aios.api('GET', '/api/v1/models/tried/rollouts');
      const [{ id }] = body.items as [{ id: string }];
      const report = await stock.aios.api('GET', `/api/v1/models/tried/rollouts/${id}`);
      expect(JSON.stringify(report.body)).toMatch(/"challenger":\{"requests":\d+,"errors":1/);
    });
  });

  it.each([
    ['no JSON', 'POST', '/v1/chat/completions', '{', 400, 'request.malformed'],
    ['a list', 'POST', '/v1/chat/completions', '[]', 400, 'request.invalid'],
    ['no model', 'POST', '/v1/chat/completions', '{"messages":[]}', 400, 'request.invalid'],
    [
      'a model that is not a text',
      'POST',
      '/v1/embeddings',
      '{"model":{},"input":"x"}',
      400,
      'request.invalid',
    ],
    ['no input', 'POST', '/v1/embeddings', '{"model":"hostile-vectors","input":[]}', 400, 'request.invalid'],
    [
      'a mixed input',
      'POST',
      '/v1/embeddings',
      '{"model":"hostile-vectors","input":["a",1]}',
      400,
      'request.invalid',
    ],
    [
      'very many choices',
      'POST',
      '/v1/chat/completions',
      '{"model":"hostile","n":1e9,"messages":[{"role":"user"}]}',
      400,
      'request.invalid',
    ],
    [
      'another kind of stream',
      'POST',
      '/v1/chat/completions',
      '{"model":"hostile","stream":"yes","messages":[{"role":"user"}]}',
      400,
      'request.invalid',
    ],
    [
      'a prototype',
      'POST',
      '/v1/chat/completions',
      '{"model":"hostile","__proto__":{"n":9},"messages":[{"role":"user"}]}',
      400,
      'request.malformed',
    ],
    ['a model named @', 'POST', '/v1/embeddings', '{"model":"@","input":"x"}', 404, 'models.unknown_model'],
    ['a path that is not there', 'POST', '/v1/completions', '{}', 404, 'request.not_found'],
    ['a model that is not there', 'GET', '/v1/models/%40%40', undefined, 404, 'models.unknown_model'],
  ])('are asked %s: an error in the shape of the protocol', async (_, method, path, body, status, code) => {
    const response = await fetch(`${stock.aios.app.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${stock.aios.apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });
    const { error } = (await response.json()) as { error: Record<string, string> };
    expect([response.status, error.code]).toEqual([status, code]);
    expect(Object.keys(error)).toEqual(expect.arrayContaining(['message', 'type', 'param', 'code']));
  });

  it('say when to come back where their server says it, as a rate limit or as a failure', async () => {
    const headers = { 'retry-after': '90' };
    const failure = async (status: number) => {
      stock.upstream.next({ kind: 'status', status, headers });
      const error = (await ask('hostile').catch((thrown: unknown) => thrown)) as InstanceType<
        typeof OpenAI.APIError
      >;
      return [error.status, error.code, error.headers?.get('retry-after')];
    };
    expect(await failure(429)).toEqual([429, 'chat.upstream_limited', '90']);
    expect(await failure(500)).toEqual([502, 'chat.upstream_failed', '90']);
  });

  it('say what is left of a limit with an error that comes after it, too', async () => {
    const text = modelYaml(stock.upstream.url, 2, 'serving: { rateLimit: { perSecond: 0.01, burst: 9 } }');
    await stock.aios.api('POST', '/api/v1/apply', {
      files: [{ path: 'models/from-project/model.yaml', text }],
    });
    stock.upstream.next({ kind: 'status', status: 400 });
    const error = (await ask('from-project', { seed: 4 }).catch((thrown: unknown) => thrown)) as InstanceType<
      typeof OpenAI.APIError
    >;
    expect([error.status, error.headers!.get('x-ratelimit-limit-requests')]).toEqual([400, '9']);
    expect(error.headers!.get('ratelimit')).toMatch(/^"requests";r=\d;t=\d+$/);
  });

  it.each(['soon', '-1', '0', ''])('refuse a deadline that is not a time: “%s”', async (deadline) => {
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const headers = { 'x-aios-deadline-ms': deadline };
    const asked = stock.client.chat.completions.create({ model: 'hostile', messages }, { headers });
    await expect(asked).rejects.toMatchObject({ status: 400, code: 'request.invalid' });
  });

  it('are not asked with tensors', async () => {
    const { status, body } = await stock.aios.api('POST', '/v2/models/hostile/infer', { inputs: [] });
    expect([status, body]).toMatchObject([400, { code: 'serving.no_tensors' }]);
  });

  it('are measured by the names of the GenAI conventions', async () => {
    await stock.aios.register('measured', { url: stock.upstream.url, model: 'echo' });
    await ask('measured');
    const { data } = await ask('measured', { stream: true });
    for await (const _ of data as unknown as AsyncIterable<unknown>);
    await eventually(async () => {
      const text = await (await fetch(`${stock.aios.app.url}/metrics`)).text();
      const lines = text.split('\n').filter((line) => line.includes('gen_ai_request_model="measured"'));
      const found = (name: string, label = '') =>
        lines.find((line) => line.startsWith(name) && line.includes(label))?.split(' ')[1];
      expect(found('gen_ai_client_token_usage_sum', 'gen_ai_token_type="output"')).toBe('4');
      expect(found('gen_ai_client_operation_duration_count')).toBe('2');
      expect(found('gen_ai_client_operation_time_to_first_chunk_count')).toBe('1');
      expect(lines[0]).toContain('gen_ai_response_model="echo"');
    });
  });
});
