import { AiosError } from '../../kernel/errors.ts';
import { ELEMENT, isExternal, type OnnxModel, type OnnxNode, readModel, writeModel } from './onnx-model.ts';
import { OPERATORS, type OperatorOptions } from './operators.ts';
import { Rewriting } from './rewriting.ts';
import type { Field } from './wire.ts';

export interface QuantizeOptions extends OperatorOptions {
  /** Smaller weights stay as they are: their operator is faster without the steps around it. */
  readonly weightBytesMin: number;
}

/** What a rewrite did. */
export interface QuantizeReport {
  /** How many nodes of each operator compute with whole numbers now. */
  readonly operators: Readonly<Record<string, number>>;
  /** How many nodes with weights stayed as they are, by reason. */
  readonly left: Readonly<Record<string, number>>;
  /** Bytes of the weights that were rewritten, before and after. */
  readonly weightBytes: { readonly before: number; readonly after: number };
  /** How many rows the table has that an input's whole numbers are looked up in, by input. */
  readonly tables: Readonly<Record<string, number>>;
}

const OPSET_MIN = 11; // what stands in the place of an operator is older, but for negative axes

/**
 * Rewrites an ONNX file so that matrix products, convolutions and tables compute with weights of 8 bits (symmetric) and activations of 8 bits that get their
 * scale while the model runs, each row its own. What is not rewritten keeps its bytes.
 *
 * @throws AiosError `models.not_onnx` for bytes that are none, `models.not_quantizable` for a file with nothing to rewrite, with weights in
 * other files, of an operator set before 11, or with weights that are no numbers
 * @example quantizeModel(onnx, { operators: ['Gemm'], perChannel: true, reduceRange: false, weightBytesMin: 131_072 }).report.operators // { Gemm: 3 }
 */
export function quantizeModel(
  bytes: Uint8Array,
  options: QuantizeOptions,
): { onnx: Uint8Array; report: QuantizeReport } {
  const model = readModel(bytes);
  const external = [...model.constants.values()].find(isExternal);
  if (external) throw refused(`The tensor “${external.name}” lies in another file.`);
  if (model.opset > 0 && model.opset < OPSET_MIN)
    throw refused(`The file has operator set ${model.opset}; ${OPSET_MIN} or later is needed.`);
  const rewriting = new Rewriting(model);
  const replaced = new Map<OnnxNode, readonly Field[]>();
  const operators: Record<string, number> = {};
  const left: Record<string, number> = {};
  for (const node of model.nodes) {
    const result = rewritten(rewriting, node, options);
    if (result === undefined) continue;
    if (typeof result === 'string') left[result] = (left[result] ?? 0) + 1;
    else {
      replaced.set(node, result);
      operators[node.op] = (operators[node.op] ?? 0) + 1;
    }
  }
  if (replaced.size === 0) throw refused(nothingIn(model, left));
  const removed = unusedConstants(model, replaced);
  for (const node of model.nodes)
    if (node.op === 'Constant' && removed.has(node.outputs[0]!)) replaced.set(node, []);
  const onnx = writeModel(model, { replaced, added: rewriting.added, removed });
  const { bytesBefore: before, bytesAfter: after } = rewriting;
  return { onnx, report: { operators, left, weightBytes: { before, after }, tables: tablesOf(model) } };
}

/** Nothing for a node without constant weights: there is nothing to say about it. */
function rewritten(
  rewriting: Rewriting,
  node: OnnxNode,
  options: QuantizeOptions,
): readonly Field[] | string | undefined {
  const operator = node.domain === '' && Object.hasOwn(OPERATORS, node.op) ? OPERATORS[node.op] : undefined;
  const weight = operator && rewriting.model.constants.get(node.inputs[operator.weight] ?? '');
  if (!operator || !weight) return undefined;
  if (weight.elementType !== ELEMENT.float)
    return node.op === 'Gather' ? undefined : 'weights that are not FP32';
  if (!options.operators.includes(node.op)) return `${node.op} was not asked for`;
  const bytes = 4 * weight.shape.reduce((count, size) => count * size, 1);
  if (bytes === 0 || bytes < options.weightBytesMin) return `weights below ${options.weightBytesMin} bytes`;
  return operator.rewrite(rewriting, node, weight, options);
}

function refused(detail: string): AiosError {
  return new AiosError('models.not_quantizable', { detail });
}

function nothingIn({ nodes }: OnnxModel, left: Record<string, number>): string {
  const found = new Map<string, number>();
  for (const { op, domain } of nodes) {
    const name = domain ? `${domain}.${op}` : op;
    found.set(name, (found.get(name) ?? 0) + 1);
  }
  const list = [...found].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(', ');
  const reasons = Object.entries(left).map(([reason, count]) => `${reason} (${count})`);
  return `Nothing in it can be quantized. Its operators: ${list || 'none'}.${
    reasons.length > 0 ? ` Left as they are: ${reasons.join(', ')}.` : ''
  }`;
}

function unusedConstants(model: OnnxModel, replaced: ReadonlyMap<OnnxNode, readonly Field[]>): Set<string> {
  const used = new Set([...model.usedInside, ...model.outputs]);
  for (const node of model.nodes) {
    const weight = replaced.has(node) ? OPERATORS[node.op]!.weight : -1;
    // A bias may be written anew, in another shape: what was read of the node then is not used any more either.
    const gone = node.op === 'Conv' && weight >= 0 ? [weight, 2] : [weight];
    for (const [position, name] of node.inputs.entries()) if (!gone.includes(position)) used.add(name);
  }
  return new Set([...model.constants.keys()].filter((name) => !used.has(name)));
}

/** Inputs that are looked up in a table, as they come or cast: numbers past its end are none. */
function tablesOf({ nodes, inputs, constants }: OnnxModel): Record<string, number> {
  const origin = new Map(inputs.map((name) => [name, name]));
  const tables: Record<string, number> = {};
  for (const { op, inputs: from, outputs } of nodes) {
    const input = origin.get(from[op === 'Gather' ? 1 : 0] ?? '');
    if (input === undefined) continue;
    if (op === 'Cast' || op === 'Identity') origin.set(outputs[0]!, input);
    const rows = op === 'Gather' ? constants.get(from[0]!)?.shape[0] : undefined;
    if (rows !== undefined) tables[input] = Math.min(tables[input] ?? rows, rows);
  }
  return tables;
}
