import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { eventData } from './event-source.ts';

const BOUNDS = { eventBytesMax: 1_000, bytesMax: 10_000 };

async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const place of [...places, bytes.length]) {
    yield bytes.subarray(from, place);
    from = place;
  }
}

const read = (text: string, cuts: number[] = [], bounds = BOUNDS) =>
  Array.fromAsync(eventData(inPieces(new TextEncoder().encode(text), cuts), bounds));

describe('server-sent events', () => {
  it.each([
    ['data: a\n\ndata: b\n\n', ['a', 'b']],
    ['data:a\r\n\r\ndata: b\r\rdata: c\n\n', ['a', 'b', 'c']],
    ['event: x\nid: 7\nretry: 5\ndata: one\ndata: two\n\n', ['one\ntwo']],
    [': a comment\n\n\n\ndata: a\n\n', ['a']],
    ['data: whole\n\ndata: cut off', ['whole']],
    ['data\ndatabase: no\n\n', []],
  ])('%j are %j', async (text, events) => {
    expect(await read(text)).toEqual(events);
  });

  it('are the same however their bytes are cut', async () => {
    const event = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, ' '));
    const end = fc.constantFrom('\n', '\r\n', '\r');
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          event.filter((text) => text !== ''),
          { maxLength: 5 },
        ),
        end,
        fc.array(fc.nat(), { maxLength: 8 }),
        async (events, newline, cuts) => {
          const text = events.map((data) => `data: ${data}${newline}${newline}`).join('');
          // A \r at the very end may be half of \r\n: the last event waits for what comes next.
          expect(await read(`${text}: end\n`, cuts)).toEqual(events);
        },
      ),
    );
  });

  it('are looked through a few times, however many pieces a long one comes in', async () => {
    const bytes = 1 << 20;
    const cuts = Array.from({ length: 1024 }, (_, i) => i * 1024);
    let looked = 0;
    const { indexOf, includes } = String.prototype;
    vi.spyOn(String.prototype, 'indexOf').mockImplementation(function (this: string, wanted, from = 0) {
      looked += this.length - from;
      return indexOf.call(this, wanted, from);
    });
    vi.spyOn(String.prototype, 'includes').mockImplementation(function (this: string, wanted, from = 0) {
      looked += this.length - from;
      return includes.call(this, wanted, from);
    });
    const events = await read(`data: ${'x'.repeat(bytes)}\n\n`, cuts, {
      eventBytesMax: 2 * bytes,
      bytesMax: 2 * bytes,
    }).finally(() => vi.restoreAllMocks());
    expect(events.map(({ length }) => length)).toEqual([bytes]);
    expect(looked).toBeLessThan(8 * bytes);
  });

  it('that are too long, or too many, are refused', async () => {
    const long = `data: ${'x'.repeat(1_100)}\n\n`;
    await expect(read(long, [500])).rejects.toMatchObject({ extensions: { limitName: 'chatEventBytesMax' } });
    const many = `data: x\n\n`.repeat(2_000);
    const cuts = Array.from({ length: 100 }, (_, i) => i * 180);
    await expect(read(many, cuts)).rejects.toMatchObject({ extensions: { limitName: 'chatAnswerBytesMax' } });
  });
});
