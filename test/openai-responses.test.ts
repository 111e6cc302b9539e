import { expect, it } from 'vitest';
import { describeOpenAi, eventually } from './openai-under-test.ts';

const tools = ['weather', 'time'].map((name) => ({
  type: 'function' as const,
  name,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: false,
}));

const MODELS = {
  assistant: { model: 'echo', prices: { inputUsdPerMillion: 1, outputUsdPerMillion: 4 } },
};

describeOpenAi(
  'the stock npm client of OpenAI asks a server of completions for responses',
  MODELS,
  (stock) => {
    it('and gets them with their usage, the version that answered, and a cost entry', async () => {
      stock.upstream.taken();
      const asked = { model: 'assistant', instructions: 'Be brief.', input: 'Hello there', temperature: 0.5 };
      const { data, response } = await stock.client.responses.create(asked).withResponse();
      expect(data.output_text).toBe('Echo: Hello there');
      expect(data).toMatchObject({ status: 'completed', model: 'assistant', store: false, temperature: 0.5 });
      expect(data.usage).toMatchObject({ output_tokens: 3, input_tokens_details: { cached_tokens: 1 } });
      expect(response.headers.get('x-aios-model')).toBe('assistant@1');
      expect(stock.upstream.taken()[0]).toMatchObject({
        path: '/v1/chat/completions',
        body: { temperature: 0.5, messages: [{ role: 'system' }, { role: 'user', content: 'Hello there' }] },
      });
      const { body } = await stock.aios.api('GET', '/api/v1/costs?groupBy=resource');
      expect(body.items).toMatchObject([{ key: 'assistant@1' }]);
    });

    it('streamed, with all events that its helper puts together', async () => {
      const stream = stock.client.responses.stream({ model: 'assistant', input: 'a b' });
      const types: string[] = [];
      for await (const { type } of stream) types.push(type);
      expect(types.filter((type) => type === 'response.output_text.delta')).toHaveLength(3);
      expect(types.at(-1)).toBe('response.completed');
      const final = await stream.finalResponse();
      expect(final.output_text).toBe('Echo: a b');
      expect(final.usage?.output_tokens).toBe(3);
    });

    it('calls tools, several at once, and sends back what they gave', async () => {
      const first = await stock.client.responses.create({ model: 'assistant', input: 'weather?', tools });
      const calls = first.output.filter((item) => item.type === 'function_call');
      expect(calls.map(({ name, arguments: made }) => [name, made])).toEqual([
        ['weather', '{"city":"Paris"}'],
        ['time', '{"city":"Paris"}'],
      ]);
      const streamed = await stock.client.responses
        .stream({ model: 'assistant', input: 'weather?', tools })
        .finalResponse();
      expect(streamed.output).toMatchObject([{ arguments: '{"city":"Paris"}' }, { name: 'time' }]);
      stock.upstream.taken();
      const done = await stock.client.responses.create({
        model: 'assistant',
        input: [
          { role: 'user', content: 'weather?' },
          ...first.output.filter((item) => item.type === 'function_call'),
          ...calls.map(({ call_id }) => ({
            type: 'function_call_output' as const,
            call_id,
            output: 'sunny',
          })),
        ],
      });
      expect(done.output_text).toBe('Echo: sunny');
      expect(stock.upstream.taken()[0]!.body.messages).toMatchObject([
        { role: 'user' },
        { role: 'assistant', tool_calls: [{ id: 'call_0' }, { id: 'call_1' }] },
        { role: 'tool', tool_call_id: 'call_0', content: 'sunny' },
        { role: 'tool', tool_call_id: 'call_1' },
      ]);
    });

    it('gets JSON that is held to its schema, repaired once', async () => {
      stock.upstream.next({ kind: 'content', content: 'three' }, { kind: 'content', content: '{"n":3}' });
      const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } };
      const format = { type: 'json_schema' as const, name: 'number', schema, strict: true };
      const answer = await stock.client.responses.create({
        model: 'assistant',
        input: 'x',
        text: { format },
      });
      expect(JSON.parse(answer.output_text)).toEqual({ n: 3 });
    });

    it('is told what needs a server that keeps responses, and which model there is not', async () => {
      await expect(
        stock.client.responses.create({ model: 'assistant', input: 'x', previous_response_id: 'resp_1' }),
      ).rejects.toMatchObject({ status: 400, param: 'previous_response_id' });
      await expect(stock.client.responses.create({ model: 'nobody', input: 'x' })).rejects.toMatchObject({
        status: 404,
        code: 'models.unknown_model',
      });
      await expect(stock.client.responses.retrieve('resp_1')).rejects.toMatchObject({ status: 404 });
    });

    it('is told of a stream that was cut by the last event', async () => {
      const chunk = {
        id: 'c',
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'half' } }],
      };
      stock.upstream.next({ kind: 'chunks', chunks: [chunk], isCut: true });
      const events = await Array.fromAsync(
        await stock.client.responses.create({ model: 'assistant', input: 'cut', stream: true }),
      );
      expect(events.at(-1)).toMatchObject({
        type: 'response.failed',
        response: {
          status: 'failed',
          error: { code: 'chat.stream_cut' },
          output: [{ content: [{ text: 'half' }] }],
        },
      });
    });

    it('ends the request to the server when it goes away', async () => {
      const chunk = { id: 'c', choices: [{ index: 0, delta: { content: 'word ' } }] };
      stock.upstream.taken();
      stock.upstream.next({ kind: 'chunks', chunks: Array.from({ length: 500 }, () => chunk), pauseMs: 20 });
      const stream = await stock.client.responses.create({ model: 'assistant', input: 'long', stream: true });
      for await (const { type } of stream) if (type === 'response.output_text.delta') break;
      await eventually(() => expect(stock.upstream.requests[0]?.isAborted).toBe(true));
    });
  },
);
