import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { LanguageModel, Target } from './endpoint.ts';
import { estimateInput, priceOf } from './usage.ts';

const count = { type: ['integer', 'null'], minimum: 1 };
const flag = { type: ['boolean', 'null'] };

/** Only what this door itself goes by: the rest of the protocol is for the server of the model to judge. */
const checkChat = compileSchema({
  type: 'object',
  required: ['messages'],
  properties: {
    messages: {
      type: 'array',
      minItems: 1,
      items: { type: 'object', required: ['role'], properties: { role: { type: 'string' } } },
    },
    n: { type: ['integer', 'null'], minimum: 1, maximum: 128 },
    max_tokens: count,
    max_completion_tokens: count,
    temperature: { type: ['number', 'null'] },
    stream: flag,
    stream_options: { type: ['object', 'null'], properties: { include_usage: flag } },
    response_format: { type: ['object', 'null'] },
    tools: { type: ['array', 'null'], items: { type: 'object' } },
  },
} as unknown as JsonObject);

const text = { type: 'string', minLength: 1 };
const tokens = { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0 } };
const checkEmbeddings = compileSchema({
  type: 'object',
  required: ['input'],
  properties: {
    input: {
      anyOf: [
        text,
        tokens,
        { type: 'array', minItems: 1, items: text },
        { type: 'array', minItems: 1, items: tokens },
      ],
    },
    encoding_format: { enum: ['float', 'base64', null] },
    dimensions: count,
  },
} as unknown as JsonObject);

/**
 * @throws AiosError `request.invalid`
 * @example checkRequest('chat', { messages: [{ role: 'user', content: 'Hello' }] })
 */
export function checkRequest(task: LanguageModel['task'], request: JsonObject): void {
  const issues = (task === 'chat' ? checkChat : checkEmbeddings)(request);
  if (issues.length > 0) throw new AiosError('request.invalid', { issues });
}

/** What is sent on: without the members that this door answers itself, and no more tokens than the model may write. */
export function questionOf(request: JsonObject, { outputTokensMax }: LanguageModel): JsonObject {
  const { model: _, stream: __, stream_options: ___, ...question } = request;
  if (outputTokensMax === undefined) return question;
  const member = question.max_completion_tokens == null ? 'max_tokens' : 'max_completion_tokens';
  const wanted = question[member];
  question[member] = typeof wanted === 'number' ? Math.min(wanted, outputTokensMax) : outputTokensMax;
  return question;
}

/** The most that a request can use, and cost at the dearest of its servers: what budgets set aside for it. */
export function mostOf(
  question: JsonObject,
  task: LanguageModel['task'],
  targets: readonly Target[],
  outputTokensMax: number,
): { tokens: number; amountMicroUsd: number } {
  const { n, max_completion_tokens: newer, max_tokens: older } = question;
  const choices = typeof n === 'number' ? n : 1;
  const asked = newer ?? older;
  const outputTokens = task === 'chat' ? choices * (typeof asked === 'number' ? asked : outputTokensMax) : 0;
  const inputTokens = estimateInput(question);
  const usage = { inputTokens, outputTokens, cachedTokens: 0, estimated: true };
  return {
    tokens: inputTokens + outputTokens,
    amountMicroUsd: Math.max(0, ...targets.map(({ prices }) => priceOf(usage, prices))),
  };
}
