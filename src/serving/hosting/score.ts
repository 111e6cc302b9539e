import { AiosError } from '../../kernel/errors.ts';
import { escapePointer } from '../../kernel/schema.ts';
import type { Fill, Signature } from '../tensors/signature.ts';
import { elementOf, newData, type Tensor } from '../tensors/tensor.ts';
import { PendingRequest, type Share } from './request.ts';

export type FeatureValues = Readonly<Record<string, unknown>>;
/** One element of an output: BYTES are read as UTF-8, and are absent when they are none. */
type ScoreElement = number | boolean | string | null;
/** One row of an output: its element when it has one, else all of them in row-major order. */
export type ScoreOutputs = Record<string, ScoreElement | ScoreElement[]>;

export interface RowAnswer extends Share {
  readonly outputs: ScoreOutputs;
}

/** Where a result stands among the model's outputs. */
interface ResultPlace {
  readonly name: string;
  readonly output: number;
  /** The one element to read, or all of the row. */
  readonly column: number | undefined;
}

/**
 * A signature made ready: named features become one row of the input matrix, and a row of the outputs becomes named results, without
 * tensors in between.
 */
export class ScorePlan {
  readonly #names: readonly string[];
  readonly #fills: readonly (number | undefined)[];
  readonly #input: { name: string; datatype: 'FP16' | 'FP32' | 'FP64'; shape: number[] };
  readonly #places: readonly ResultPlace[];

  /** @throws AiosError `serving.no_features` when the signature names none */
  constructor(label: string, signature: Signature) {
    const [input] = signature.inputs;
    const { features } = signature;
    if (
      !features ||
      !input ||
      (input.datatype !== 'FP16' && input.datatype !== 'FP32' && input.datatype !== 'FP64')
    ) {
      throw new AiosError('serving.no_features', { detail: `The signature of ${label} names no features.` });
    }
    this.#names = features;
    this.#fills = features.map((name) => fillOf(signature.fill, name));
    this.#input = { name: input.name, datatype: input.datatype, shape: [1, features.length] };
    this.#places = placesOf(signature);
  }

  /** @throws AiosError `serving.feature_invalid` naming each feature that is absent without a fill, or no number */
  row(features: FeatureValues): Tensor {
    const names = this.#names;
    const { name, datatype, shape } = this.#input;
    const data = newData(datatype, names.length);
    for (let i = 0; i < names.length; i++) {
      const value = features[names[i]!];
      if (typeof value === 'number' && Number.isFinite(value)) data[i] = value;
      else if (typeof value === 'boolean') data[i] = value ? 1 : 0;
      else if ((value === null || value === undefined) && this.#fills[i] !== undefined)
        data[i] = this.#fills[i]!;
      else throw this.#invalid(features);
    }
    return { name, datatype, shape, data };
  }

  read(outputs: readonly Tensor[], row: number): ScoreOutputs {
    const results: ScoreOutputs = {};
    for (const { name, output, column } of this.#places) {
      const tensor = outputs[output]!;
      const { data, shape } = tensor;
      const width = data.length / (shape[0] || 1);
      const first = row * width;
      if (column !== undefined) results[name] = element(tensor, first + column);
      else if (width === 1) results[name] = element(tensor, first);
      else results[name] = Array.from({ length: width }, (_, i) => element(tensor, first + i));
    }
    return results;
  }

  #invalid(features: FeatureValues): AiosError {
    const issues = this.#names.flatMap((name, i) => {
      const value = features[name];
      if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return [];
      const absent = value === null || value === undefined;
      if (absent && this.#fills[i] !== undefined) return [];
      const message = absent
        ? `feature “${name}” is absent and has no fill`
        : `feature “${name}” is not a number`;
      return [
        { path: `/${escapePointer(name)}`, message, found: shown(value), expected: 'a number or a boolean' },
      ];
    });
    return new AiosError('serving.feature_invalid', { issues });
  }
}

/** An object may have a `toString` that is no function: it is never converted. */
function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value).slice(0, 100);
}

function fillOf(fill: Signature['fill'], name: string): number | undefined {
  const value: Fill | undefined = typeof fill === 'object' ? fill[name] : fill;
  return value === 'nan' ? Number.NaN : value;
}

function placesOf({ outputs, results }: Signature): ResultPlace[] {
  const position = (name: string) => outputs.findIndex((output) => output.name === name);
  const wanted: NonNullable<Signature['results']> =
    results ?? Object.fromEntries(outputs.map(({ name }) => [name, { output: name }]));
  return Object.entries(wanted).map(([name, { output, column }]) => ({
    name,
    output: position(output),
    column,
  }));
}

function element(tensor: Tensor, index: number): ScoreElement {
  const value = elementOf(tensor, index);
  if (tensor.datatype === 'BOOL') return value !== 0;
  if (tensor.datatype === 'BYTES') return (value as string | undefined) ?? null;
  return Number(value);
}

/** One row that answers with its named results. */
export class ScoreRequest extends PendingRequest<RowAnswer> {
  readonly #plan: ScorePlan;

  constructor(
    plan: ScorePlan,
    row: Tensor,
    nowMs: number,
    deadlineMs: number,
    signal?: AbortSignal,
    priority?: number,
  ) {
    super([row], 1, nowMs, deadlineMs, signal, priority);
    this.#plan = plan;
  }

  protected override read(outputs: readonly Tensor[], firstRow: number, share: Share): RowAnswer {
    if (share.parameters) return { ...share, outputs: this.#plan.read(outputs, firstRow) };
    return {
      outputs: this.#plan.read(outputs, firstRow),
      computeUs: share.computeUs,
      batchRows: share.batchRows,
      costMicroUsd: share.costMicroUsd,
    };
  }
}
