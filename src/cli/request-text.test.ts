import { describe, expect, it } from 'vitest';
import { answeredText, askedText } from './request-text.ts';

describe('a sampled request in one line', () => {
  const call = { function: { name: 'find', arguments: '{}' } };
  it.each([
    ['features', { features: { a: 1 } }, '{"a":1}'],
    ['tensors', { inputs: [{ name: 'x' }] }, '[{"name":"x"}]'],
    ['the last message', { messages: [{ content: 'one' }, { content: 'two' }] }, 'two'],
    [
      'parts of a message',
      { messages: [{ content: [{ type: 'text', text: 'a' }] }] },
      '[{"type":"text","text":"a"}]',
    ],
    ['texts to embed', { input: ['a', 'b'] }, '["a","b"]'],
    ['what is redacted', { messages: '[redacted]' }, '[redacted]'],
    ['no messages', { messages: [] }, ''],
  ])('tells %s', (_, request, text) => {
    expect(askedText({ request, answer: null })).toBe(text);
  });

  it.each([
    ['outputs', { outputs: { total: 2 } }, '{"total":2}'],
    ['what is said', { choices: [{ message: { content: 'hello' } }] }, 'hello'],
    [
      'what is called',
      { choices: [{ message: { content: null, tool_calls: [call] } }] },
      JSON.stringify([call]),
    ],
    ['what is redacted', { choices: '[redacted]' }, '[redacted]'],
    ['vectors', { vectors: 2, dimensions: 8 }, '2 × 8 numbers'],
    ['nothing', null, ''],
  ])('tells %s as the answer', (_, answer, text) => {
    expect(answeredText({ request: {}, answer })).toBe(text);
  });
});
