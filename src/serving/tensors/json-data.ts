import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import { fromBfloat16, toBfloat16 } from './bfloat16.ts';
import { ByteStrings } from './byte-strings.ts';
import { type Datatype, elementOf, newData, type Tensor, type TensorData } from './tensor.ts';
import { shapeText } from './tensor-check.ts';

const INTEGER_RANGE: Partial<Record<Datatype, readonly [number, number]>> = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
};
const WIDE_RANGE: Partial<Record<Datatype, readonly [bigint, bigint]>> = {
  UINT64: [0n, 2n ** 64n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/**
 * The elements of a tensor, written as JSON in row-major order: numbers, booleans for BOOL, texts for BYTES. Integers of 64 bits may be
 * texts; `exactIntegers` of the kernel makes them so where a number has lost digits.
 *
 * @param label names the tensor in the error
 * @throws AiosError `serving.tensor_value` naming the first that is no element
 * @example dataFromJson('Input “x”', 'UINT64', [1, '18446744073709551615']) // BigUint64Array
 */
export function dataFromJson(label: string, datatype: Datatype, flat: readonly Json[]): TensorData {
  if (datatype === 'BYTES') {
    const other = flat.findIndex((value) => typeof value !== 'string');
    if (other !== -1) throw noElement(label, datatype, other, flat[other]);
    return ByteStrings.from(flat as readonly string[]);
  }
  const data = newData(datatype, flat.length);
  if (datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16') {
    for (let i = 0; i < flat.length; i++) {
      const value = flat[i];
      if (typeof value !== 'number') throw noElement(label, datatype, i, value);
      data[i] = value;
      // What is past the type's range has become infinite.
      if (!Number.isFinite(data[i])) throw noElement(label, datatype, i, value);
    }
    return data;
  }
  const read = readerOf(datatype);
  for (let i = 0; i < flat.length; i++) {
    const element = read(flat[i]);
    if (element === undefined) throw noElement(label, datatype, i, flat[i]);
    data[i] = element;
  }
  return data;
}

function noElement(label: string, datatype: Datatype, index: number, value: Json | undefined): AiosError {
  return new AiosError('serving.tensor_value', {
    detail: `${label}, element ${index}: ${shown(value)} is not a valid ${datatype}.`,
  });
}

/** Reads one element, or nothing when it is none. */
function readerOf(datatype: Datatype): (value: Json | undefined) => number | bigint | undefined {
  const wide = WIDE_RANGE[datatype];
  if (wide) return (value) => wideInteger(value, wide);
  const range = INTEGER_RANGE[datatype];
  if (range)
    return (value) =>
      Number.isInteger(value) && (value as number) >= range[0] && (value as number) <= range[1]
        ? (value as number)
        : undefined;
  if (datatype === 'BOOL') return (value) => (typeof value === 'boolean' ? Number(value) : undefined);
  return (value) => {
    if (typeof value !== 'number') return undefined;
    const word = toBfloat16(value);
    return Number.isFinite(fromBfloat16(word)) ? word : undefined;
  };
}

function wideInteger(value: Json | undefined, [min, max]: readonly [bigint, bigint]): bigint | undefined {
  const digits = typeof value === 'string' && /^-?\d{1,20}$/.test(value);
  if (!digits && !Number.isInteger(value)) return undefined;
  const integer = BigInt(value as string | number);
  return integer >= min && integer <= max ? integer : undefined;
}

/** True when elements are integers that JavaScript's numbers may have rounded. */
export function hasRounded(datatype: Datatype, flat: readonly Json[]): boolean {
  return (
    datatype in WIDE_RANGE && flat.some((value) => Number.isInteger(value) && !Number.isSafeInteger(value))
  );
}

/** From ECMAScript's proposal-json-parse-with-source: digits that are written as they stand. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): Json };

/**
 * An output's elements as JSON. It has no NaN and no infinity: they become null. Integers of 64 bits are numbers with all their digits.
 *
 * @throws AiosError `serving.tensor_value` for BYTES that are no UTF-8
 */
export function dataToJson(tensor: Tensor): Json[] {
  const { name, datatype, data } = tensor;
  const values: Json[] = new Array(data.length);
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let i = 0; i < data.length; i++) values[i] = Number.isFinite(data[i]) ? data[i]! : null;
    return values;
  }
  for (let i = 0; i < data.length; i++) {
    const value = elementOf(tensor, i);
    if (value === undefined)
      throw new AiosError('serving.tensor_value', {
        detail: `Output “${name}”, element ${i} is not UTF-8, which JSON cannot carry: ask for it with binary_data.`,
      });
    if (typeof value === 'string') values[i] = value;
    else if (datatype === 'BOOL') values[i] = value !== 0;
    else if (typeof value === 'bigint') {
      const number = Number(value);
      values[i] = Number.isSafeInteger(number) ? number : rawJSON(value.toString());
    } else values[i] = Number.isFinite(value) ? value : null;
  }
  return values;
}

/**
 * Nested lists as one, in row-major order.
 *
 * @param label names the tensor in the error
 * @throws AiosError `serving.tensor_shape` when they do not have the shape
 */
export function flatten(data: Json[], shape: readonly number[], label: string): Json[] {
  if (!Array.isArray(data[0]) && !data.some(Array.isArray)) return data;
  const fault = (detail: string) => new AiosError('serving.tensor_shape', { detail: `${label}: ${detail}` });
  let level: Json[] = data;
  for (let axis = 0; axis < shape.length; axis++) {
    if (axis === 0) {
      if (level.length !== shape[0])
        throw fault(`${level.length} rows were given where the shape says ${shape[0]}.`);
      continue;
    }
    for (const part of level) {
      if (!Array.isArray(part) || part.length !== shape[axis])
        throw fault(`nested data does not have the shape ${shapeText(shape)}.`);
    }
    level = (level as Json[][]).flat(1);
  }
  return level;
}

/** A value in an error: short, and without walking what may be nested without end. */
export function shown(value: Json | undefined): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (typeof value !== 'object' || value === null) return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}
