import { AiosError, type Issue } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { OpenCall } from './open-call.ts';
import { faultsOf, faultsOfChoices, repairRequest } from './structured-output.ts';
import { estimateInput, estimateTokens, readUsage, type Usage, usageToJson, writtenText } from './usage.ts';

const PATH = '/chat/completions';

/**
 * A completion that keeps to its format: a model that does not is told of its faults `repairs` times; the usage is that of all tries.
 *
 * @throws AiosError `chat.output_invalid`, and those of the servers
 */
export async function completed(call: OpenCall): Promise<JsonObject> {
  const { asked, question, validator, languageModel } = call.prepared;
  let request = question;
  for (let repair = 0; ; repair++) {
    const { answer, target, attempts } = await call.ask(PATH, request);
    if (!Array.isArray(answer.choices))
      throw new AiosError('chat.upstream_failed', { detail: 'The answer has no choices.' });
    call.bill.add(readUsage(answer) ?? estimated(request, writtenText(answer)), target, attempts);
    const issues = validator ? faultsOfChoices(answer, validator) : [];
    if (issues.length === 0) return { ...answer, model: asked, usage: usageToJson(call.bill.usage) };
    if (repair === languageModel.repairs) throw new AiosError('chat.output_invalid', { issues });
    request = repairRequest(request, answer, issues);
  }
}

/**
 * The chunks of a streamed completion, the usage in one of its own at the end. The call ends with the loop over them.
 *
 * @throws AiosError from the loop: `chat.output_invalid`, `chat.stream_cut`, and those of the servers
 */
export async function streamed(call: OpenCall): Promise<AsyncGenerator<JsonObject, void>> {
  const { answer: chunks, target, attempts } = await call.stream(PATH, call.prepared.question);
  call.bill.began();
  const written = new Written();
  const charge = () =>
    call.bill.add(written.usage ?? estimated(call.prepared.question, written.text), target, attempts);
  return relayed(call, chunks, written, charge);
}

async function* relayed(
  call: OpenCall,
  chunks: AsyncIterable<JsonObject>,
  written: Written,
  charge: () => void,
): AsyncGenerator<JsonObject, void> {
  const { asked, validator } = call.prepared;
  let fault: unknown;
  let charged = false;
  try {
    for await (const chunk of chunks) {
      written.take(chunk);
      const { usage: _, ...rest } = chunk;
      if (Array.isArray(chunk.choices) && chunk.choices.length > 0) yield { ...rest, model: asked };
    }
    const issues = validator ? written.faults(validator) : [];
    if (issues.length > 0) throw new AiosError('chat.output_invalid', { issues });
    charge();
    charged = true;
    // Durable before the caller sees the end: who saw a whole answer finds it in the costs.
    await call.end();
    yield written.usageChunk(asked, usageToJson(call.bill.usage));
  } catch (error) {
    fault = error;
    throw error;
  } finally {
    if (!charged) charge();
    await call.end(fault ?? (charged ? undefined : new AiosError('serving.canceled')));
  }
}

function estimated(request: JsonObject, text: string): Usage {
  return {
    inputTokens: estimateInput(request),
    cachedTokens: 0,
    outputTokens: estimateTokens(text),
    estimated: true,
  };
}

/** What a stream has said until now. */
class Written {
  text = '';
  usage: Usage | undefined;
  #head: JsonObject = {};
  readonly #choices = new Map<number, { content: string; reason: string | undefined; isOther: boolean }>();

  take(chunk: JsonObject): void {
    this.usage = readUsage(chunk) ?? this.usage;
    const { id, created } = chunk;
    if (this.#head.id === undefined && id !== undefined) this.#head = { id, created: created ?? 0 };
    this.text += writtenText(chunk);
    for (const choice of Array.isArray(chunk.choices) ? chunk.choices : []) {
      if (!isObject(choice)) continue;
      const index = Number(choice.index ?? 0);
      const state = this.#choices.get(index) ?? { content: '', reason: undefined, isOther: false };
      this.#choices.set(index, state);
      const { delta, finish_reason: reason } = choice;
      if (typeof reason === 'string') state.reason = reason;
      if (!isObject(delta)) continue;
      if (typeof delta.content === 'string') state.content += delta.content;
      state.isOther ||= Boolean(delta.refusal) || Array.isArray(delta.tool_calls);
    }
  }

  /** Of the choices that ended by themselves. */
  faults(validator: (value: unknown) => Issue[]): Issue[] {
    return [...this.#choices].flatMap(([index, { content, reason, isOther }]) =>
      isOther || reason !== 'stop'
        ? []
        : faultsOf(content, validator).map((issue) => ({
            ...issue,
            path: `/choices/${index}/message/content${issue.path}`,
          })),
    );
  }

  usageChunk(model: string, usage: JsonObject): JsonObject {
    return { ...this.#head, object: 'chat.completion.chunk', model, choices: [], usage };
  }
}
