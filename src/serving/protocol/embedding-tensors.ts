import { AiosError } from '../../kernel/errors.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type Tensor, type TensorSpec } from '../tensors/tensor.ts';

/*
 * Embedding models with tensors (files, and servers of the Open Inference Protocol) behind a door for texts and token ids. Two forms of signature
 * fit: one BYTES input of texts, or `input_ids` with `attention_mask` and `token_type_ids` as sentence-transformers export them; and a first output of
 * floats, [rows, size] or [rows, tokens, size].
 */

const IDS = 'input_ids';
const MASK = 'attention_mask';
const OTHERS = new Set([IDS, MASK, 'token_type_ids', 'position_ids']);

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

function tokenTensors(specs: readonly TensorSpec[], inputs: readonly (readonly number[])[]): Tensor[] {
  const width = Math.max(...inputs.map(({ length }) => length));
  const shape = [inputs.length, width];
  const elementFor = (name: string, ids: readonly number[], column: number) => {
    if (name === IDS) return ids[column] ?? 0;
    if (name === MASK) return column < ids.length ? 1 : 0;
    return name === 'position_ids' ? column : 0;
  };
  return specs.map(({ name, datatype }) => {
    const values = inputs.flatMap((ids) =>
      Array.from({ length: width }, (_, column) => elementFor(name, ids, column)),
    );
    const data = datatype === 'INT32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
    return { name, datatype, shape, data };
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
