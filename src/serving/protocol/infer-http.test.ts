import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import {
  bytesOf,
  DATATYPES,
  type Datatype,
  dataOfBytes,
  elementBytes,
  type Tensor,
  type TensorData,
} from '../tensors/tensor.ts';
import { readInference, readRawInference, writeInference } from './infer-http.ts';

/** A body as a client writes it: the JSON, then the parts. */
function binary(request: JsonObject, ...parts: Uint8Array[]): [Uint8Array, string] {
  const header = Buffer.from(JSON.stringify(request));
  return [new Uint8Array(Buffer.concat([header, ...parts])), String(header.length)];
}

const part = (name: string, datatype: string, shape: number[], size: Json): JsonObject => ({
  name,
  datatype,
  shape,
  parameters: { binary_data_size: size },
});

const samples: readonly [Datatype, TensorData][] = [
  ['BOOL', Uint8Array.of(1, 0, 1, 1)],
  ['UINT64', BigUint64Array.of(0n, 1n, 2n ** 64n - 1n, 3n)],
  ['FP16', Float16Array.of(0.5, -1, Number.NaN, 65_504)],
  ['BF16', Uint16Array.of(0x3f80, 0, 0x7fc0, 1)],
  ['FP32', Float32Array.of(0.1, Number.NaN, Number.POSITIVE_INFINITY, -0)],
  ['BYTES', ByteStrings.from(['', Uint8Array.of(255, 0), 'größer', 'x'])],
];

