import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { ResponsesAnswer } from './responses-answer.ts';
import { chatOfResponses } from './responses-request.ts';

const chatOf = (request: JsonObject) => chatOfResponses({ model: 'm', input: 'x', ...request });

describe('a request of the Responses API', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['a text', { input: 'Hello' }, { messages: [{ role: 'user', content: 'Hello' }] }],
    [
      'parts of text alone are one text, others keep their places',
      {
        input: [
          {
            role: 'developer',
            content: [
              { type: 'input_text', text: 'a' },
              { type: 'input_text', text: 'b' },
            ],
          },
          {
            type: 'message',
            role: 'assistant',
            content: [{ type: 'output_text', text: 'c', annotations: [] }],
          },
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'see' },
              { type: 'input_image', image_url: 'data:x', detail: 'low' },
              { type: 'input_file', file_data: 'data:y', filename: 'f.pdf' },
              { type: 'input_audio', input_audio: { data: 'z', format: 'wav' } },
            ],
          },
        ],
      },
      {
        messages: [
          { role: 'system', content: 'ab' },
          { role: 'assistant', content: 'c' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'see' },
              { type: 'image_url', image_url: { url: 'data:x', detail: 'low' } },
              { type: 'file', file: { file_data: 'data:y', filename: 'f.pdf' } },
              { type: 'input_audio', input_audio: { data: 'z', format: 'wav' } },
            ],
          },
        ],
      },
    ],
    [
      'calls of one turn are one message, after what was said in it; thoughts are left out',
      {
        input: [
          { type: 'reasoning', id: 'rs', summary: [] },
          { role: 'assistant', content: 'I look.' },
          { type: 'function_call', call_id: '1', name: 'f', arguments: '{}' },
          { type: 'function_call', call_id: '2', name: 'g', arguments: '{}' },
          { type: 'function_call_output', call_id: '1', output: 'one' },
        ],
      },
      {
        messages: [
          {
            role: 'assistant',
            content: 'I look.',
            tool_calls: [
              { id: '1', type: 'function', function: { name: 'f', arguments: '{}' } },
              { id: '2', type: 'function', function: { name: 'g', arguments: '{}' } },
            ],
          },
          { role: 'tool', tool_call_id: '1', content: 'one' },
        ],
      },
    ],
    [
      'bounds, tools, formats and thinking go by the names of completions, what is not known here as it is',
      {
        max_output_tokens: 9,
        tools: [
          { type: 'function', name: 'f', description: 'd', parameters: { type: 'object' }, strict: true },
        ],
        tool_choice: { type: 'function', name: 'f' },
        text: { format: { type: 'json_schema', name: 'n', schema: {} }, verbosity: 'low' },
        reasoning: { effort: 'high', summary: 'auto' },
        include: ['message.output_text.logprobs'],
        top_logprobs: 2,
        top_k: 5,
        store: true,
        metadata: { a: 'b' },
        temperature: null,
      },
      {
        messages: [{ role: 'user', content: 'x' }],
        max_tokens: 9,
        tools: [
          {
            type: 'function',
            function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true },
          },
        ],
        tool_choice: { type: 'function', function: { name: 'f' } },
        response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } },
        verbosity: 'low',
        reasoning_effort: 'high',
        logprobs: true,
        top_logprobs: 2,
        top_k: 5,
      },
    ],
  ])('becomes a completion: %s', (_, request, chat) => {
    expect(chatOf(request)).toEqual({ model: 'm', ...chat });
  });

  it.each<[string, JsonObject, string]>([
    ['an earlier response', { previous_response_id: 'resp_1' }, '/previous_response_id'],
    ['a conversation', { conversation: 'conv_1' }, '/conversation'],
    ['a stored prompt', { prompt: { id: 'p' } }, '/prompt'],
    ['work in the background', { background: true }, '/background'],
    ['a tool that runs elsewhere', { tools: [{ type: 'web_search' }] }, '/tools/0'],
    ['a choice of such a tool', { tool_choice: { type: 'file_search' } }, '/tool_choice'],
    ['an item that was kept', { input: [{ type: 'item_reference', id: 'msg_1' }] }, '/input/0'],
    [
      'a file that was kept',
      { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] },
      '/input/0/content/0',
    ],
    ['a message of nobody', { input: [{ content: 'x' }] }, '/input/0/role'],
    ['a part that is none', { input: [{ role: 'user', content: [null] }] }, '/input/0/content/0'],
    ['a call without its id', { input: [{ type: 'function_call', name: 'f', arguments: '' }] }, '/input/0'],
    ['an output of no call', { input: [{ type: 'function_call_output', output: '' }] }, '/input/0/call_id'],
    ['thoughts alone', { input: [{ type: 'reasoning' }] }, '/input'],
    ['no input', { input: null }, '/input'],
  ])('is refused with its place: %s', (_, request, path) => {
    expect(() => chatOf(request)).toThrow(
      expect.objectContaining({ code: 'request.invalid', issues: [expect.objectContaining({ path })] }),
    );
  });
});

