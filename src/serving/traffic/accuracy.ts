import type { Json } from '../../kernel/json.ts';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';

/** How good the answers of two versions are, measured on rows whose outcome is known. */
export interface Accuracy {
  /** `accuracy` and `auc` (area under the ROC curve): more is better; `mae` (mean absolute error): less is. */
  readonly metric: 'accuracy' | 'auc' | 'mae';
  readonly rows: number;
  readonly parent: number;
  readonly child: number;
}

type Metric = (outputs: readonly Tensor[]) => number;

const AMOUNTS: readonly string[] = ['FP16', 'BF16', 'FP32', 'FP64'];

/**
 * Compares two versions by the labels of the rows. Labels of 0 and 1 with a score beside them: the area under the ROC curve. Classes, or as many columns as
 * there are classes: the share that is right. Else, and where the task says regression: the mean absolute error.
 *
 * @param task the card's, as people write it
 * @returns nothing when labels and outputs do not go together
 * @example accuracyOf([0, 1], parentOutputs, childOutputs, signature, 'binary classification') // { metric: 'auc', rows: 2, parent: 1, child: 1 }
 */
export function accuracyOf(
  labels: readonly Json[],
  parent: readonly Tensor[],
  child: readonly Tensor[],
  signature: Signature,
  task: unknown,
): Accuracy | undefined {
  const chosen = metricOf(labels, parent, signature, /regress/i.test(String(task)));
  if (!chosen) return undefined;
  const [metric, measure] = chosen;
  return { metric, rows: labels.length, parent: measure(parent), child: measure(child) };
}

function metricOf(
  labels: readonly Json[],
  outputs: readonly Tensor[],
  { results = {} }: Signature,
  isRegression: boolean,
): readonly [Accuracy['metric'], Metric] | undefined {
  const widthOf = ({ data }: Tensor) => data.length / labels.length;
  const isBinary = labels.every((label) => Number(label) === 0 || Number(label) === 1);
  const named = Object.values(results).find(({ output, column }) => {
    const tensor = outputs.find(({ name }) => name === output);
    return tensor && AMOUNTS.includes(tensor.datatype) && (column !== undefined || widthOf(tensor) === 1);
  });
  const amounts = outputs.findIndex(({ datatype }) => AMOUNTS.includes(datatype));
  const position = named ? outputs.findIndex(({ name }) => name === named.output) : amounts;
  const width = position === -1 ? 0 : widthOf(outputs[position]!);
  const column = named?.column ?? (width === 2 ? 1 : width === 1 ? 0 : undefined);
  if (!isRegression && isBinary && column !== undefined)
    return ['auc', (all) => areaUnderRoc(labels, columnOf(all[position]!, labels.length, column))];
  const classes = outputs.findIndex((tensor) => !AMOUNTS.includes(tensor.datatype) && widthOf(tensor) === 1);
  if (!isRegression && classes !== -1)
    return ['accuracy', (all) => shareRight(labels, columnOf(all[classes]!, labels.length, 0))];
  if (!isRegression && width > 1 && labels.every((label) => Number(label) >= 0 && Number(label) < width))
    return ['accuracy', (all) => shareRight(labels, greatestOf(all[position]!, labels.length))];
  if (column === undefined || labels.some((label) => !Number.isFinite(Number(label)))) return undefined;
  return ['mae', (all) => meanError(labels, columnOf(all[position]!, labels.length, column))];
}

type Element = ReturnType<typeof elementOf>;

function columnOf(tensor: Tensor, rows: number, column: number): Element[] {
  const width = tensor.data.length / rows;
  return Array.from({ length: rows }, (_, row) => elementOf(tensor, row * width + column));
}

function greatestOf(tensor: Tensor, rows: number): number[] {
  const width = tensor.data.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let i = 1; i < width; i++)
      if (Number(elementOf(tensor, row * width + i)) > Number(elementOf(tensor, row * width + best)))
        best = i;
    return best;
  });
}

function shareRight(labels: readonly Json[], answers: readonly Element[]): number {
  return labels.filter((label, row) => textOf(label) === String(answers[row])).length / labels.length;
}

/** A flag is a class as well. */
function textOf(label: Json): string {
  return typeof label === 'boolean' ? String(Number(label)) : String(label);
}

function meanError(labels: readonly Json[], answers: readonly Element[]): number {
  const sum = labels.reduce<number>(
    (total, label, row) => total + Math.abs(Number(label) - Number(answers[row])),
    0,
  );
  return sum / labels.length;
}

/** By ranks (Mann and Whitney); equal scores share theirs. 0.5 where there is one class only. */
function areaUnderRoc(labels: readonly Json[], scores: readonly Element[]): number {
  const order = scores.map(Number).map((score, row) => ({ score, isPositive: Number(labels[row]) === 1 }));
  order.sort((a, b) => a.score - b.score);
  const positives = order.filter(({ isPositive }) => isPositive).length;
  const negatives = order.length - positives;
  if (positives === 0 || negatives === 0) return 0.5;
  let ranks = 0;
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && order[to]!.score === order[from]!.score) to++;
    const rank = (from + 1 + to) / 2;
    for (let i = from; i < to; i++) if (order[i]!.isPositive) ranks += rank;
    from = to;
  }
  return (ranks - (positives * (positives + 1)) / 2) / (positives * negatives);
}