describe('an inference in binary', () => {
  it.each(samples)('carries %s bit by bit, there and back', (datatype, data) => {
    const bytes = bytesOf(data);
    const [body, length] = binary(
      {
        id: '7',
        parameters: { binary_data_output: true },
        inputs: [part('x', datatype, [2, 2], bytes.length)],
      },
      bytes,
    );
    const request = readInference(body, length);
    expect(request.inputs).toMatchObject([{ name: 'x', datatype, shape: [2, 2] }]);
    expect(Buffer.from(bytesOf(request.inputs[0]!.data)).equals(bytes)).toBe(true);
    const outputs: Tensor[] = [{ ...request.inputs[0]!, name: 'y' }];
    const answer = writeInference(request, { model: 'm', version: 3, outputs });
    if (!answer.headerBytes) throw new Error('the answer is not binary');
    expect(JSON.parse(Buffer.from(answer.bytes.subarray(0, answer.headerBytes)).toString())).toEqual({
      model_name: 'm',
      model_version: '3',
      id: '7',
      outputs: [part('y', datatype, [2, 2], bytes.length)],
    });
    expect(Buffer.from(answer.bytes.subarray(answer.headerBytes)).equals(bytes)).toBe(true);
  });

  it('mixes inputs in JSON with binary ones, and answers each output as it is asked for', () => {
    const [body, length] = binary(
      {
        inputs: [
          part('a', 'UINT8', [3], 3),
          { name: 'b', datatype: 'INT32', shape: [2], data: [1, 2] },
          part('c', 'INT16', [1], 2),
        ],
        outputs: [
          { name: 'c', parameters: { binary_data: true } },
          { name: 'b' },
          { name: 'a', parameters: { binary_data: false } },
        ],
      },
      Uint8Array.of(1, 2, 3, 4, 5),
    );
    const request = readInference(body, length);
    expect(request.inputs.map(({ data }) => [...data])).toEqual([[1, 2, 3], [1, 2], [0x0504]]);
    const answer = writeInference(request, { model: 'm', version: 1, outputs: request.inputs });
    if (!answer.headerBytes) throw new Error('the answer is not binary');
    const header = JSON.parse(Buffer.from(answer.bytes.subarray(0, answer.headerBytes)).toString());
    expect(header.outputs).toEqual([
      part('c', 'INT16', [1], 2),
      { name: 'b', datatype: 'INT32', shape: [2], data: [1, 2] },
      { name: 'a', datatype: 'UINT8', shape: [3], data: [1, 2, 3] },
    ]);
    expect([...answer.bytes.subarray(answer.headerBytes)]).toEqual([4, 5]);
  });

  it('reads tensors in place where they are aligned', () => {
    const request = { inputs: [part('x', 'FP32', [2], 8)], id: '' };
    while (JSON.stringify(request).length % 4 !== 0) request.id += '.';
    const [body, length] = binary(request, bytesOf(Float32Array.of(1, 2)));
    expect((readInference(body, length).inputs[0]!.data as Float32Array).buffer).toBe(body.buffer);
  });

  it('reads what a caller asks of the queue', () => {
    const [body] = binary({
      inputs: [],
      parameters: { priority: 2, timeout: 250_500, sticky: 'k', mine: { a: 1 } },
    });
    expect(readInference(body, undefined)).toMatchObject({ priority: 2, timeoutMs: 250.5, stickyKey: 'k' });
  });

  const x = (size: Json, datatype = 'FP32', shape: number[] = [2]) => ({
    inputs: [part('x', datatype, shape, size)],
  });
  const eight = new Uint8Array(8);
  it.each<[string, JsonObject, Uint8Array, string | undefined, string, RegExp]>([
    ['a header longer than the body', x(8), eight, '9999', 'request.malformed', /is "9999"/],
    ['a header shorter than the JSON', x(8), eight, '10', 'request.malformed', /10 bytes of JSON/],
    ['a header that is not a number', x(8), eight, '1e2', 'request.malformed', /"1e2"/],
    ['a negative header', x(8), eight, '-1', 'request.malformed', /"-1"/],
    ['a header past 2^53', x(8), eight, '99999999999999999999', 'request.malformed', /9999/],
    ['a truncated part', x(8), new Uint8Array(7), undefined, 'serving.tensor_bytes', /7 bytes are left/],
    [
      'bytes that nobody claims',
      x(4, 'FP32', [1]),
      eight,
      undefined,
      'serving.tensor_bytes',
      /4 bytes of the body belong/,
    ],
    [
      'a size that is not the shape’s',
      x(8, 'FP32', [3]),
      eight,
      undefined,
      'serving.tensor_bytes',
      /3 elements of FP32 are 12/,
    ],
    [
      'a shape past any memory',
      x(8, 'FP64', [4e9, 4e9, 4e9]),
      eight,
      undefined,
      'serving.tensor_bytes',
      /elements of FP64/,
    ],
    [
      'a shape past any number',
      x(8, 'BYTES', new Array(200).fill(4e9)),
      eight,
      undefined,
      'serving.tensor_bytes',
      /need at least/,
    ],
    ['a size past any memory', x(1e15), eight, undefined, 'serving.tensor_bytes', /8 bytes are left/],
    ['a negative size', x(-1), eight, undefined, 'request.invalid', /whole number of bytes/],
    ['a size that is a text', x('8'), eight, undefined, 'request.invalid', /whole number of bytes/],
    [
      'a BYTES length that lies',
      x(8, 'BYTES', [1]),
      new Uint8Array(8).fill(255),
      undefined,
      'serving.tensor_bytes',
      /past the end/,
    ],
    [
      'a BOOL of 2',
      x(2, 'BOOL'),
      Uint8Array.of(1, 2),
      undefined,
      'serving.tensor_value',
      /byte 2 is not a BOOL/,
    ],
    [
      'a shape too large for a frame',
      x(0, 'BYTES', [2 ** 32, 0]),
      new Uint8Array(),
      undefined,
      'serving.tensor_shape',
      /2\^32/,
    ],
    [
      'data and bytes for one input',
      { inputs: [{ ...part('x', 'FP32', [2], 8), data: [1, 2] }] },
      eight,
      undefined,
      'request.invalid',
      /not both/,
    ],
    [
      'no data at all',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }] },
      new Uint8Array(),
      undefined,
      'request.invalid',
      /data is a list/,
    ],
    [
      'a sequence',
      { inputs: [], parameters: { sequence_id: 4 } },
      new Uint8Array(),
      undefined,
      'serving.parameter_refused',
      /sequence_id/,
    ],
    [
      'classification into half a class',
      { inputs: [], outputs: [{ name: 'y', parameters: { classification: 0.5 } }] },
      new Uint8Array(),
      undefined,
      'request.invalid',
      /\/outputs\/0\/parameters\/classification/,
    ],
    [
      'an output that is asked for twice',
      { inputs: [], outputs: [{ name: 'y' }, { name: 'y', parameters: { classification: 1 } }] },
      new Uint8Array(),
      undefined,
      'request.invalid',
      /\/outputs\/1\/name: the output “y” is asked for twice/,
    ],
    [
      'shared memory',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], parameters: { shared_memory_region: 'r' } }] },
      new Uint8Array(),
      undefined,
      'serving.parameter_refused',
      /send the bytes/,
    ],
    [
      'a timeout that is none',
      { inputs: [], parameters: { timeout: -5 } },
      new Uint8Array(),
      undefined,
      'request.invalid',
      /timeout/,
    ],
  ])('refuses %s', (_, request, bytes, headerLength, code, message) => {
    const [body, length] = binary(request, bytes);
    const read = () => readInference(body, headerLength ?? length);
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code }));
  });

  it('refuses NaN, texts that are no UTF-8, and JSON nested without end', () => {
    const read = (text: string | Uint8Array) => () => readInference(Buffer.from(text as string), undefined);
    const input = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[';
    expect(read(`${input}NaN]}]}`)).toThrow(/JSON has no NaN/);
    expect(read(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(
      expect.objectContaining({ code: 'request.malformed' }),
    );
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    expect(read(`${input}${deep}]}]}`)).toThrow(expect.objectContaining({ code: 'serving.tensor_value' }));
    expect(read(`{"inputs":[{"name":"x","datatype":${deep}}]}`)).toThrow(/datatype a list/);
  });
});

describe('a body without a header', () => {
  const spec = (datatype: Datatype, shape: number[]) => ({ name: 'x', datatype, shape });
  it.each<[string, Tensor['datatype'], number[], Uint8Array, number[]]>([
    ['the rows', 'FP32', [-1, 2], new Uint8Array(24), [3, 2]],
    ['a fixed shape', 'INT16', [2, 2], new Uint8Array(8), [2, 2]],
    ['one text', 'BYTES', [-1], Buffer.from('hello'), [1]],
    ['one text in a row', 'BYTES', [-1, -1], Buffer.from('hello'), [1, 1]],
  ])('gives %s', (_, datatype, shape, body, expected) => {
    const { inputs, binaryOutputs } = readRawInference(body, [spec(datatype, shape)]);
    expect(inputs).toMatchObject([{ name: 'x', datatype, shape: expected }]);
    expect(binaryOutputs).toBe(true);
    if (datatype === 'BYTES') expect((inputs[0]!.data as ByteStrings).text(0)).toBe('hello');
  });

  it.each<[string, ReturnType<typeof spec>[], number, string]>([
    ['two inputs', [spec('FP32', [1]), spec('FP32', [1])], 8, 'serving.raw_input'],
    ['two free sizes', [spec('FP32', [-1, -1])], 8, 'serving.raw_input'],
    ['half an element', [spec('FP32', [-1])], 6, 'serving.tensor_bytes'],
    ['half a row', [spec('FP32', [-1, 3])], 8, 'serving.tensor_bytes'],
    ['more than a fixed shape', [spec('FP32', [1])], 8, 'serving.tensor_bytes'],
    ['a row of nothing', [spec('FP32', [-1, 0])], 8, 'serving.tensor_bytes'],
    ['several texts', [spec('BYTES', [2])], 8, 'serving.tensor_bytes'],
  ])('is refused for %s', (_, specs, bytes, code) => {
    expect(() => readRawInference(new Uint8Array(bytes), specs)).toThrow(expect.objectContaining({ code }));
  });
});

describe('the parser', () => {
  const size = fc.oneof(
    fc.nat(40),
    fc.constantFrom(-1, 0.5, 1e15, 2 ** 32, Number.MAX_SAFE_INTEGER, null, '8'),
  );
  const anything = fc.oneof(fc.jsonValue(), fc.array(fc.oneof(fc.double(), fc.string(), fc.boolean())));
  const mostly = <T>(arbitrary: fc.Arbitrary<T>) => fc.oneof({ weight: 20, arbitrary }, anything);
  const rarely = (arbitrary: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, arbitrary);
  const input = fc.record({
    name: mostly(fc.constantFrom('x', '__proto__')),
    datatype: mostly(fc.constantFrom(...DATATYPES)),
    shape: mostly(fc.array(size, { maxLength: 3 })),
    data: rarely(anything),
    parameters: mostly(fc.record({ binary_data_size: size })),
  });
  const request = fc.record({
    id: rarely(anything),
    inputs: mostly(fc.array(input, { maxLength: 3 })),
    outputs: rarely(anything),
    parameters: rarely(anything),
  });
  const headerLength = (length: number) =>
    fc.oneof(
      { weight: 5, arbitrary: fc.constant(String(length)) },
      fc.string(),
      fc.nat(200).map(String),
      fc.constant(undefined),
    );

  it('throws nothing but errors of the protocol, and reads no tensor larger than its bytes', () => {
    const bodies = fc.tuple(request, fc.uint8Array({ max: 1, maxLength: 12 })).chain(([json, bytes]) => {
      const header = Buffer.from(JSON.stringify(json));
      return fc.tuple(
        fc.constant(new Uint8Array(Buffer.concat([header, bytes]))),
        headerLength(header.length),
      );
    });
    const garbage = fc.tuple(fc.uint8Array(), headerLength(10));
    let read = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: bodies }, garbage), ([body, length]) => {
        try {
          for (const { data } of readInference(body, length).inputs)
            expect(data.byteLength).toBeLessThanOrEqual(8 * body.length);
          read++;
        } catch (error) {
          if (!(error instanceof AiosError)) throw error;
          expect(error.status).toBe(400);
        }
      }),
      { numRuns: 3_000 },
    );
    expect(read).toBeGreaterThan(30); // what is well-formed is read, or the fuzz would try nothing but the first check
  });

  it('reads back whatever is written', () => {
    const tensor = fc
      .constantFrom(...DATATYPES)
      .chain((datatype) =>
        fc.tuple(
          fc.constant(datatype),
          fc.array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 4 }),
        ),
      );
    fc.assert(
      fc.property(fc.array(tensor, { minLength: 1, maxLength: 4 }), (tensors) => {
        const outputs = tensors.map(([datatype, elements], i): Tensor => {
          const bytes = Buffer.concat(elements.map((each) => each.subarray(0, elementBytes(datatype))));
          if (datatype === 'BOOL') for (const [at, byte] of bytes.entries()) bytes[at] = byte & 1;
          const data =
            datatype === 'BYTES'
              ? ByteStrings.from(elements)
              : dataOfBytes(datatype, new Uint8Array(bytes), elements.length, 'x');
          return { name: `t${i}`, datatype, shape: [elements.length], data };
        });
        const asked = readInference(
          Buffer.from('{"inputs":[],"parameters":{"binary_data_output":true}}'),
          undefined,
        );
        const answer = writeInference(asked, { model: 'm', version: 1, outputs });
        if (!answer.headerBytes) throw new Error('the answer is not binary');
        const header = JSON.parse(Buffer.from(answer.bytes.subarray(0, answer.headerBytes)).toString());
        const [body, length] = binary({ inputs: header.outputs }, answer.bytes.subarray(answer.headerBytes));
        for (const [i, { data, ...rest }] of readInference(body, length).inputs.entries()) {
          const { data: expected, ...described } = outputs[i]!;
          expect(rest).toEqual(described);
          expect(Buffer.from(bytesOf(data)).equals(bytesOf(expected))).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
