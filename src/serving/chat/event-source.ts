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
  /** Parts of the line that is coming: joined once, at its end, not with each chunk. */
  let parts: string[] = [];
  let partsSize = 0;
  let data: string[] = [];
  let size = 0;
  let total = 0;
  for await (const chunk of bytes) {
    total += chunk.length;
    if (total > bytesMax) throw tooMuch('chatAnswerBytesMax', bytesMax);
    let text = decoder.decode(chunk, { stream: true });
    if (partsSize > 0) {
      // A `\r` that came last waits for what follows it.
      const hasEnd = text.includes('\n') || text.includes('\r') || parts.at(-1)!.endsWith('\r');
      if (hasEnd) {
        text = parts.join('') + text;
        parts = [];
        partsSize = 0;
      }
    }
    let from = 0;
    // Looked for once: for each line anew, it would be looked for to the end of the text.
    const hasCarriages = text.includes('\r');
    for (;;) {
      const end = partsSize > 0 ? -1 : lineEnd(text, from, hasCarriages);
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
    if (from < text.length) {
      parts.push(text.slice(from));
      partsSize += text.length - from;
    }
    if (size + partsSize > eventBytesMax) throw tooMuch('chatEventBytesMax', eventBytesMax);
  }
  // An event without its empty line was cut off: the standard has it dropped.
}

/** The place of the next line end that is known to be one: a `\r` at the very end may be half of `\r\n`. */
function lineEnd(text: string, from: number, hasCarriages: boolean): number {
  const newline = text.indexOf('\n', from);
  if (!hasCarriages) return newline;
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
