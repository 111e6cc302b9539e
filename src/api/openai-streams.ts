import { once } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type AiosError, toAiosError } from '../kernel/errors.ts';
import { isObject, type JsonObject } from '../kernel/json.ts';
import type { ResponsesAnswer } from '../serving/chat/responses-answer.ts';
import { openAiError } from './openai-errors.ts';

/** The events of a stream as text, which differ by API; an empty text is none. */
export interface StreamForm {
  begin(): string;
  chunk(chunk: JsonObject): string;
  end(): string;
  fail(error: AiosError): string;
}

/** Of a chat completion: its chunks, the usage only where it was asked for, `[DONE]` at the end. */
export function chatEvents({ stream_options: options }: JsonObject): StreamForm {
  const wantsUsage = isObject(options) && options.include_usage === true;
  return {
    begin: () => '',
    chunk: (chunk) => {
      const isUsage = Array.isArray(chunk.choices) && chunk.choices.length === 0;
      return isUsage && !wantsUsage ? '' : dataOf(chunk);
    },
    end: () => 'data: [DONE]\n\n',
    fail: (error) => dataOf(openAiError(error)),
  };
}

/** Of a response: events with names, the last of which has all of it. */
export function responsesEvents(answer: ResponsesAnswer): StreamForm {
  const named = (events: JsonObject[]) =>
    events.map((event) => `event: ${event.type}\n${dataOf(event)}`).join('');
  return {
    begin: () => named(answer.begin()),
    chunk: (chunk) => named(answer.take(chunk)),
    end: () => named(answer.end()),
    fail: (error) => named(answer.fail(error)),
  };
}

/**
 * Sends chunks as server-sent events, as fast as the client takes them. A fault is the last event; a client that has gone is told nothing.
 *
 * @param signal aborted when the client has gone
 */
export async function sendEvents(
  raw: ServerResponse,
  headers: OutgoingHttpHeaders,
  chunks: AsyncIterable<JsonObject>,
  form: StreamForm,
  signal: AbortSignal,
): Promise<void> {
  raw.on('error', () => {}); // `close` follows, and ends the call
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    ...headers,
  });
  try {
    raw.write(form.begin());
    for await (const chunk of chunks) {
      const text = form.chunk(chunk);
      if (text !== '' && !raw.write(text)) await once(raw, 'drain', { signal });
    }
    raw.end(form.end());
  } catch (error) {
    if (!signal.aborted) raw.end(form.fail(toAiosError(error)));
  }
}

const dataOf = (data: JsonObject) => `data: ${JSON.stringify(data)}\n\n`;
