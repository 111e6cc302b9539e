import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';

/*
 * The Responses API of OpenAI (platform.openai.com/docs/api-reference/responses), which its clients and agent libraries call by default, in front of servers that
 * know chat completions. Nothing is kept between calls: what names an earlier one is refused, and so is what only OpenAI's own machines do.
 */
const text = { type: ['string', 'null'] };
const checkResponses = compileSchema({
  type: 'object',
  required: ['input'],
  properties: {
    input: { type: ['string', 'array'], minItems: 1, items: { type: 'object' } },
    instructions: text,
    tools: { type: ['array', 'null'], items: { type: 'object' } },
    text: { type: ['object', 'null'], properties: { format: { type: ['object', 'null'] } } },
    reasoning: { type: ['object', 'null'] },
    max_output_tokens: { type: ['integer', 'null'], minimum: 1 },
    top_logprobs: { type: ['integer', 'null'], minimum: 0 },
    include: { type: ['array', 'null'], items: { type: 'string' } },
    stream: { type: ['boolean', 'null'] },
    metadata: { type: ['object', 'null'] },
  },
} as unknown as JsonObject);

const UNKEPT =
  'responses are not kept here; send all of the conversation as input (clients do with store: false)';
const REFUSED: Readonly<Record<string, string>> = {
  previous_response_id: UNKEPT,
  conversation: UNKEPT,
  prompt: 'there are no stored prompts here; send the instructions',
};
/** Members that have their own place in a chat request, or none: they are for servers that keep responses. All others are passed on. */
const OWN = new Set([
  ...Object.keys(REFUSED),
  ...['input', 'instructions', 'tools', 'tool_choice', 'text', 'reasoning', 'max_output_tokens', 'include'],
  ...['top_logprobs', 'metadata', 'store', 'background', 'truncation', 'stream_options', 'max_tool_calls'],
]);
const LOGPROBS = 'message.output_text.logprobs';

/**
 * The chat completion that a request of the Responses API asks for.
 *
 * @throws AiosError `request.invalid`, for what needs a server that keeps responses and for tools that are no functions, too
 * @example chatOfResponses({ model: 'assistant', instructions: 'Be brief.', input: 'Hello' }).messages
 * // [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'Hello' }]
 */
export function chatOfResponses(request: JsonObject): JsonObject {
  const issues = checkResponses(request);
  if (issues.length > 0) throw new AiosError('request.invalid', { issues });
  for (const [name, why] of Object.entries(REFUSED))
    if (request[name] != null) throw refused(`/${name}`, why);
  if (request.background === true)
    throw refused('/background', 'a response is answered while its caller waits');
  const { instructions, input, tools, tool_choice: choice, text: form, reasoning, include } = request;
  const further = Object.entries(request).filter(([name, value]) => !OWN.has(name) && value !== null);
  const chat: JsonObject = Object.fromEntries(further);
  const first = typeof instructions === 'string' ? [{ role: 'system', content: instructions }] : [];
  chat.messages = [...first, ...messagesOf(input!)];
  if (Array.isArray(tools) && tools.length > 0) chat.tools = tools.map(toolOf);
  if (choice != null) chat.tool_choice = choiceOf(choice);
  const { format, verbosity } = isObject(form) ? form : {};
  if (isObject(format)) chat.response_format = formatOf(format);
  if (verbosity != null) chat.verbosity = verbosity;
  if (isObject(reasoning) && reasoning.effort != null) chat.reasoning_effort = reasoning.effort;
  if (request.max_output_tokens != null) chat.max_tokens = request.max_output_tokens;
  if (Array.isArray(include) && include.includes(LOGPROBS)) {
    chat.logprobs = true;
    chat.top_logprobs = request.top_logprobs ?? 0;
  }
  return chat;
}

function messagesOf(input: Json): JsonObject[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  const messages: JsonObject[] = [];
  for (const [index, item] of (input as JsonObject[]).entries()) {
    const path = `/input/${index}`;
    const { type = 'message' } = item;
    if (type === 'message') messages.push(messageOf(item, path));
    else if (type === 'function_call') called(messages, item, path);
    else if (type === 'function_call_output') messages.push(outputOf(item, path));
    // What a model thought is not asked for again: a chat completion has no place for it.
    else if (type !== 'reasoning') {
      const isKept = type === 'item_reference';
      throw refused(path, isKept ? UNKEPT : `items of the type ${shown(type)} are not served`);
    }
  }
  if (messages.length === 0) throw refused('/input', 'there is no message in it');
  return messages;
}

