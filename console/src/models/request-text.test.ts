import { describe, expect, it } from 'vitest';
import { answeredLine, askedLine, usageText } from './request-text.ts';

describe('a sampled request in a line', () => {
  it.each([
    [{ features: { a: 1 } }, '{"a":1}'],
    [{ inputs: [{ name: 'x', data: [1, 2] }] }, '{"x":[1,2]}'],
    [{ messages: [{ content: 'one' }, { content: 'two\nlines' }] }, 'two lines'],
    [{ messages: '[redacted]' }, '[redacted]'],
    [{ input: ['a'] }, '["a"]'],
  ])('asks: %j', (request, text) => {
    expect(askedLine(request)).toBe(text);
  });

  it.each([
    [{ outputs: { total: 2 } }, '{"total":2}'],
    [{ outputs: [{ name: 'y', data: '[redacted]' }] }, '{"y":"[redacted]"}'],
    [{ choices: [{ message: { content: 'hello' } }] }, 'hello'],
    [{ choices: [{ message: { content: null, tool_calls: [1] } }] }, '[1]'],
    [{ choices: [] }, '[]'],
    [{ vectors: 2, dimensions: 8 }, '2 × 8 numbers'],
    [null, ''],
  ])('answers: %j', (answer, text) => {
    expect(answeredLine(answer)).toBe(text);
  });

  it('tells tokens, costs and servers of a language model, and nothing of others', () => {
    expect(usageText({ latencyMs: 3 })).toBeUndefined();
    const usage = { inputTokens: 1200, cachedTokens: 200, outputTokens: 5, estimated: true };
    const attempts = [
      { server: 'one:80', model: 'm', error: 'chat.upstream_failed' },
      { server: 'two', model: 'n', error: null },
    ];
    expect(usageText({ usage, costMicroUsd: 120_000, attempts, firstChunkMs: 12.6 })).toBe(
      '1,200 tokens read (200 of them kept by the server), 5 written, $0.12 (estimated). The first words came after 13 ms. ' +
        'Asked: one:80/m (chat.upstream_failed), then two/n.',
    );
  });
});
