import {
  bytesOf,
  DATATYPES,
  type Datatype,
  dataOfBytes,
  elementCount,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';

/*
 * What a replica and its front say to each other, little-endian, every part at a multiple of 8 so that elements are read in place:
 *   u32 bytes of the frame, u8 kind, u8 tensors, u16 0, f64 number,
 *   per tensor: u8 datatype, u8 rank, u16 0, u32 bytes of the data, rank × u32, padding, data, padding.
 * Names are not sent: both sides know the model's order.
 */
export const FRAME_HEADER_BYTES = 16;
const TENSOR_HEADER_BYTES = 8;
const CODES = Object.fromEntries(DATATYPES.map((name, code) => [name, code])) as Record<Datatype, number>;

/** `load`: one UINT8 tensor, the model. `describe`: its answer, JSON. `run` and `result`: number = compute µs. `fail`: text. */
export const FRAME = { load: 1, describe: 2, run: 3, result: 4, fail: 5 } as const;
export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  kind: FrameKind;
  number: number;
  tensors: { datatype: Datatype; shape: number[]; data: TensorData }[];
}

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** One frame for the requests of a batch: their tensors are joined along the first dimension while they are copied. */
export function encodeFrame(
  kind: FrameKind,
  number: number,
  requests: readonly (readonly Pick<Tensor, 'datatype' | 'shape' | 'data'>[])[],
): Uint8Array {
  const first = requests[0] ?? [];
  let total = FRAME_HEADER_BYTES;
  const sizes = new Array<number>(first.length);
  for (let position = 0; position < first.length; position++) {
    let bytes = 0;
    for (const tensors of requests) bytes += tensors[position]!.data.byteLength;
    sizes[position] = bytes;
    total += TENSOR_HEADER_BYTES + padded(4 * first[position]!.shape.length) + padded(bytes);
  }
  const frame = new Uint8Array(total);
  const view = new DataView(frame.buffer);
  view.setUint32(0, total, true);
  view.setUint8(4, kind);
  view.setUint8(5, first.length);
  view.setFloat64(8, number, true);
  let offset = FRAME_HEADER_BYTES;
  for (let position = 0; position < first.length; position++) {
    const { datatype, shape } = first[position]!;
    view.setUint8(offset, CODES[datatype]);
    view.setUint8(offset + 1, shape.length);
    view.setUint32(offset + 4, sizes[position]!, true);
    let rows = 0;
    for (const tensors of requests) rows += tensors[position]!.shape[0] ?? 0;
    for (let axis = 0; axis < shape.length; axis++)
      view.setUint32(offset + TENSOR_HEADER_BYTES + 4 * axis, axis === 0 ? rows : shape[axis]!, true);
    offset += TENSOR_HEADER_BYTES + padded(4 * shape.length);
    let at = offset;
    for (const tensors of requests) {
      const { data } = tensors[position]!;
      frame.set(bytesOf(data), at);
      at += data.byteLength;
    }
    offset += padded(sizes[position]!);
  }
  return frame;
}

export function encodeText(kind: FrameKind, text: string): Uint8Array {
  return encodeBytes(kind, 0, new TextEncoder().encode(text));
}

export function encodeBytes(kind: FrameKind, number: number, bytes: Uint8Array): Uint8Array {
  const data = bytes as Uint8Array<ArrayBuffer>;
  return encodeFrame(kind, number, [[{ datatype: 'UINT8', shape: [data.byteLength], data }]]);
}

export function textOf(frame: Frame): string {
  return new TextDecoder().decode(frame.tensors[0]?.data as Uint8Array<ArrayBuffer>);
}

/** The bytes of the frame that starts here, or 0 while its header has not arrived. */
export function frameBytes(bytes: Uint8Array, available: number): number {
  if (available < FRAME_HEADER_BYTES) return 0;
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
}

/** Reads a whole frame; its tensors are views of `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame {
  // Elements are read in place, which needs their alignment: bytes that start askew are copied once.
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
  const view = new DataView(aligned.buffer, aligned.byteOffset, aligned.byteLength);
  const frame: Frame = {
    kind: view.getUint8(4) as FrameKind,
    number: view.getFloat64(8, true),
    tensors: [],
  };
  let offset = FRAME_HEADER_BYTES;
  for (let count = view.getUint8(5); count > 0; count--) {
    const datatype = DATATYPES[view.getUint8(offset)]!;
    const rank = view.getUint8(offset + 1);
    const size = view.getUint32(offset + 4, true);
    const shape = new Array<number>(rank);
    for (let axis = 0; axis < rank; axis++)
      shape[axis] = view.getUint32(offset + TENSOR_HEADER_BYTES + 4 * axis, true);
    offset += TENSOR_HEADER_BYTES + padded(4 * rank);
    const data = dataOfBytes(
      datatype,
      aligned.subarray(offset, offset + size),
      elementCount(shape),
      'a frame',
    );
    frame.tensors.push({ datatype, shape, data });
    offset += padded(size);
  }
  return frame;
}
