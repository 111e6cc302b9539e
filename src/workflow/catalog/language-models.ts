import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { CallPrimitive, StepContext } from './primitive.ts';

/** A call as this room makes it; its writes (cost, budgets) are committed with the step. */
interface LanguageModelCall {
  model: string;
  request: JsonObject;
  by: { kind: string; id: string };
  signal: AbortSignal;
  step: { runId: string; stepKey: string; record(writes: readonly Write[]): void };
}

interface LanguageModelAnswer {
  body: JsonObject;
  model: string;
  version: number;
  digest: string;
}

/** What these primitives need of language models. */
export interface LanguageModelPort {
  complete(call: LanguageModelCall): Promise<LanguageModelAnswer>;
  embed(call: LanguageModelCall): Promise<LanguageModelAnswer>;
}

const model = { type: 'string', description: 'a language model of the registry: name or name@alias' };

/**
 * `call: chat:1@default`: asks a language model; `with` is a chat completion request of OpenAI's protocol. `call: embed:1@default`: embeds texts.
 *
 * Output of `chat`: `{ content, message, finishReason, usage, model, version }`, and with a `response_format` the answer itself as `value`;
 * of `embed`: `{ embeddings, usage, model, version }`, one list of numbers for each input.
 */
export function languageModelPrimitives(models: LanguageModelPort): CallPrimitive[] {
  return [
    {
      name: 'chat',
      version: 1,
      kind: 'costly',
      inputSchema: {
        type: 'object',
        properties: {
          model,
          messages: { type: 'array', minItems: 1, items: { type: 'object' } },
          stream: false,
        },
        required: ['model', 'messages'],
      },
      run: (input, context) => stepOf(input, context, (call) => models.complete(call), chatOutput),
    },
    {
      name: 'embed',
      version: 1,
      kind: 'costly',
      inputSchema: {
        type: 'object',
        properties: {
          model,
          input: { type: ['string', 'array'] },
          dimensions: { type: 'integer', minimum: 1 },
        },
        required: ['model', 'input'],
        additionalProperties: false,
      },
      run: (input, context) => stepOf(input, context, (call) => models.embed(call), embedOutput),
    },
  ];
}

async function stepOf(
  request: JsonObject,
  { workflow, runId, stepKey, signal, behalf }: StepContext,
  ask: (call: LanguageModelCall) => Promise<LanguageModelAnswer>,
  read: (body: JsonObject, request: JsonObject) => JsonObject,
) {
  const writes: Write[] = [];
  const record = (more: readonly Write[]) => void writes.push(...more);
  const answer = await ask({
    model: request.model as string,
    request,
    by: behalf?.caller ?? { kind: 'workflow', id: workflow },
    signal,
    step: { runId, stepKey, record },
  });
  const { body, model: name, version, digest } = answer;
  return {
    output: { ...read(body, request), usage: body.usage ?? null, model: name, version },
    writes,
    pins: [{ kind: 'model' as const, name, version: String(version), digest }],
  };
}

function chatOutput({ choices }: JsonObject, { response_format: format }: JsonObject): JsonObject {
  const [choice] = Array.isArray(choices) ? choices : [];
  const { message = null, finish_reason: finishReason = null } = isObject(choice) ? choice : {};
  const content = isObject(message) ? (message.content ?? null) : null;
  const isWhole = finishReason === 'stop' && typeof content === 'string';
  const isJson = isObject(format) && format.type !== 'text' && isWhole;
  return { content, message, finishReason, ...(isJson ? { value: JSON.parse(content) as Json } : {}) };
}

function embedOutput({ data }: JsonObject): JsonObject {
  return { embeddings: (data as { embedding: number[] }[]).map(({ embedding }) => embedding) };
}