function messageOf({ role, content }: JsonObject, path: string): JsonObject {
  if (typeof role !== 'string') throw refused(`${path}/role`, 'must be a text');
  // `developer` is what newer models of OpenAI call it; other servers know `system`.
  return { role: role === 'developer' ? 'system' : role, content: contentOf(content, `${path}/content`) };
}

/** Calls of one turn stand in one message of the assistant. */
function called(
  messages: JsonObject[],
  { call_id: id, name, arguments: made }: JsonObject,
  path: string,
): void {
  if (typeof id !== 'string' || typeof name !== 'string' || typeof made !== 'string')
    throw refused(path, 'a function_call has the texts call_id, name and arguments');
  const last = messages.at(-1);
  const call = { id, type: 'function', function: { name, arguments: made } };
  if (last?.role !== 'assistant') messages.push({ role: 'assistant', content: null, tool_calls: [call] });
  else last.tool_calls = [...((last.tool_calls as Json[] | undefined) ?? []), call];
}

function outputOf({ call_id: id, output }: JsonObject, path: string): JsonObject {
  if (typeof id !== 'string') throw refused(`${path}/call_id`, 'must be a text');
  return { role: 'tool', tool_call_id: id, content: contentOf(output, `${path}/output`) };
}

/** Texts alone are one text: servers that know no lists take that. */
function contentOf(content: Json | undefined, path: string): Json {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw refused(path, 'must be a text or a list of parts');
  const parts = content.map((part, index) => partOf(part, `${path}/${index}`));
  if (parts.some(({ type }) => type !== 'text')) return parts;
  return parts.map((part) => part.text as string).join('');
}

function partOf(part: Json, path: string): JsonObject {
  const {
    type,
    text,
    refusal,
    image_url: url,
    detail,
    file_data: data,
    filename,
    input_audio: audio,
  } = isObject(part) ? part : {};
  if ((type === 'input_text' || type === 'output_text' || type === 'text') && typeof text === 'string')
    return { type: 'text', text };
  if (type === 'refusal' && typeof refusal === 'string') return { type: 'text', text: refusal };
  if (type === 'input_image' && typeof url === 'string')
    return { type: 'image_url', image_url: { url, ...(typeof detail === 'string' && { detail }) } };
  if (type === 'input_file' && typeof data === 'string')
    return { type: 'file', file: { file_data: data, ...(typeof filename === 'string' && { filename }) } };
  if (type === 'input_audio' && isObject(audio)) return { type: 'input_audio', input_audio: audio };
  throw refused(
    path,
    'a part is an input_text, output_text, input_image with image_url, input_file with file_data, or input_audio; no files are kept here',
  );
}

function toolOf(tool: Json, index: number): JsonObject {
  const { type, name, description, parameters, strict } = tool as JsonObject;
  if (type !== 'function' || typeof name !== 'string')
    throw refused(
      `/tools/${index}`,
      `the tool ${shown(type)} is not served: only functions with a name, which the caller runs`,
    );
  return {
    type,
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      ...(isObject(parameters) && { parameters }),
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

function choiceOf(choice: Json): Json {
  if (typeof choice === 'string') return choice;
  const { type, name } = isObject(choice) ? choice : {};
  if (type === 'function' && typeof name === 'string') return { type, function: { name } };
  throw refused('/tool_choice', 'must be auto, none, required, or a function with its name');
}

function formatOf({ type, name, schema, strict, description }: JsonObject): JsonObject {
  if (type !== 'json_schema') return { type: type ?? null };
  return {
    type,
    json_schema: {
      name: name ?? 'answer',
      ...(isObject(schema) && { schema }),
      ...(typeof strict === 'boolean' && { strict }),
      ...(typeof description === 'string' && { description }),
    },
  };
}

function refused(path: string, message: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message }] });
}

const shown = (type: Json | undefined) =>
  typeof type === 'string' ? type.slice(0, 60) : JSON.stringify(type ?? null).slice(0, 60);
