import { AiosError } from '../../kernel/errors.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Signature } from '../tensors/signature.ts';
import { type Datatype, elementOf, type Tensor, type TensorSpec } from '../tensors/tensor.ts';

/*
 * Embedding models with tensors (files, and servers of the Open Inference Protocol) behind a door for texts and token ids. Two forms of signature
 * fit: one BYTES input of texts, or `input_ids` with `attention_mask` and `token_type_ids` as sentence-transformers export them; and a first output of
 * floats, [rows, size] or [rows, tokens, size].
 */

const IDS = 'input_ids';
const MASK = 'attention_mask';
const POSITIONS = 'position_ids';
const OTHERS = new Set([IDS, MASK, 'token_type_ids', POSITIONS]);

/** What an embedding model takes; undefined when its signature is of another kind. */
export function embeddingForm({
  inputs,
  outputs,
}: Pick<Signature, 'inputs' | 'outputs'>): 'texts' | 'tokens' | undefined {
  if (!outputOf(outputs)) return undefined;
  const [first] = inputs;
  if (inputs.length === 1 && first?.datatype === 'BYTES' && isRows(first)) return 'texts';
  const fits = inputs.every(
    ({ name, datatype, shape }) =>
      OTHERS.has(name) && (datatype === 'INT64' || datatype === 'INT32') && shape.length === 2,
  );
  return fits && inputs.some(({ name }) => name === IDS) ? 'tokens' : undefined;
}

function isRows({ shape }: TensorSpec): boolean {
  return shape[0] === -1 && (shape.length === 1 || (shape.length === 2 && Math.abs(shape[1]!) === 1));
}

function outputOf<Spec extends TensorSpec>(outputs: readonly Spec[]): Spec | undefined {
  const floats = outputs.filter(({ datatype, shape }) => datatype.includes('F') && shape.length >= 2);
  return floats.find(({ shape }) => shape.length === 2) ?? floats.find(({ shape }) => shape.length === 3);
}

/**
 * The tensors of some inputs; lists of token ids are filled up to the longest, which the mask says.
 *
 * @throws AiosError `chat.wrong_model` for texts where token ids are taken, and the other way round
 * @example embeddingInputs(signature, ['Hello']) // [{ name: 'text', datatype: 'BYTES', shape: [1], data }]
 */
export function embeddingInputs(
  signature: Pick<Signature, 'inputs' | 'outputs'>,
  inputs: readonly (string | readonly number[])[],
): Tensor[] {
  const form = embeddingForm(signature);
  if (form === 'texts' && inputs.every((input) => typeof input === 'string')) {
    const { name, shape } = signature.inputs[0]!;
    const rows = inputs.length;
    return [
      {
        name,
        datatype: 'BYTES',
        shape: shape.length === 1 ? [rows] : [rows, 1],
        data: ByteStrings.from(inputs),
      },
    ];
  }
  if (form === 'tokens' && inputs.every((input) => typeof input !== 'string'))
    return tokenTensors(signature.inputs, inputs);
  throw new AiosError('chat.wrong_model', {
    detail:
      form === undefined
        ? 'The model takes neither texts nor token ids, or gives no vectors.'
        : `The model takes ${form === 'texts' ? 'texts' : 'token ids: lists of whole numbers'}.`,
  });
}

/** Token ids of a part, those that it is filled up with among them: 8 MB. A longer input is a part of its own. */
const PART_IDS_MAX = 2 ** 20;

/**
 * Which inputs run together, by their places. Token ids go by their lengths: in the order in which they come one long input would have every short one beside it
 * filled up to its length, which is 60 times the memory of the request, and of the work.
 *
 * @param rowsMax inputs of a part
 * @example embeddingParts([[1, 2, 3], [4], [5]], 2) // [[1, 2], [0]]
 */
export function embeddingParts(inputs: readonly (string | readonly number[])[], rowsMax: number): number[][] {
  const lengthOf = (place: number) => (typeof inputs[place] === 'string' ? 0 : inputs[place]!.length);
  const places = Array.from(inputs.keys()).sort((a, b) => lengthOf(a) - lengthOf(b));
  const parts: number[][] = [];
  let part: number[] = [];
  for (const place of places) {
    const isFull = part.length === rowsMax || (part.length + 1) * lengthOf(place) > PART_IDS_MAX;
    if (part.length > 0 && isFull) {
      parts.push(part);
      part = [];
    }
    part.push(place);
  }
  return part.length > 0 ? [...parts, part] : parts;
}

function tokenTensors(specs: readonly TensorSpec[], inputs: readonly (readonly number[])[]): Tensor[] {
  let width = 0;
  for (const ids of inputs) width = Math.max(width, ids.length);
  const shape = [inputs.length, width];
  return specs.map(({ name, datatype }): Tensor => {
    const count = inputs.length * width;
    if (datatype === 'INT32') {
      const data = new Int32Array(count);
      fillTokens(name, inputs, width, (at, value) => {
        data[at] = value;
        if (data[at] !== value) throw noToken(value, datatype);
      });
      return { name, datatype, shape, data };
    }
    const data = new BigInt64Array(count);
    fillTokens(name, inputs, width, (at, value) => {
      if (!Number.isSafeInteger(value)) throw noToken(value, datatype);
      data[at] = BigInt(value);
    });
    return { name, datatype, shape, data };
  });
}

/** What is not set stays 0: ids behind the end, the mask there, and all types. */
function fillTokens(
  name: string,
  inputs: readonly (readonly number[])[],
  width: number,
  set: (at: number, value: number) => void,
): void {
  if (name !== IDS && name !== MASK && name !== POSITIONS) return;
  for (const [row, ids] of inputs.entries()) {
    const filled = name === POSITIONS ? width : ids.length;
    for (let column = 0; column < filled; column++) {
      const value = name === IDS ? ids[column]! : name === MASK ? 1 : column;
      set(row * width + column, value);
    }
  }
}

function noToken(value: number, datatype: Datatype): AiosError {
  const max = datatype === 'INT32' ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER;
  return new AiosError('serving.tensor_value', {
    detail: `${value} is no token id of this model: it takes whole numbers up to ${max}. Send the ids that the model’s own tokenizer gives.`,
  });
}

/**
 * A vector for each input. Vectors per token become one: their mean over the input's own tokens, of length 1, as sentence-transformers do it.
 *
 * @example embeddingVectors(answer.outputs, inputs)[0].length // 384
 */
export function embeddingVectors(
  outputs: readonly Tensor[],
  inputs: readonly (string | readonly number[])[],
): number[][] {
  const output = outputOf(outputs);
  if (!output) throw new AiosError('chat.wrong_model', { detail: 'The model gave no vectors.' });
  const [, second = 0, third] = output.shape;
  const at = (index: number) => Number(elementOf(output, index));
  if (third === undefined)
    return inputs.map((_, row) => Array.from({ length: second }, (_, i) => at(row * second + i)));
  return inputs.map((input, row) => {
    const tokens = typeof input === 'string' ? second : input.length;
    const sum = new Array<number>(third).fill(0);
    for (let token = 0; token < tokens; token++)
      for (let i = 0; i < third; i++) sum[i]! += at((row * second + token) * third + i);
    const length = Math.hypot(...sum) || 1; // the mean differs from the sum by a factor, which the length takes out
    return sum.map((value) => value / length);
  });
}
