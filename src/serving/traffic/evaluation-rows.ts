import { AiosError, type Issue } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { ScorePlan } from '../hosting/score.ts';
import { ByteStrings } from '../tensors/byte-strings.ts';
import { dataFromJson } from '../tensors/json-data.ts';
import type { Signature } from '../tensors/signature.ts';
import {
  type Datatype,
  elementCount,
  sliceRows,
  type Tensor,
  type TensorData,
  type TensorSpec,
} from '../tensors/tensor.ts';
import { shapeFits } from '../tensors/tensor-check.ts';

/** One request of one row, its tensors in the order of the signature. */
export type EvaluationRow = readonly Tensor[];

const ISSUES_MAX = 20;

/**
 * Rows of people's data as requests. A row names the features of the signature, or the inputs of the model with their (nested) elements; a
 * model of one matrix takes its columns in the order in which they stand, under any names.
 *
 * @param label a member of the rows that is no input
 * @throws AiosError `models.quantization_data` naming the first rows that do not fit
 * @example evaluationRows([{ orders: 3, returned: 1 }], { ...signature, features: ['orders'] }, 'returned') // [[{ shape: [1, 1], … }]]
 */
export function evaluationRows(
  rows: readonly JsonObject[],
  signature: Signature,
  label?: string,
): EvaluationRow[] {
  const read = readerOf(rows[0] ?? {}, signature, label);
  const issues: Issue[] = [];
  const requests: EvaluationRow[] = [];
  for (const [index, row] of rows.entries()) {
    try {
      requests.push(read(row));
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      issues.push({ path: `/rows/${index}`, message: error.message });
      if (issues.length === ISSUES_MAX) break;
    }
  }
  if (issues.length > 0) throw new AiosError('models.quantization_data', { issues });
  return requests;
}

function readerOf(
  first: JsonObject,
  signature: Signature,
  label: string | undefined,
): (row: JsonObject) => EvaluationRow {
  const { features, inputs } = signature;
  const keys = Object.keys(first).filter((key) => key !== label);
  if (features?.some((name) => keys.includes(name))) {
    const plan = new ScorePlan('the model', signature);
    return (row) => [plan.row(row)];
  }
  if (inputs.every(({ name }) => keys.includes(name)))
    return (row) => inputs.map((spec) => tensorOf(spec, row[spec.name]));
  const [matrix] = inputs;
  if (inputs.length === 1 && matrix?.shape.length === 2 && matrix.shape[1] === keys.length)
    return (row) => [
      tensorOf(
        matrix,
        keys.map((key) => row[key] ?? null),
      ),
    ];
  const wanted = features
    ? `the features ${features.join(', ')}`
    : `the inputs ${inputs.map(describe).join(', ')}`;
  throw new AiosError('models.quantization_data', {
    detail: `The rows have ${keys.join(', ') || 'no members'}; the model takes ${wanted}.`,
  });
}

const describe = ({ name, shape }: TensorSpec): string => `${name} [${shape.join(', ')}]`;

/** Requests that the log kept, in whichever of its two forms; those that it did not keep whole give no rows. */
export function loggedRows(requests: readonly JsonObject[], signature: Signature): EvaluationRow[] {
  return requests.flatMap((request): EvaluationRow[] => {
    try {
      if (request.features) return evaluationRows([request.features as JsonObject], signature);
      const given = request.inputs as JsonObject[];
      const tensors = signature.inputs.map((spec) => {
        const { shape, data } = given.find(({ name }) => name === spec.name) as JsonObject;
        return fixed(spec, shape as number[], data as Json[]);
      });
      const rows = signature.inputs.every(({ shape }) => shape[0] === -1) ? tensors[0]!.shape[0]! : 0;
      if (rows === 0) return [tensors];
      return Array.from({ length: rows }, (_, row) => tensors.map((tensor) => sliceRows(tensor, row, 1)));
    } catch {
      return [];
    }
  });
}

/** One row of an input; a free first dimension is 1, others are as the nesting says. */
function tensorOf(spec: TensorSpec, value: Json | undefined): Tensor {
  const elements: Json[] = [];
  const nesting: number[] = [];
  flatten(value ?? null, 0, nesting, elements);
  const free = spec.shape[0] === -1 ? spec.shape.slice(1) : spec.shape;
  const own = free.includes(-1) ? nesting : free;
  const shape = spec.shape[0] === -1 ? [1, ...own] : own;
  return fixed(spec, shape, elements);
}

function flatten(value: Json, depth: number, nesting: number[], elements: Json[]): void {
  if (!Array.isArray(value)) {
    elements.push(value);
    return;
  }
  nesting[depth] ??= value.length;
  for (const each of value) flatten(each, depth + 1, nesting, elements);
}

function fixed(
  { name, datatype, shape: free }: TensorSpec,
  shape: readonly number[],
  elements: readonly Json[],
): Tensor {
  if (!shapeFits(free, shape) || elementCount(shape) !== elements.length)
    throw unfit(`input “${name}” has ${elements.length} elements where the model takes [${free.join(', ')}]`);
  return { name, datatype, shape, data: dataOf(name, datatype, elements) };
}

/** Tables hold numbers and flags as texts. */
function dataOf(name: string, datatype: Datatype, elements: readonly Json[]): TensorData {
  const label = `input “${name}”`;
  try {
    if (datatype === 'BYTES') return ByteStrings.from(elements.map(String));
    return dataFromJson(
      label,
      datatype,
      elements.map((element) => (datatype === 'BOOL' ? flagOf(element) : numberOf(datatype, element))),
    );
  } catch (error) {
    throw unfit((error as Error).message);
  }
}

const FLAGS = new Map<Json, boolean>([
  ...([0, '0', 'false', 'False', 'FALSE'] as const).map((no) => [no, false] as const),
  ...([1, '1', 'true', 'True', 'TRUE'] as const).map((yes) => [yes, true] as const),
]);

function flagOf(element: Json): Json {
  return FLAGS.get(typeof element === 'string' ? element.trim() : element) ?? element;
}

/** What is no number stays what it is, to be refused as that. */
function numberOf(datatype: Datatype, element: Json): Json {
  if (typeof element === 'boolean') return Number(element);
  const text = typeof element === 'string' ? element.trim() : '';
  if (text === '' || Number.isNaN(Number(text))) return element;
  const isWide = datatype === 'INT64' || datatype === 'UINT64';
  return isWide && /^-?\d+$/.test(text) ? text : Number(text); // a number has not all of their digits
}

function unfit(detail: string): AiosError {
  return new AiosError('models.quantization_data', { detail });
}
