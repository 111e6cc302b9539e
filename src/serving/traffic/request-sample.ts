import { AiosError, toAiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { ScoreOutputs } from '../hosting/score.ts';
import { shortestFloat32 } from '../tensors/float32.ts';
import type { Signature } from '../tensors/signature.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';
import { shapeFits } from '../tensors/tensor-check.ts';

const TEXT_CHARS_MAX = 1_000;

/** What a sampled request keeps of its input and of its answer, as JSON. */
export interface Sample {
  readonly request: JsonObject;
  readonly answer: JsonObject | null;
  readonly error: JsonObject | null;
  /** True when not all of it is here. */
  readonly truncated: boolean;
}

interface Sampled {
  readonly input:
    | { readonly features: Readonly<Record<string, unknown>> }
    | { readonly inputs: readonly Tensor[] };
  readonly outputs?: readonly Tensor[] | ScoreOutputs | undefined;
  readonly error?: unknown;
  /** Of the version that was asked, and of the one that answered. */
  readonly asked: Signature;
  readonly answered: Signature;
  readonly redact: readonly string[];
  readonly bytesMax: number;
}

/**
 * The part of a request and its answer that may be kept: bounded, and without what is redacted, by whatever name the request shows it (a
 * feature is also a column of the input matrix, a result a column of an output).
 *
 * @example sampleOf({ input: { features: { age: 41, orders: 2 } }, asked, answered, redact: ['age'], bytesMax: 16_384 }).request
 * // { features: { age: '[redacted]', orders: 2 } }
 */
export function sampleOf({ input, outputs, error, asked, answered, redact, bytesMax }: Sampled): Sample {
  const hidden = new Set(redact);
  const requestRoom = new Room(bytesMax);
  const answerRoom = new Room(bytesMax);
  const request: JsonObject =
    'features' in input
      ? { features: featuresOf(input.features, asked, hidden, requestRoom) }
      : { inputs: inputsOf(input.inputs, asked, hidden, requestRoom) };
  const answer = outputs === undefined ? null : { outputs: outputsOf(outputs, answered, hidden, answerRoom) };
  return {
    request,
    answer,
    error: error === undefined ? null : faultOf(error, hidden),
    truncated: requestRoom.isFull || answerRoom.isFull,
  };
}

/** Bytes that may still be written, about: a value that does not fit is left out, and all after it. */
class Room {
  #left: number;
  isFull = false;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left < 0) this.isFull = true;
    return !this.isFull;
  }
}

const REDACTED = '[redacted]';

function featuresOf(
  features: Readonly<Record<string, unknown>>,
  { features: names = Object.keys(features) }: Signature,
  hidden: ReadonlySet<string>,
  room: Room,
): JsonObject {
  const kept: JsonObject = {};
  for (const name of names) {
    if (!Object.hasOwn(features, name)) continue;
    const value = hidden.has(name) ? REDACTED : plain(features[name]);
    if (!room.take(name.length + textLength(value))) break;
    kept[name] = value;
  }
  return kept;
}

/** What a model takes as a feature is a number, a boolean or nothing; what it refuses can be anything. */
function plain(value: unknown): Json {
  if (typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'string' ? value.slice(0, TEXT_CHARS_MAX) : `(${typeof value})`;
}

function textLength(value: Json): number {
  return typeof value === 'string' ? value.length + 4 : 12;
}

/** What is hidden stands where the signature says. Nobody knows what a tensor of another name or form holds: such requests are refused, and kept as well. */
function inputsOf(
  inputs: readonly Tensor[],
  asked: Signature,
  hidden: ReadonlySet<string>,
  room: Room,
): JsonObject[] {
  const columns = inputColumns(asked, hidden);
  return inputs.map((tensor) => {
    const isKnown =
      hidden.size === 0 ||
      asked.inputs.some(({ name, shape }) => name === tensor.name && shapeFits(shape, tensor.shape));
    return tensorOf(tensor, columns, isKnown ? hidden : new Set([tensor.name]), room);
  });
}

/** Which columns of which tensor are hidden. */
type Columns = ReadonlyMap<string, ReadonlySet<number>>;

function inputColumns({ inputs, features = [] }: Signature, hidden: ReadonlySet<string>): Columns {
  const columns = features.flatMap((name, column) => (hidden.has(name) ? [column] : []));
  const [matrix] = inputs;
  return new Map(matrix ? [[matrix.name, new Set(columns)]] : []);
}

function outputColumns({ results = {} }: Signature, hidden: ReadonlySet<string>): Columns {
  const columns = new Map<string, Set<number>>();
  for (const [name, { output, column }] of Object.entries(results)) {
    if (!hidden.has(name)) continue;
    const of = columns.get(output) ?? new Set<number>();
    // Without a column the result is the whole output.
    columns.set(output, of.add(column ?? WHOLE));
  }
  return columns;
}

const WHOLE = -1;

function tensorOf(
  tensor: Tensor,
  hiddenColumns: Columns,
  hidden: ReadonlySet<string>,
  room: Room,
): JsonObject {
  const { name, datatype, shape, data } = tensor;
  const head = { name, datatype, shape: [...shape] };
  const columns = hiddenColumns.get(name);
  if (hidden.has(name) || columns?.has(WHOLE)) return { ...head, data: REDACTED };
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  const values: Json[] = [];
  for (let i = 0; i < data.length; i++) {
    const value = columns?.has(i % width) ? null : elementAsJson(tensor, i);
    if (!room.take(textLength(value))) break;
    values.push(value);
  }
  return { ...head, data: values };
}

function elementAsJson(tensor: Tensor, index: number): Json {
  const value = elementOf(tensor, index);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return value.slice(0, TEXT_CHARS_MAX);
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  return tensor.datatype === 'FP32' ? shortestFloat32(value) : value;
}

function outputsOf(
  outputs: readonly Tensor[] | ScoreOutputs,
  signature: Signature,
  hidden: ReadonlySet<string>,
  room: Room,
): Json {
  if (Array.isArray(outputs)) {
    const columns = outputColumns(signature, hidden);
    return (outputs as readonly Tensor[]).map((tensor) => tensorOf(tensor, columns, hidden, room));
  }
  const kept: JsonObject = {};
  for (const [name, value] of Object.entries(outputs as ScoreOutputs)) {
    const output = signature.results?.[name]?.output;
    const isHidden = hidden.has(name) || (output !== undefined && hidden.has(output));
    const shown = isHidden ? REDACTED : Array.isArray(value) ? value.map(plain) : plain(value);
    if (!room.take(name.length + (Array.isArray(shown) ? 12 * shown.length : textLength(shown)))) break;
    kept[name] = shown;
  }
  return kept;
}

/** What an error says may quote the values that it is about. */
function faultOf(error: unknown, hidden: ReadonlySet<string>): JsonObject {
  const { code, message } = error instanceof AiosError ? error : toAiosError(error);
  return hidden.size > 0 ? { code } : { code, detail: message.slice(0, TEXT_CHARS_MAX) };
}
