import { AiosError } from '../../kernel/errors.ts';
import type { Json } from '../../kernel/json.ts';
import type { ScoreOutputs, ScorePlan } from '../hosting/score.ts';
import { dataFromJson } from '../tensors/json-data.ts';
import {
  type Datatype,
  elementCount,
  joinRows,
  type Tensor,
  type TensorData,
  type TensorSpec,
} from '../tensors/tensor.ts';
import type { DefaultAnswerOptions } from './traffic-options.ts';

/** The answer that a model's definition writes down for when nothing else can answer. */
export class DefaultAnswer {
  readonly #label: string;
  readonly #outputs: readonly TensorSpec[];
  readonly #options: DefaultAnswerOptions;

  constructor(label: string, outputs: readonly TensorSpec[], options: DefaultAnswerOptions) {
    this.#label = `The default answer of ${label}`;
    this.#outputs = outputs;
    this.#options = options;
  }

  /**
   * Every output, each row the same.
   *
   * @throws AiosError `serving.unavailable` when an output is not written down, or not with the elements of one row
   */
  tensors(rows: number): Tensor[] {
    return this.#outputs.map((spec) => this.#tensor(spec, rows));
  }

  /** @throws AiosError as `tensors` does */
  results(plan: ScorePlan): ScoreOutputs {
    const { results } = this.#options;
    return results ? structuredClone(results as ScoreOutputs) : plan.read(this.tensors(1), 0);
  }

  #tensor({ name, datatype, shape }: TensorSpec, rows: number): Tensor {
    const given = this.#options.outputs?.[name];
    if (given === undefined) throw this.#invalid(name, 'is not written down');
    const row = [given].flat(Number.POSITIVE_INFINITY as 1) as Json[];
    const rest = rowShape(shape.slice(1), row.length);
    if (!rest) throw this.#invalid(name, `has ${row.length} elements, which do not fill a row`);
    const one = { name, datatype, shape: [1, ...rest], data: this.#elements(name, datatype, row) };
    return joinRows(Array.from({ length: rows }, () => [one]))[0]!;
  }

  #elements(name: string, datatype: Datatype, row: readonly Json[]): TensorData {
    try {
      return dataFromJson(`${this.#label}: the output “${name}”`, datatype, row);
    } catch (error) {
      throw new AiosError('serving.unavailable', { detail: (error as Error).message, cause: error });
    }
  }

  #invalid(name: string, fault: string): AiosError {
    return new AiosError('serving.unavailable', {
      detail: `${this.#label}: the output “${name}” ${fault}.`,
    });
  }
}

/** The shape of a row with so many elements; one free dimension takes what is left. */
function rowShape(shape: readonly number[], elements: number): number[] | undefined {
  const fixed = elementCount(shape.filter((dimension) => dimension !== -1));
  const filled = shape.map((dimension) => (dimension === -1 ? elements / fixed : dimension));
  return elementCount(filled) === elements && filled.every(Number.isInteger) ? filled : undefined;
}
