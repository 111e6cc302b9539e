import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError } from '../../kernel/errors.ts';
import { withoutNonNumbers } from '../../kernel/finite-json.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { DeclaredSignature } from '../signature.ts';
import type { NewMetric } from '../tracking/metrics.ts';

/** What a training left in its folder of outputs. */
export interface TrainingOutputs {
  readonly onnx: Uint8Array | undefined;
  readonly signature: DeclaredSignature | undefined;
  readonly card: JsonObject;
  readonly metadata: JsonObject;
  readonly metrics: readonly NewMetric[];
}

const JSON_BYTES_MAX = 1024 * 1024;

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  properties: {
    signature: { type: 'object' },
    card: { type: 'object' },
    metadata: { type: 'object' },
    metrics: { type: 'object' },
  },
} as unknown as JsonObject);

/**
 * Reads `model.onnx`, `model.json` (signature, card, metadata, metrics) and `metrics.jsonl` (`{"key", "value", "step"}` a line).
 *
 * @throws AiosError `training.output_invalid`, `request.too_large`
 */
export async function readOutputs(folder: string, limits: Limits, nowMs: number): Promise<TrainingOutputs> {
  const onnx = await read(join(folder, 'model.onnx'), limits.modelBytesMax, 'modelBytesMax');
  const described = await read(join(folder, 'model.json'), JSON_BYTES_MAX, undefined);
  const json = described ? modelJson(text(described)) : {};
  const { signature, card = {}, metadata = {}, metrics = {} } = json;
  const lines = await read(join(folder, 'metrics.jsonl'), limits.trainingLogBytesMax, 'trainingLogBytesMax');
  const logged = lines ? metricsOf(text(lines), nowMs) : [];
  // What the model is said to have at its end comes after what was told on the way.
  const after = 1 + lastStep(logged);
  const values = Object.entries(metrics as JsonObject).map(([key, told]): [string, number] => {
    const value = metricOf(told);
    if (value === undefined) throw invalid(`model.json/metrics/${key}: a number was expected.`);
    return [key, value];
  });
  return {
    onnx,
    signature: signature as DeclaredSignature | undefined,
    card: card as JsonObject,
    metadata: metadata as JsonObject,
    metrics: [...logged, ...values.map(([key, value]) => ({ key, value, atMs: nowMs, step: after }))],
  };
}

const NON_NUMBERS: ReadonlySet<unknown> = new Set(['NaN', 'Infinity', '-Infinity']);

/** A loss may be no number, and Python writes it as NaN: no reason to lose the model. */
function metricOf(value: unknown): number | undefined {
  if (NON_NUMBERS.has(value)) return Number(value);
  return typeof value === 'number' ? value : undefined;
}

/**
 * The object of model.json. NaN and infinities are their names in its metrics, and null elsewhere: a version has JSON.
 *
 * @throws AiosError `training.output_invalid`
 */
function modelJson(content: string): JsonObject {
  const json = parse('model.json', withoutNonNumbers(content));
  if (!isObject(json)) throw invalid('model.json holds no object.');
  const [fault] = validate(json);
  if (fault) throw invalid(`model.json${fault.path}: ${fault.message}.`);
  const { metrics = {} } = parse('model.json', withoutNonNumbers(content, JSON.stringify));
  return { ...json, metrics: metrics as JsonObject };
}

/** Each line a value of a metric. @throws AiosError `training.output_invalid` */
function metricsOf(lines: string, nowMs: number): NewMetric[] {
  return lines.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const told = parse(`metrics.jsonl, line ${i + 1}`, withoutNonNumbers(line, JSON.stringify));
    const value = isObject(told) ? told : {};
    const metric = metricOf(value.value);
    if (typeof value.key !== 'string' || metric === undefined)
      throw invalid(`metrics.jsonl, line ${i + 1}: {"key": "loss", "value": 0.4, "step": 3} was expected.`);
    const step = value.step ?? 0;
    if (typeof step !== 'number' || !Number.isSafeInteger(step))
      throw invalid(
        `metrics.jsonl, line ${i + 1}: step is ${JSON.stringify(step)}; a whole number was expected.`,
      );
    return [{ key: value.key, value: metric, atMs: nowMs, step }];
  });
}

/** -1 without any. A loop: as arguments of `Math.max`, 130,000 lines overflow the stack. */
function lastStep(metrics: readonly NewMetric[]): number {
  let last = -1;
  for (const { step } of metrics) if (step > last) last = step;
  return last;
}

async function read(
  path: string,
  max: number,
  limitName: string | undefined,
): Promise<Uint8Array | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return undefined;
  if (!found.isFile()) throw invalid(`${path.split('/').at(-1)} is not a file.`);
  if (found.size > max)
    throw new AiosError('request.too_large', {
      detail: `${path.split('/').at(-1)} has ${found.size} bytes.`,
      extensions: { ...(limitName && { limitName }), limit: max },
    });
  return readFile(path);
}

function parse(what: string, content: string) {
  try {
    return JSON.parse(content) as JsonObject;
  } catch (cause) {
    throw new AiosError('training.output_invalid', { detail: `${what}: ${(cause as Error).message}`, cause });
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const invalid = (detail: string) => new AiosError('training.output_invalid', { detail });
