import { newId } from '../../kernel/ids.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';

/** A text that is being written: what its events are called, and its part of an item. */
interface Writing {
  readonly item: JsonObject;
  readonly part: JsonObject;
  /** The member of the part, and of the event that ends it, that has the text. */
  readonly member: 'text' | 'refusal';
  /** Of its events: `response.output_text` of `response.output_text.delta`. */
  readonly event: string;
}

/** By the members of a chat completion's message, or of a delta of one. */
const WRITINGS = {
  reasoning_content: {
    item: 'reasoning',
    part: 'reasoning_text',
    member: 'text',
    event: 'response.reasoning_text',
  },
  content: { item: 'message', part: 'output_text', member: 'text', event: 'response.output_text' },
  refusal: { item: 'message', part: 'refusal', member: 'refusal', event: 'response.refusal' },
} as const;
/** Members of the request that its response shows, with what they are when left out. */
const SHOWN = {
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: true,
  reasoning: { effort: null, summary: null },
  temperature: null,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_p: null,
  user: null,
} as const;
/** Why an answer is not whole, by the reason that a chat completion ends with. */
const INCOMPLETE: Readonly<Record<string, string>> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

/**
 * A response of the Responses API, out of a chat completion or its chunks: each gives the events of the stream, and `response` is the answer until then.
 *
 * @example const answer = new ResponsesAnswer(request); answer.take({ choices: [{ delta: { content: 'Hello' } }] }); answer.end() // [… 'response.completed']
 */
export class ResponsesAnswer {
  readonly response: JsonObject;
  readonly #base = newId('inf').slice('inf_'.length);
  readonly #items: JsonObject[] = [];
  /** By the index of the call in the completion. */
  readonly #calls = new Map<number, JsonObject>();
  #writing: Writing | undefined;
  #events: JsonObject[] = [];
  #sequence = 0;
  #reason: string | undefined;

  constructor(request: JsonObject) {
    const shown = Object.entries(SHOWN).map(([name, absent]) => [name, request[name] ?? absent] as const);
    this.response = {
      id: `resp_${this.#base}`,
      object: 'response',
      created_at: Math.floor(Date.now() / 1000),
      status: 'in_progress',
      model: request.model!,
      output: this.#items,
      error: null,
      incomplete_details: null,
      ...(Object.fromEntries(shown) as JsonObject),
      // What is asked for on top of that is not done: see `chatOfResponses`.
      ...{ background: false, previous_response_id: null, store: false, truncation: 'disabled', usage: null },
    };
  }

  /** The first events of a stream. */
  begin(): JsonObject[] {
    this.#tell('response.created', { response: this.#snapshot() });
    this.#tell('response.in_progress', { response: this.#snapshot() });
    return this.#told();
  }

  /** Of a completion, or of a chunk of one. */
  take({ choices, usage }: JsonObject): JsonObject[] {
    if (isObject(usage)) this.response.usage = usageOf(usage);
    const [choice] = Array.isArray(choices) ? choices : [];
    if (isObject(choice)) this.#take(choice);
    return this.#told();
  }

  /** The last events: of the items that are not done yet, and of the response. */
  end(): JsonObject[] {
    const cut = this.#reason === undefined ? undefined : INCOMPLETE[this.#reason];
    const status = cut ? 'incomplete' : 'completed';
    this.#close(status);
    for (const item of this.#calls.values()) this.#callDone(item, status);
    this.response.status = status;
    if (cut) this.response.incomplete_details = { reason: cut };
    this.#tell(`response.${status}`, { response: this.#snapshot() });
    return this.#told();
  }

  /** The last events of a stream that ended by an error. */
  fail({ code, message }: { readonly code: string; readonly message: string }): JsonObject[] {
    this.response.status = 'failed';
    this.response.error = { code, message };
    this.#tell('response.failed', { response: this.#snapshot() });
    return this.#told();
  }

  #take({ delta, message, finish_reason: reason, logprobs }: JsonObject): void {
    if (typeof reason === 'string') this.#reason = reason;
    const said = isObject(delta) ? delta : isObject(message) ? message : {};
    // Some servers send what a model thinks under both names at once.
    const { reasoning, ...rest } = said;
    const named: JsonObject = said.reasoning_content
      ? rest
      : { reasoning_content: reasoning ?? null, ...rest };
    for (const name of Object.keys(WRITINGS) as (keyof typeof WRITINGS)[]) {
      const text = named[name];
      if (typeof text === 'string' && text !== '') this.#write(name, text, logprobs);
    }
    for (const [position, call] of (Array.isArray(said.tool_calls) ? said.tool_calls : []).entries())
      if (isObject(call)) this.#call(call, Number(call.index ?? position));
  }

