import type { Json, JsonObject } from '../api/shapes.ts';
import { count, money } from '../display/format.ts';

type Body = JsonObject | null;
const SHOWN_CHARS = 60;

/**
 * What was asked, in a line: features, tensors by their names, the last message, or the texts to embed.
 *
 * @example askedLine({ messages: [{ role: 'user', content: 'Hello' }] }) // 'Hello'
 */
export function askedLine(request: Body): string {
  if (request === null) return '';
  const { features, inputs, messages, input } = request;
  if (features !== undefined) return line(features);
  if (inputs !== undefined) return tensors(inputs);
  return Array.isArray(messages) ? said(messages.at(-1)) : line(messages ?? input);
}

/** What was answered, in a line: tensors, what the first choice says or calls, or how many vectors there are. */
export function answeredLine(answer: Body): string {
  if (answer === null) return '';
  const { outputs, choices, vectors, dimensions } = answer;
  if (outputs !== undefined) return tensors(outputs);
  if (vectors !== undefined) return `${String(vectors)} × ${String(dimensions)} numbers`;
  const [first] = Array.isArray(choices) ? choices : [];
  return isObject(first) ? said(first.message) : line(choices);
}

/**
 * Tokens and costs of a call of a language model, and which servers were asked; nothing of any other request.
 *
 * @example usageText({ usage: { inputTokens: 9, cachedTokens: 0, outputTokens: 2 }, costMicroUsd: 0, attempts: [] }) // '9 tokens read, 2 written, $0.'
 */
export function usageText({ usage, costMicroUsd, attempts, firstChunkMs }: JsonObject): string | undefined {
  if (!isObject(usage)) return undefined;
  const { inputTokens, cachedTokens, outputTokens, estimated } = usage;
  const cached =
    Number(cachedTokens) > 0 ? ` (${count(Number(cachedTokens))} of them kept by the server)` : '';
  const first =
    typeof firstChunkMs === 'number' ? ` The first words came after ${Math.round(firstChunkMs)} ms.` : '';
  const tokens = `${count(Number(inputTokens))} tokens read${cached}, ${count(Number(outputTokens))} written`;
  const asked = (Array.isArray(attempts) ? attempts : []).filter(isObject).map(attemptText);
  const servers = asked.length > 0 ? ` Asked: ${asked.join(', then ')}.` : '';
  return `${tokens}, ${money(Number(costMicroUsd ?? 0))}${estimated === true ? ' (estimated)' : ''}.${first}${servers}`;
}

function attemptText({ server, model, error }: JsonObject): string {
  return `${String(server)}/${String(model)}${typeof error === 'string' ? ` (${error})` : ''}`;
}

/** The text of a message; the tools that it calls where it has none. */
function said(message: Json | undefined): string {
  if (!isObject(message)) return line(message);
  return line(message.content ?? message.tool_calls);
}

/** Tensors by their names and elements; what is none, as it is. */
function tensors(value: Json): string {
  if (!Array.isArray(value)) return line(value);
  return line(
    Object.fromEntries(value.filter(isObject).map(({ name, data }) => [String(name), data ?? null])),
  );
}

function line(value: Json | undefined): string {
  const text = (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).replace(/\s+/g, ' ');
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS - 1)}…` : text;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
