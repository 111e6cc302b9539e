import { appendFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { EventSink, EventSource, SourceBatch } from './event-source.ts';

const READ_BYTES = 256 * 1024;
const LOOK_MS = 250;

/** The events of a file that grows, one in a line; the place is the number of bytes that were read. */
export function jsonLinesSource(name: string, file: string, lookMs = LOOK_MS): EventSource {
  return {
    name,
    async *read(from, signal) {
      let bytes = Number(from?.bytes ?? 0);
      while (!signal.aborted) {
        const batch = await readLines(file, bytes);
        if (batch) {
          bytes = Number(batch.position.bytes);
          yield batch;
        } else await sleep(lookMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}

/** The whole lines from a byte on; the rest of one that is being written comes later. */
async function readLines(file: string, from: number): Promise<SourceBatch | undefined> {
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    for (let length = READ_BYTES; from < size; length *= 2) {
      const buffer = Buffer.alloc(Math.min(length, size - from));
      await handle.read(buffer, 0, buffer.length, from);
      const end = buffer.lastIndexOf(0x0a) + 1;
      if (end > 0) {
        const lines = buffer.subarray(0, end).toString('utf8').split('\n').filter(Boolean);
        const events = lines.map((line) => JSON.parse(line) as CloudEvent);
        return { events, position: { bytes: from + end } satisfies JsonObject };
      }
      if (length >= size - from) return undefined; // one line longer than what is there of it
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

/**
 * Writes events to a folder, a file for each partition, a line for each event with its place. What was written before is known by the last whole line, so
 * that an event that comes again is left out, and half a line of a crash is cut off.
 */
export function jsonLinesSink(group: string, folder: string, types?: readonly string[]): EventSink {
  return {
    group,
    ...(types ? { types } : {}),
    async deliver(events) {
      const byPartition = Map.groupBy(events, ({ partition }) => partition);
      await Promise.all(
        [...byPartition].map(([partition, run]) => append(join(folder, `${partition}.jsonl`), run)),
      );
      return { undone: [] };
    },
  };
}

async function append(file: string, events: readonly LoggedEvent[]): Promise<void> {
  const last = await lastOffset(file);
  const lines = events
    .filter(({ offset }) => offset > last)
    .map(({ partition, offset, event }) => `${JSON.stringify({ partition, offset, event })}\n`);
  if (lines.length > 0) await appendFile(file, lines.join(''), { flush: true });
}

/** The offset of the last whole line; half of one after it is cut off. Read from the end: files grow for long. */
async function lastOffset(file: string): Promise<number> {
  const handle = await open(file, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!handle) return -1;
  try {
    const { size } = await handle.stat();
    for (let length = READ_BYTES; size > 0; length *= 2) {
      const from = Math.max(0, size - length);
      const tail = Buffer.alloc(size - from);
      await handle.read(tail, 0, tail.length, from);
      const end = tail.lastIndexOf(0x0a) + 1;
      const start = end > 1 ? tail.lastIndexOf(0x0a, end - 2) + 1 : 0;
      if (from > 0 && start === 0) continue; // the last line is longer than this
      if (from + end < size) await handle.truncate(from + end);
      if (end === 0) return -1;
      return (JSON.parse(tail.subarray(start, end).toString('utf8')) as { offset: number }).offset;
    }
    return -1;
  } finally {
    await handle.close();
  }
}
