import { AiosError } from '../../kernel/errors.ts';

/**
 * The `data` of server-sent events (HTML standard, "Server-sent events"), one text per event; comments, names and ids are left out.
 *
 * @throws AiosError `chat.upstream_failed` for an event of more than `eventBytesMax` or a stream of more than `bytesMax`
 * @example for await (const data of eventData(response.body, { eventBytesMax: 1 << 20, bytesMax: 1 << 24 })) console.log(data)
 */
export async function* eventData(
  bytes: AsyncIterable<Uint8Array>,
  { eventBytesMax, bytesMax }: { eventBytesMax: number; bytesMax: number },
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  let size = 0;
  let total = 0;
  for await (const chunk of bytes) {
    total += chunk.length;
    if (total > bytesMax) throw tooMuch('chatAnswerBytesMax', bytesMax);
    const text = rest + decoder.decode(chunk, { stream: true });
    let from = 0;
    for (;;) {
      const end = lineEnd(text, from);
      if (end === -1) break;
      const line = text.slice(from, end);
      from = text[end] === '\r' && text[end + 1] === '\n' ? end + 2 : end + 1;
      if (line.startsWith('data:')) {
        data.push(line[5] === ' ' ? line.slice(6) : line.slice(5));
        size += line.length;
        if (size > eventBytesMax) throw tooMuch('chatEventBytesMax', eventBytesMax);
      } else if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
        size = 0;
      }
    }
    rest = text.slice(from);
    if (size + rest.length > eventBytesMax) throw tooMuch('chatEventBytesMax', eventBytesMax);
  }
  // An event without its empty line was cut off: the standard has it dropped.
}

/** The place of the next line end that is known to be one: a `\r` at the very end may be half of `\r\n`. */
function lineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  const carriage = text.indexOf('\r', from);
  if (carriage === -1 || (newline !== -1 && newline < carriage)) return newline;
  return carriage === text.length - 1 ? -1 : carriage;
}

function tooMuch(limitName: string, limit: number): AiosError {
  return new AiosError('chat.upstream_failed', {
    detail: `The server of the model sent more than ${limitName}, ${limit} bytes.`,
    extensions: { limitName, limit },
  });
}
