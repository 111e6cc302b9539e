import { expect, it } from 'vitest';
import { describeOpenAi } from './openai-under-test.ts';

const ask = (content: string) => ({ model: 'assistant', messages: [{ role: 'user' as const, content }] });

describeOpenAi('the helpers of the stock npm client of OpenAI', { assistant: { model: 'echo' } }, (stock) => {
  const called: string[] = [];
  const weather = {
    type: 'function' as const,
    function: {
      name: 'weather',
      description: 'The weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
      parse: (text: string) => JSON.parse(text) as { city: string },
      function: ({ city }: { city: string }) => {
        called.push(city);
        return `rain in ${city}`;
      },
    },
  };

  it.each([false, true])('run tools until there is an answer (streamed: %s)', async (isStreamed) => {
    called.length = 0;
    const request = { ...ask('weather?'), tools: [weather] };
    const runner = isStreamed
      ? stock.client.chat.completions.runTools({ ...request, stream: true })
      : stock.client.chat.completions.runTools(request);
    expect(await runner.finalContent()).toBe('Echo: rain in Paris');
    expect(called).toEqual(['Paris']);
  });

  it('put a stream together that is held to a schema; what does not fit is told with the place in the answer', async () => {
    const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } };
    const request = {
      ...ask('a number'),
      response_format: {
        type: 'json_schema' as const,
        json_schema: { name: 'number', strict: true, schema },
      },
    };
    stock.upstream.next({ kind: 'content', content: '{"n":4}' });
    const stream = stock.client.chat.completions.stream(request);
    const deltas: string[] = [];
    stream.on('content.delta', ({ delta }) => void deltas.push(delta));
    expect(await stream.finalContent()).toBe('{"n":4}');
    expect(deltas.join('')).toBe('{"n":4}');
    stock.upstream.next({ kind: 'content', content: '{"n":"four"}' });
    await expect(stock.client.chat.completions.stream(request).finalContent()).rejects.toMatchObject({
      code: 'chat.output_invalid',
      message: expect.stringContaining('/choices/0/message/content/n: must be integer'),
    });
  });

  it('ask each page of the models, and read a stream as one of the web and again as a stream of the client', async () => {
    const listed = await Array.fromAsync(stock.client.models.list());
    expect(listed.map(({ id }) => id)).toEqual(['assistant', 'assistant@champion']);
    const stream = await stock.client.chat.completions.create({ ...ask('a b'), stream: true });
    const { ChatCompletionStream } = await import('openai/lib/ChatCompletionStream');
    const again = ChatCompletionStream.fromReadableStream(stream.toReadableStream());
    expect(await again.finalContent()).toBe('Echo: a b');
  });
});
