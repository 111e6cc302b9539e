import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { MicroUsd } from '../../kernel/money.ts';
import type { Prices } from './endpoint.ts';

/** Tokens of one call. */
export interface Usage {
  readonly inputTokens: number;
  /** Of the input, those that the server had kept from before. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** True when the server told no usage and it was counted by `estimateTokens`. */
  readonly estimated: boolean;
}

export const NO_USAGE: Usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, estimated: false };

const BYTES_PER_TOKEN = 4; // English prose: 4.2 to 4.6 with common vocabularies of 50,000 to 200,000 tokens; code and other scripts fewer
const TOKENS_PER_MESSAGE = 4; // the role and the marks around it

/**
 * About how many tokens a text has: one for each four bytes of its UTF-8, rounded up. Within a third for prose; no vocabulary is known here.
 *
 * @example estimateTokens('Hello, world') // 3
 */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN);
}

/** About how many tokens a request has: its messages or inputs, its tools and its schema. Token ids count as themselves. */
export function estimateInput({ messages, input, tools, response_format: format }: JsonObject): number {
  let tokens = 0;
  if (Array.isArray(messages))
    for (const message of messages) tokens += TOKENS_PER_MESSAGE + estimateTokens(textOf(message));
  if (input !== undefined) tokens += estimateOfInput(input);
  for (const extra of [tools, format]) if (extra != null) tokens += estimateTokens(JSON.stringify(extra));
  return tokens;
}

function estimateOfInput(input: Json): number {
  if (typeof input === 'string') return estimateTokens(input);
  if (typeof input === 'number') return 1;
  return Array.isArray(input) ? input.reduce<number>((sum, one) => sum + estimateOfInput(one), 0) : 0;
}

/** The text in a message; pictures and sounds in it are not text, and count as their reference alone. */
function textOf(message: Json): string {
  if (!isObject(message)) return '';
  const { content, tool_calls: calls } = message;
  const parts = Array.isArray(content)
    ? content.map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : '')).join('')
    : (content ?? '');
  return `${parts}${calls === undefined ? '' : JSON.stringify(calls)}`;
}

/** What a model wrote, as one text to be counted; of a message or of a delta of one. */
export function writtenText({ choices }: JsonObject): string {
  if (!Array.isArray(choices)) return '';
  let text = '';
  for (const choice of choices) {
    const said = isObject(choice) ? (choice.delta ?? choice.message) : undefined;
    if (!isObject(said)) continue;
    for (const member of ['content', 'refusal', 'reasoning_content', 'reasoning'])
      if (typeof said[member] === 'string') text += said[member];
    if (!Array.isArray(said.tool_calls)) continue;
    for (const call of said.tool_calls) {
      const made = isObject(call) ? call.function : undefined;
      if (isObject(made)) text += `${made.name ?? ''}${made.arguments ?? ''}`;
    }
  }
  return text;
}

/**
 * The usage that a server told; undefined when it told none.
 *
 * @example readUsage({ usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } })?.outputTokens // 2
 */
export function readUsage({ usage }: JsonObject): Usage | undefined {
  if (!isObject(usage) || typeof usage.prompt_tokens !== 'number') return undefined;
  const { prompt_tokens: inputTokens, completion_tokens: output, prompt_tokens_details: details } = usage;
  const cached = isObject(details) ? Number(details.cached_tokens ?? 0) : 0;
  const outputTokens = typeof output === 'number' ? output : 0;
  return { inputTokens, cachedTokens: Math.min(cached, inputTokens), outputTokens, estimated: false };
}

/** Usage as OpenAI's protocol shows it; an estimate says so. */
export function usageToJson({ inputTokens, cachedTokens, outputTokens, estimated }: Usage): JsonObject {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    ...(estimated ? { estimated: true } : {}),
  };
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    cachedTokens: a.cachedTokens + b.cachedTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    estimated: a.estimated || b.estimated,
  };
}

/**
 * What tokens cost, rounded up to a whole millionth of a dollar.
 *
 * @example priceOf({ inputTokens: 1000, cachedTokens: 0, outputTokens: 100, estimated: false }, { inputUsdPerMillion: 0.5, outputUsdPerMillion: 1.5 }) // 650
 */
export function priceOf({ inputTokens, cachedTokens, outputTokens }: Usage, prices: Prices): MicroUsd {
  const { inputUsdPerMillion: input = 0, outputUsdPerMillion: output = 0 } = prices;
  const cached = prices.cachedInputUsdPerMillion ?? input;
  // A dollar per million tokens is a millionth of a dollar per token.
  return Math.ceil((inputTokens - cachedTokens) * input + cachedTokens * cached + outputTokens * output);
}