  #write(name: keyof typeof WRITINGS, text: string, logprobs: Json | undefined): void {
    const { event, member, ...kind } = WRITINGS[name];
    if (this.#writing?.event !== event) this.#open(kind, member, event);
    const { item, part } = this.#writing!;
    part[member] = `${part[member]}${text}`;
    const more: JsonObject = {};
    if (kind.part === 'output_text') {
      const told = isObject(logprobs) && Array.isArray(logprobs.content) ? logprobs.content : [];
      (part.logprobs as Json[]).push(...told);
      more.logprobs = told;
    }
    this.#tell(`${event}.delta`, { ...this.#placeOf(item), ...partOf(item), delta: text, ...more });
  }

  /** A part of its own: in the item that is open, when that is of its kind, or in a new one. */
  #open(kind: { item: string; part: string }, member: Writing['member'], event: string): void {
    const open = this.#writing?.item;
    if (open && open.type === kind.item) this.#partDone();
    else this.#close('completed');
    const item = open?.type === kind.item ? open : this.#added(itemOf(kind.item, this.#idOf(kind.item)));
    const extra = kind.part === 'output_text' ? { annotations: [], logprobs: [] } : {};
    const part: JsonObject = { type: kind.part, [member]: '', ...extra };
    (item.content as Json[]).push(part);
    this.#writing = { item, part, member, event };
    this.#tell('response.content_part.added', {
      ...this.#placeOf(item),
      ...partOf(item),
      part: structuredClone(part),
    });
  }

  #call({ id, function: made }: JsonObject, index: number): void {
    let item = this.#calls.get(index);
    const { name, arguments: written } = isObject(made) ? made : {};
    if (!item) {
      this.#close('completed');
      const callId = typeof id === 'string' && id !== '' ? id : `call_${this.#base}_${this.#items.length}`;
      const head = {
        type: 'function_call',
        id: this.#idOf('function_call'),
        call_id: callId,
        status: 'in_progress',
      };
      item = this.#added({ ...head, name: name ?? '', arguments: '' });
      this.#calls.set(index, item);
    }
    if (typeof written !== 'string' || written === '') return;
    item.arguments = `${item.arguments}${written}`;
    this.#tell('response.function_call_arguments.delta', { ...this.#placeOf(item), delta: written });
  }

  #added(item: JsonObject): JsonObject {
    this.#items.push(item);
    this.#tell('response.output_item.added', {
      output_index: this.#items.length - 1,
      item: structuredClone(item),
    });
    return item;
  }

  #partDone(): void {
    const { item, part, member, event } = this.#writing!;
    const at = { ...this.#placeOf(item), ...partOf(item) };
    const more = part.logprobs === undefined ? {} : { logprobs: part.logprobs };
    this.#tell(`${event}.done`, { ...at, [member]: part[member]!, ...more });
    this.#tell('response.content_part.done', { ...at, part });
  }

  #close(status: string): void {
    if (!this.#writing) return;
    this.#partDone();
    const { item } = this.#writing;
    this.#writing = undefined;
    this.#itemDone(item, status);
  }

  #callDone(item: JsonObject, status: string): void {
    const { name, arguments: made } = item;
    const done = { ...this.#placeOf(item), name: name!, arguments: made! };
    this.#tell('response.function_call_arguments.done', done);
    this.#itemDone(item, status);
  }

  #itemDone(item: JsonObject, status: string): void {
    item.status = status;
    this.#tell('response.output_item.done', { output_index: this.#items.indexOf(item), item });
  }

  #idOf(kind: string): string {
    return `${{ message: 'msg', reasoning: 'rs' }[kind] ?? 'fc'}_${this.#base}_${this.#items.length}`;
  }

  #placeOf(item: JsonObject): JsonObject {
    return { item_id: item.id!, output_index: this.#items.indexOf(item) };
  }

  /** As it is now: items grow. */
  #snapshot(): JsonObject {
    return structuredClone(this.response);
  }

  #tell(type: string, event: JsonObject): void {
    this.#events.push({ type, sequence_number: this.#sequence++, ...event });
  }

  #told(): JsonObject[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/** Which part of its item is written. */
const partOf = ({ content }: JsonObject) => ({ content_index: (content as Json[]).length - 1 });

function itemOf(type: string, id: string): JsonObject {
  const head = { id, type, status: 'in_progress', content: [] };
  return type === 'message' ? { ...head, role: 'assistant' } : { ...head, summary: [] };
}

function usageOf({ prompt_tokens: input, completion_tokens: output, ...usage }: JsonObject): JsonObject {
  const {
    total_tokens: total,
    prompt_tokens_details: read,
    completion_tokens_details: written,
    estimated,
  } = usage;
  return {
    input_tokens: input ?? 0,
    input_tokens_details: { cached_tokens: (isObject(read) && read.cached_tokens) || 0 },
    output_tokens: output ?? 0,
    output_tokens_details: { reasoning_tokens: (isObject(written) && written.reasoning_tokens) || 0 },
    total_tokens: total ?? 0,
    ...(estimated === undefined ? {} : { estimated }),
  };
}
