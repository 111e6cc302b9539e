import { describe, expect, it } from 'vitest';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { type InferenceBody, readInference, writeInference } from './infer-http.ts';

const readJson = (body: Json) =>
  readInference(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), undefined);
const all = {
  id: 'a',
  inputs: [],
  outputs: undefined,
  priority: undefined,
  stickyKey: undefined,
  timeoutMs: undefined,
  binaryOutputs: false,
};

const jsonOf = (body: InferenceBody) => JSON.parse('json' in body ? body.json : '') as JsonObject;
const input = (members: JsonObject): JsonObject => ({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4], ...members }],
});

describe('an inference in JSON', () => {
  it.each([
    ['flat data', input({}), [1, 2, 3, 4]],
    [
      'nested data',
      input({
        data: [
          [1, 2],
          [3, 4],
        ],
      }),
      [1, 2, 3, 4],
    ],
    [
      'integers of 64 bits',
      input({ datatype: 'INT64', shape: [2], data: [-1, 9_007_199_254_740_991] }),
      [-1n, 9_007_199_254_740_991n],
    ],
    ['texts', input({ datatype: 'BYTES', shape: [2], data: ['', 'ü'] }), [Buffer.from(''), Buffer.from('ü')]],
    ['half floats', input({ datatype: 'FP16', shape: [2], data: [0.5, 65_504] }), [0.5, 65_504]],
    ['brain floats', input({ datatype: 'BF16', shape: [2], data: [1.5, -1] }), [0x3fc0, 0xbf80]],
    [
      'every digit of 64 bits in a number',
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[[-9223372036854775807],[1]]},{"name":"y","datatype":"FP64","shape":[1],"data":[9007199254740993]}]}'.replace(
        '[2]',
        '[2,1]',
      ),
      [-(2n ** 63n - 1n), 1n],
    ],
    [
      'every digit of 64 bits',
      input({ datatype: 'UINT64', shape: [1], data: ['18446744073709551615'] }),
      [2n ** 64n - 1n],
    ],
    ['booleans', input({ datatype: 'BOOL', shape: [2], data: [true, false] }), [1, 0]],
    ['no rows', input({ shape: [0, 2], data: [] }), []],
  ])('reads %s', (_, body, expected) => {
    const elements = [...readJson(body as Json).inputs[0]!.data].map((element) =>
      element instanceof Uint8Array ? Buffer.from(element) : element,
    );
    expect(elements).toEqual(expected);
  });

  it('takes null for what may be absent: clients that write out every member send it so', () => {
    const nothing = { parameters: null, outputs: null, id: null };
    const body = { ...input({ parameters: null }), ...nothing };
    expect(readJson(body as Json)).toEqual({ ...readJson(input({})), id: undefined });
    const wanted = { ...input({}), outputs: [{ name: 'y', parameters: null }] };
    expect(readJson(wanted as Json).outputs).toEqual([{ name: 'y', binary: undefined }]);
  });

  it.each([
    ['a body without inputs', {}, 'request.invalid'],
    ['an id that is not a text', { id: 1, inputs: [] }, 'request.invalid'],
    ['an input without a name', { inputs: [{}] }, 'request.invalid'],
    ['an output without a name', { inputs: [], outputs: [1] }, 'request.invalid'],
    ['a datatype that is none', input({ datatype: 'FP8' }), 'serving.tensor_type'],
    ['a datatype named after an object member', input({ datatype: 'constructor' }), 'serving.tensor_type'],
    ['a shape that is none', input({ shape: [-1, 2] }), 'serving.tensor_shape'],
    ['fewer elements than the shape', input({ data: [1] }), 'serving.tensor_shape'],
    [
      'a shape far larger than its data',
      input({ shape: [1_000_000_000_000], data: [1] }),
      'serving.tensor_shape',
    ],
    ['ragged rows', input({ data: [[1, 2, 3], [4]] }), 'serving.tensor_shape'],
    ['rows mixed with numbers', input({ data: [[1, 2], 3] }), 'serving.tensor_shape'],
    ['too few rows', input({ data: [[1, 2]] }), 'serving.tensor_shape'],
    [
      'data nested too deep',
      input({
        data: [
          [1, [2]],
          [3, 4],
        ],
      }),
      'serving.tensor_value',
    ],
    ['text among numbers', input({ data: [1, 2, 3, 'NaN'] }), 'serving.tensor_value'],
    ['a number among texts', input({ datatype: 'BYTES', data: ['a', 'b', 'c', 1] }), 'serving.tensor_value'],
    [
      'a half float past its range',
      input({ datatype: 'FP16', data: [1, 2, 3, 65_520] }),
      'serving.tensor_value',
    ],
    [
      '65 bits',
      input({ datatype: 'UINT64', data: [1, 2, 3, '18446744073709551616'] }),
      'serving.tensor_value',
    ],
    ['null', input({ data: [1, 2, 3, null] }), 'serving.tensor_value'],
    ['a number past its type', input({ data: [1, 2, 3, 1e300] }), 'serving.tensor_value'],
    [
      'a fraction where a whole number is due',
      input({ datatype: 'INT32', data: [1, 2, 3, 0.5] }),
      'serving.tensor_value',
    ],
    [
      'a whole number out of range',
      input({ datatype: 'UINT8', data: [1, 2, 3, 256] }),
      'serving.tensor_value',
    ],
  ])('refuses %s', (_, body, code) => {
    let thrown: unknown;
    try {
      readJson(body as Json);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AiosError);
    expect((thrown as AiosError).code).toBe(code);
  });

  const answer = {
    model: 'm',
    version: 2,
    outputs: [
      { name: 'p', datatype: 'FP32' as const, shape: [1, 2], data: Float32Array.of(0.5, Number.NaN) },
      { name: 'label', datatype: 'INT64' as const, shape: [2], data: BigInt64Array.of(3n, 2n ** 62n) },
      { name: 'ok', datatype: 'BOOL' as const, shape: [1], data: Uint8Array.of(1) },
    ],
  };

  it('writes all outputs, or those asked for', () => {
    expect(jsonOf(writeInference(all, answer))).toEqual({
      model_name: 'm',
      model_version: '2',
      id: 'a',
      outputs: [
        { name: 'p', datatype: 'FP32', shape: [1, 2], data: [0.5, null] },
        { name: 'label', datatype: 'INT64', shape: [2], data: [3, 2 ** 62] },
        { name: 'ok', datatype: 'BOOL', shape: [1], data: [true] },
      ],
    });
    const text = writeInference(all, answer);
    expect('json' in text && text.json).toContain('[3,4611686018427387904]');
    const some = jsonOf(writeInference({ ...all, outputs: [{ name: 'ok', binary: undefined }] }, answer));
    expect((some.outputs as JsonObject[]).map(({ name }) => name)).toEqual(['ok']);
    expect(() => writeInference({ ...all, outputs: [{ name: 'q', binary: true }] }, answer)).toThrow(
      /no output “q”/,
    );
  });
});
