import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';

/*
 * The classification extension (triton-inference-server/server, docs/protocol/extension_classification.md): an output as the classes with the
 * highest scores instead of its elements. Each is the text `score:index`.
 */

/** Who wants more than this reads the scores: keeping so many in order costs little beside writing them out. */
const CLASSES_MAX = 100;

/**
 * How many classes of an output are asked for; undefined for its elements.
 *
 * @throws AiosError `request.invalid` for an invalid number of classes
 * @example classesOf({ classification: 3 }, '/outputs/0/parameters') // 3
 */
export function classesOf({ classification: wanted }: JsonObject, path: string): number | undefined {
  if (wanted === undefined || wanted === 0) return undefined; // 0 is how clients say that they do not ask
  if (Number.isInteger(wanted) && (wanted as number) > 0 && (wanted as number) <= CLASSES_MAX)
    return wanted as number;
  const message = `classification is a whole number of classes from 0 to ${CLASSES_MAX}`;
  throw new AiosError('request.invalid', { issues: [{ path: `${path}/classification`, message }] });
}

/**
 * The classes with the highest scores, the highest first and of equal ones the first first: of each row (the first dimension) of an output of
 * several dimensions, else of all its elements. A row of fewer elements gives as many as it has; NaN is below all.
 *
 * @throws AiosError `serving.parameter_refused` for an output that holds no numbers
 * @example classified({ name: 'y', datatype: 'FP32', shape: [1, 3], data: Float32Array.of(0.1, 0.7, 0.2) }, 2)
 * // { name: 'y', datatype: 'BYTES', shape: [1, 2], data: ['0.700000:1', '0.200000:2'] }
 */
export function classified(output: Tensor, count: number): Tensor {
  const { name, datatype, shape, data } = output;
  if (datatype === 'BYTES' || datatype === 'BOOL')
    throw new AiosError('serving.parameter_refused', {
      detail: `Output “${name}” is ${datatype}: only numbers have classes with scores. Ask for it without classification.`,
    });
  const rows = shape.length > 1 ? shape[0]! : 1;
  const width = rows === 0 ? 0 : data.length / rows;
  const kept = Math.min(count, width);
  const isFloat = /^(FP|BF)/.test(datatype);
  const texts: string[] = [];
  for (let row = 0; row < rows; row++)
    for (const index of highest(output, row * width, width, kept)) {
      const score = elementOf(output, row * width + index)!;
      texts.push(`${isFloat ? Number(score).toFixed(6) : score}:${index}`);
    }
  return {
    name,
    datatype: 'BYTES',
    shape: shape.length > 1 ? [rows, kept] : [kept],
    data: ByteStrings.from(texts),
  };
}

/** Places of the highest of `width` elements from `first` on. */
function highest(output: Tensor, first: number, width: number, kept: number): number[] {
  const places: number[] = [];
  const scores: (number | bigint)[] = [];
  for (let place = 0; place < width; place++) {
    const found = elementOf(output, first + place) as number | bigint;
    const score = Number.isNaN(found) ? Number.NEGATIVE_INFINITY : found;
    if (places.length === kept && !(score > scores[kept - 1]!)) continue;
    let at = Math.min(places.length, kept - 1);
    for (; at > 0 && score > scores[at - 1]!; at--) {
      places[at] = places[at - 1]!;
      scores[at] = scores[at - 1]!;
    }
    places[at] = place;
    scores[at] = score;
  }
  return places;
}
