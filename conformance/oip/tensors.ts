/*
 * Tensors as the protocol carries them. Written apart from the server's own code: a fault there is not repeated here.
 */
type Element = number | string | boolean;

export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: readonly Element[];
}

export type TensorMetadata = Omit<Tensor, 'data'>;

interface NumberCode {
  readonly bytes: number;
  write(view: DataView, at: number, value: number): void;
  read(view: DataView, at: number): number;
  /** Values that any server must carry exactly. */
  readonly samples: readonly number[];
}

const integer = (bits: 8 | 16 | 32, signed: boolean): NumberCode => {
  const name = `${signed ? 'Int' : 'Uint'}${bits}` as 'Int16';
  const max = 2 ** (signed ? bits - 1 : bits) - 1;
  return {
    bytes: bits / 8,
    write: (view, at, value) => view[`set${name}`](at, value, true),
    read: (view, at) => view[`get${name}`](at, true),
    samples: [0, 1, max, signed ? -max - 1 : 2],
  };
};
const wide = (signed: boolean): NumberCode => ({
  bytes: 8,
  write: (view, at, value) =>
    signed ? view.setBigInt64(at, BigInt(value), true) : view.setBigUint64(at, BigInt(value), true),
  read: (view, at) => Number(signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true)),
  samples: [0, 1, 2 ** 53 - 1, signed ? -(2 ** 53) + 1 : 2],
});

export const NUMBER_CODES: Readonly<Record<string, NumberCode>> = {
  UINT8: integer(8, false),
  UINT16: integer(16, false),
  UINT32: integer(32, false),
  UINT64: wide(false),
  INT8: integer(8, true),
  INT16: integer(16, true),
  INT32: integer(32, true),
  INT64: wide(true),
  FP16: {
    bytes: 2,
    write: (view, at, value) => view.setFloat16(at, value, true),
    read: (view, at) => view.getFloat16(at, true),
    samples: [0, 0.5, -65_504, 2 ** -14],
  },
  BF16: {
    bytes: 2,
    write(view, at, value) {
      const float = new DataView(new ArrayBuffer(4));
      float.setFloat32(0, value);
      view.setUint16(at, float.getUint16(0), true);
    },
    read(view, at) {
      const float = new DataView(new ArrayBuffer(4));
      float.setUint16(0, view.getUint16(at, true));
      return float.getFloat32(0);
    },
    samples: [0, 0.5, -(2 ** 120), 2 ** -120],
  },
  FP32: {
    bytes: 4,
    write: (view, at, value) => view.setFloat32(at, value, true),
    read: (view, at) => view.getFloat32(at, true),
    samples: [0, 0.5, Math.fround(-3e38), Math.fround(0.1)],
  },
  FP64: {
    bytes: 8,
    write: (view, at, value) => view.setFloat64(at, value, true),
    read: (view, at) => view.getFloat64(at, true),
    samples: [0, 0.1, -1e300, 5e-324],
  },
};

export const DATATYPES = ['BOOL', ...Object.keys(NUMBER_CODES), 'BYTES'];

export function countOf(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** A tensor for an input of a model: free sizes become 1, the first `rows`; elements repeat those given. */
export function tensorFor(
  { name, datatype, shape: free }: TensorMetadata,
  rows: number,
  values: readonly Element[] = [zeroOf(datatype)],
): Tensor {
  const shape = free.map((size, axis) => (size === -1 ? (axis === 0 ? rows : 1) : size));
  return {
    name,
    datatype,
    shape,
    data: Array.from({ length: countOf(shape) }, (_, i) => values[i % values.length]!),
  };
}

export function zeroOf(datatype: string): Element {
  return datatype === 'BOOL' ? false : datatype === 'BYTES' ? '' : 0;
}

/** Values of a datatype that any server must carry exactly. */
export function samplesOf(datatype: string): readonly Element[] {
  if (datatype === 'BOOL') return [true, false, false, true];
  if (datatype === 'BYTES') return ['', 'a', 'größer', 'x'.repeat(300)];
  return NUMBER_CODES[datatype]!.samples;
}

export function toBytes({ datatype, data }: Pick<Tensor, 'datatype' | 'data'>): Uint8Array {
  if (datatype === 'BOOL') return Uint8Array.from(data, Number);
  if (datatype === 'BYTES') {
    const parts = data.flatMap((text) => {
      const bytes = Buffer.from(String(text));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    });
    return new Uint8Array(Buffer.concat(parts));
  }
  const { bytes, write } = codeOf(datatype);
  const view = new DataView(new ArrayBuffer(bytes * data.length));
  for (const [i, value] of data.entries()) write(view, i * bytes, Number(value));
  return new Uint8Array(view.buffer);
}

/** @throws Error when the bytes are not `count` elements */
export function fromBytes(datatype: string, bytes: Uint8Array, count: number): Element[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (datatype === 'BYTES') {
    const elements: string[] = [];
    let offset = 0;
    for (; offset < bytes.length; offset += 4 + view.getUint32(offset, true)) {
      const end = offset + 4 + view.getUint32(offset, true);
      elements.push(Buffer.from(bytes.subarray(offset + 4, end)).toString());
    }
    if (elements.length !== count || offset !== bytes.length)
      throw new Error(`${bytes.length} bytes are not ${count} elements of BYTES`);
    return elements;
  }
  const code = datatype === 'BOOL' ? undefined : codeOf(datatype);
  const size = code?.bytes ?? 1;
  if (bytes.length !== size * count)
    throw new Error(`${bytes.length} bytes are not ${count} elements of ${datatype}`);
  return Array.from({ length: count }, (_, i) => (code ? code.read(view, i * size) : bytes[i] === 1));
}

function codeOf(datatype: string): NumberCode {
  const code = NUMBER_CODES[datatype];
  if (!code) throw new Error(`${datatype} is no datatype of the protocol`);
  return code;
}
