import type { FileHandle } from 'node:fs/promises';

const READ_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const QUOTE = 0x22;
/** The mark that some programs begin a file with. */
const BOM = Buffer.from('\uFEFF');

/** A line, or a record of CSV, which may hold line ends between quotes. */
export interface TextRecord {
  readonly text: Uint8Array;
  /** Its first line in the file, from 1. */
  readonly line: number;
  /** The first byte after it. */
  readonly end: number;
  readonly nextLine: number;
  readonly fault?: string;
}

/**
 * The records of a file from a byte on, without the line ends. One that is longer than `bytesMax` is told by its first line alone, with its fault: mostly a quote
 * that does not end.
 *
 * @param from where a record begins
 * @param delimiter the byte between fields that may be quoted; lines are lines where it is left out
 */
export async function* textRecords(
  handle: FileHandle,
  from: { byte: number; line: number },
  { delimiter, bytesMax }: { delimiter: number | undefined; bytesMax: number },
): AsyncGenerator<TextRecord> {
  let buffer = Buffer.alloc(0);
  let { byte, line } = from;
  let isEnd = false;
  for (;;) {
    const found = recordEnd(buffer, delimiter, isEnd);
    if (found !== undefined && found.end <= bytesMax + 1) {
      const text = buffer.subarray(0, trimmed(buffer, found.end));
      byte += found.end;
      yield { text, line, end: byte, nextLine: line + found.lines };
      line += found.lines;
      buffer = buffer.subarray(found.end);
      if (buffer.length === 0 && isEnd) return;
      continue;
    }
    if (buffer.length > bytesMax || (isEnd && buffer.length > 0)) {
      const newline = buffer.indexOf(NEWLINE);
      const end = newline < 0 ? buffer.length : newline + 1;
      byte += end;
      const fault = isEnd
        ? 'A quote that does not end.'
        : `A record of more than ${bytesMax} bytes, or a quote that does not end.`;
      yield { text: buffer.subarray(0, Math.min(end, bytesMax)), line, end: byte, nextLine: line + 1, fault };
      line++;
      buffer = buffer.subarray(end);
      continue;
    }
    if (isEnd) return;
    const more = Buffer.alloc(Math.max(READ_BYTES, buffer.length));
    const { bytesRead } = await handle.read(more, 0, more.length, byte + buffer.length);
    if (bytesRead === 0) isEnd = true;
    else buffer = Buffer.concat([buffer, more.subarray(0, bytesRead)]);
    // Before anything is looked for: a quote behind it begins a field.
    if (byte === 0 && buffer.subarray(0, BOM.length).equals(BOM)) {
      byte = BOM.length;
      buffer = buffer.subarray(BOM.length);
    }
  }
}

/** The first byte after a record and its line end, and how many lines it has; nothing where the end is not there yet. */
function recordEnd(
  buffer: Buffer,
  delimiter: number | undefined,
  isEnd: boolean,
): { end: number; lines: number } | undefined {
  if (delimiter === undefined) {
    const newline = buffer.indexOf(NEWLINE);
    if (newline >= 0) return { end: newline + 1, lines: 1 };
    return isEnd && buffer.length > 0 ? { end: buffer.length, lines: 1 } : undefined;
  }
  let lines = 1;
  let isQuoted = false;
  let isStart = true;
  for (let at = 0; at < buffer.length; at++) {
    const byte = buffer[at];
    if (byte === QUOTE && (isStart || isQuoted)) {
      // Two of them inside are one that is meant.
      if (isQuoted && buffer[at + 1] === QUOTE) at++;
      else isQuoted = !isQuoted;
      isStart = false;
    } else if (byte === NEWLINE) {
      if (!isQuoted) return { end: at + 1, lines };
      lines++;
    } else isStart = !isQuoted && byte === delimiter;
  }
  return isEnd && !isQuoted && buffer.length > 0 ? { end: buffer.length, lines } : undefined;
}

/** Without `\n` or `\r\n`. */
function trimmed(buffer: Buffer, end: number): number {
  if (buffer[end - 1] !== NEWLINE) return end;
  return buffer[end - 2] === 0x0d ? end - 2 : end - 1;
}