describe('a response', () => {
  const types = (events: JsonObject[]) => events.map(({ type }) => String(type).replace('response.', ''));
  const delta = (said: JsonObject, more: JsonObject = {}) => ({
    choices: [{ index: 0, delta: said, ...more }],
  });

  it('is told by events, which come to what the whole answer would be', () => {
    const streamed = new ResponsesAnswer({ model: 'm' });
    const events = [
      ...streamed.begin(),
      ...streamed.take(delta({ role: 'assistant', content: '', reasoning: 'hm', reasoning_content: 'hm' })),
      ...streamed.take(delta({ content: 'Hel' })),
      ...streamed.take(delta({ content: 'lo' })),
      ...streamed.take(
        delta({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '' } }] }),
      ),
      ...streamed.take(delta({ tool_calls: [{ index: 0, function: { arguments: '{}' } }] })),
      ...streamed.take(delta({}, { finish_reason: 'tool_calls' })),
      ...streamed.take({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }),
      ...streamed.end(),
    ];
    expect(types(events)).toEqual([
      ...['created', 'in_progress'],
      ...['output_item.added', 'content_part.added', 'reasoning_text.delta'],
      ...['reasoning_text.done', 'content_part.done', 'output_item.done'],
      ...['output_item.added', 'content_part.added', 'output_text.delta', 'output_text.delta'],
      ...['output_text.done', 'content_part.done', 'output_item.done'],
      ...['output_item.added', 'function_call_arguments.delta'],
      ...['function_call_arguments.done', 'output_item.done'],
      'completed',
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    // Each event is of its moment.
    expect(events[0]).toMatchObject({ response: { status: 'in_progress', output: [] } });
    expect(events[2]).toMatchObject({ item: { type: 'reasoning', content: [] } });

    const whole = new ResponsesAnswer({ model: 'm' });
    const message = {
      content: 'Hello',
      reasoning_content: 'hm',
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
    };
    whole.take({
      choices: [{ index: 0, message, finish_reason: 'tool_calls' }],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
    whole.end();
    const withoutIds = (response: JsonObject) =>
      JSON.parse(JSON.stringify(response), (name, value: Json) =>
        name === 'id' ? null : value,
      ) as JsonObject;
    expect(withoutIds(whole.response)).toEqual(withoutIds(streamed.response));
    expect(whole.response).toMatchObject({
      status: 'completed',
      output: [
        { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'hm' }] },
        { type: 'message', content: [{ type: 'output_text', text: 'Hello' }] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', status: 'completed' },
      ],
      usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    });
  });

  it.each([
    ['length', 'max_output_tokens'],
    ['content_filter', 'content_filter'],
  ])('that ends by %s is incomplete, and so is what it was writing', (finish_reason, reason) => {
    const answer = new ResponsesAnswer({ model: 'm' });
    answer.take(delta({ content: 'cut' }, { finish_reason }));
    expect(types(answer.end()).at(-1)).toBe('incomplete');
    expect(answer.response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason },
      output: [{ status: 'incomplete' }],
    });
  });

  it('of a model that refuses has a refusal, in the same message as what it said before', () => {
    const answer = new ResponsesAnswer({ model: 'm' });
    answer.take(delta({ content: 'Well, ' }));
    answer.take(delta({ refusal: 'no.' }));
    answer.end();
    expect(answer.response.output).toMatchObject([
      {
        content: [
          { type: 'output_text', text: 'Well, ' },
          { type: 'refusal', refusal: 'no.' },
        ],
      },
    ]);
  });
});
