import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { OpenCall } from './open-call.ts';
import { estimateInput, NO_USAGE, readUsage, usageToJson } from './usage.ts';

/** The inputs of a request, one by one: texts, or lists of token ids. */
export function inputsOf({ input }: JsonObject): readonly (string | readonly number[])[] {
  if (!Array.isArray(input)) return [input as string];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
}

/**
 * Embeddings of all inputs, asked for in parts of `batchMax`. Numbers are asked for, whatever the caller wants: not every server knows base64.
 *
 * @throws AiosError `chat.upstream_failed`, `chat.refused` when the server does not keep to `dimensions`, and those of the servers
 */
export async function embedded(call: OpenCall): Promise<JsonObject> {
  const { asked, question, languageModel } = call.prepared;
  const inputs = inputsOf(question);
  const vectors: number[][] = [];
  for (let from = 0; from < inputs.length; from += languageModel.batchMax) {
    const input = inputs.slice(from, from + languageModel.batchMax) as Json[];
    const request = { ...question, input, encoding_format: 'float' };
    const { answer, target, attempts } = await call.ask('/embeddings', request);
    const told = readUsage(answer);
    const usage = told ?? { ...NO_USAGE, inputTokens: estimateInput({ input }), estimated: true };
    call.bill.add(usage, target, attempts);
    vectors.push(...vectorsOf(answer, input.length));
  }
  checkDimensions(vectors, question.dimensions);
  return embeddingsToJson(vectors, asked, usageToJson(call.bill.usage));
}

/** The vectors of an answer, in the order of the inputs. */
function vectorsOf({ data }: JsonObject, count: number): number[][] {
  const vectors: number[][] = new Array(count);
  for (const [position, entry] of (Array.isArray(data) ? data : []).entries()) {
    const { index = position, embedding } = isObject(entry) ? entry : {};
    if (Array.isArray(embedding)) vectors[Number(index)] = embedding as number[];
  }
  for (let index = 0; index < count; index++)
    if (vectors[index] === undefined || vectors.length !== count)
      throw new AiosError('chat.upstream_failed', {
        detail: `The server gave other embeddings than for ${count} inputs.`,
      });
  return vectors;
}

export function checkDimensions(vectors: readonly (readonly number[])[], wanted: Json | undefined): void {
  const size = vectors[0]?.length;
  if (typeof wanted !== 'number' || size === wanted) return;
  throw new AiosError('chat.refused', {
    detail: `The model gives ${size} dimensions and cannot be asked for ${wanted}.`,
    extensions: { param: 'dimensions' },
  });
}

export function embeddingsToJson(
  vectors: readonly (readonly number[])[],
  model: string,
  usage: JsonObject,
): JsonObject {
  const { prompt_tokens, total_tokens, estimated } = usage;
  return {
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding: [...embedding] })),
    model,
    usage: { prompt_tokens, total_tokens, ...(estimated ? { estimated } : {}) } as JsonObject,
  };
}

/**
 * The same answer with each vector as base64 of its little-endian 32-bit floats, as OpenAI's clients ask for it.
 *
 * @example embeddingsAsBase64({ data: [{ embedding: [1] }] }) // { data: [{ embedding: 'AACAPw==' }] }
 */
export function embeddingsAsBase64(answer: JsonObject): JsonObject {
  const data = (answer.data as JsonObject[]).map((entry) => {
    const vector = entry.embedding as number[];
    const bytes = Buffer.allocUnsafe(vector.length * 4);
    for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
    return { ...entry, embedding: bytes.toString('base64') };
  });
  return { ...answer, data };
}
