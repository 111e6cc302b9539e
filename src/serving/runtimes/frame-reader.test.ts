import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FrameReader } from './frame-reader.ts';
import { decodeFrame, encodeBytes, FRAME } from './frames.ts';

const frameOf = (bytes: number): Uint8Array =>
  encodeBytes(FRAME.result, bytes, new Uint8Array(bytes).fill(bytes & 0xff));

describe('frames that come in chunks', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('are the frames that were sent, wherever the chunks are cut', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(sizes, cuts, (bytes, lengths) => {
        const sent = Buffer.concat(bytes.map(frameOf));
        const received: number[][] = [];
        const reader = new FrameReader((frame) => {
          const { number, tensors } = decodeFrame(frame);
          received.push([number, ...(tensors[0]!.data as Uint8Array)]);
        });
        for (let at = 0, turn = 0; at < sent.length; turn++) {
          const length = lengths[turn % lengths.length]!;
          reader.push(sent.subarray(at, at + length));
          at += length;
        }
        expect(received).toEqual(bytes.map((size) => [size, ...new Uint8Array(size).fill(size & 0xff)]));
      }),
    );
  });

  it('are copied once, however many chunks they come in', () => {
    const sent = frameOf(8 * 1024 * 1024);
    const frames: Uint8Array[] = [];
    const reader = new FrameReader((frame) => frames.push(frame));
    let copied = 0;
    const { set } = Uint8Array.prototype;
    vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, from, at) {
      copied += from.length;
      set.call(this, from, at);
    });
    const { concat } = Buffer;
    vi.spyOn(Buffer, 'concat').mockImplementation((list) => {
      for (const part of list) copied += part.length;
      return concat(list);
    });
    for (let at = 0; at < sent.length; at += 65_536) reader.push(sent.subarray(at, at + 65_536));
    vi.restoreAllMocks();
    expect(frames).toHaveLength(1);
    expect(Buffer.from(frames[0]!).equals(sent)).toBe(true);
    expect(copied).toBe(sent.length);
  });

  it('are not copied when they come whole', () => {
    const sent = Buffer.concat([frameOf(100), frameOf(7)]);
    const frames: Uint8Array[] = [];
    new FrameReader((frame) => frames.push(frame)).push(sent);
    expect(frames.map(({ buffer }) => buffer === sent.buffer)).toEqual([true, true]);
  });
});
