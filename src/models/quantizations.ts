import { digestOf } from '../kernel/canonical.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Actor } from './candidate.ts';
import type { ModelVersion } from './model-version.ts';
import type { Models } from './models.ts';
import { quantizeInWorker } from './quantization/in-worker.ts';
import { DEFAULT_OPERATORS, OPERATORS } from './quantization/operators.ts';
import type { QuantizeOptions, QuantizeReport } from './quantization/quantize.ts';
import { DEFAULT_RUNTIME } from './runtime-kind.ts';

const METHOD = 'dynamic-int8';
const DIGITS = 4; // of measured figures: machines differ from run to run by more

/** What a version is to be quantized to, and how it is tried. */
export interface QuantizationRequest {
  readonly name: string;
  readonly version: number;
  /** A scale for each output channel of a weight, rather than one for all: mostly closer, and as fast. */
  readonly perChannel?: boolean | undefined;
  /** Weights of 7 bits: for servers on x64 processors without VNNI, where sums of products of 8 bits overflow. */
  readonly reduceRange?: boolean | undefined;
  /** Which operators; `Gather`, `Gemm` and `MatMul` when left out. */
  readonly operators?: readonly string[] | undefined;
  /** `quantizationWeightBytesMin` when left out. */
  readonly weightBytesMin?: number | undefined;
  /** `quantizationAgreementMin` when left out: a share of rows. */
  readonly agreementMin?: number | undefined;
  /** What to compare on, by names of features or inputs; samples of the request log, or random numbers, when left out. */
  readonly rows?: readonly JsonObject[] | undefined;
  /** The member of the rows that is the known outcome. */
  readonly label?: string | undefined;
  /** Measure only: nothing is kept, whatever the figures. */
  readonly dryRun?: boolean | undefined;
  readonly by: Actor;
}

/** What the two models showed, side by side. */
interface Measured {
  /** What they were compared on. */
  readonly data: JsonObject;
  readonly agreement: number;
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly accuracy?:
    | { readonly metric: string; readonly rows: number; readonly parent: number; readonly child: number }
    | undefined;
  readonly speed: readonly object[];
  readonly residentBytes: object;
  readonly batchable: object;
}

/** Runs a version and what it was rewritten to in replicas of their own, on the same rows. */
export type Measure = (
  wanted: Pick<QuantizationRequest, 'name' | 'version' | 'rows' | 'label'> & {
    parent: Uint8Array;
    child: Uint8Array;
    tables: QuantizeReport['tables'];
  },
) => Promise<Measured>;

export interface QuantizationsDependencies {
  models: Models;
  measure: Measure;
  limits: Pick<Limits, 'quantizationAgreementMin' | 'quantizationRowsMax' | 'quantizationWeightBytesMin'>;
}

export interface Quantized {
  /** Nothing in a dry run. */
  readonly version: ModelVersion | undefined;
  /** What the card says of it. */
  readonly quantization: JsonObject;
  /** False for a version that was there already, and in a dry run. */
  readonly isNew: boolean;
}

/** Makes quantized versions of versions: rewritten, measured beside their parent, and kept when they agree with it. No alias moves. */
export class Quantizations {
  readonly #deps: QuantizationsDependencies;
  /** One at a time: two would measure each other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(dependencies: QuantizationsDependencies) {
    this.#deps = dependencies;
  }

  /**
   * Registers a version that computes with whole numbers of 8 bits. The same parent and options give the version that exists.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`, `models.not_quantizable`, `models.quantization_data`,
   * `models.quantization_disagrees` with the figures, and those of `Models.register`
   * @example (await quantizations.quantize({ name: 'churn', version: 3, rows, by })).quantization.agreement // 0.998
   */
  quantize(wanted: QuantizationRequest): Promise<Quantized> {
    const done = this.#turn.then(() => this.#quantize(wanted));
    this.#turn = done.catch(() => {});
    return done;
  }

  async #quantize(wanted: QuantizationRequest): Promise<Quantized> {
    const { models, measure, limits } = this.#deps;
    const { name, rows, label, dryRun, by } = wanted;
    await models.reload();
    const parent = models.version(name, wanted.version);
    const { perChannel = false, reduceRange = false } = wanted;
    const weightBytesMin = wanted.weightBytesMin ?? limits.quantizationWeightBytesMin;
    const operators = [...new Set(wanted.operators ?? DEFAULT_OPERATORS)].sort();
    const agreementMin = wanted.agreementMin ?? limits.quantizationAgreementMin;
    this.#check(wanted, parent, operators);
    const options = { perChannel, reduceRange, operators, weightBytesMin };
    const data = rows ? digestOf({ rows: rows as Json, label: label ?? null }) : null;
    const request = digestOf({ method: METHOD, parent: parent.digest, ...options, data });
    const known = models.get(name).versions.find(({ card }) => requestOf(card) === request);
    if (known && !dryRun) {
      const quantization = known.card.quantization as JsonObject;
      checkAgreement(quantization, agreementMin);
      return { version: known, quantization, isNew: false };
    }
    const bytes = await models.artifact(parent.digest);
    const { onnx, report } = await quantizeInWorker(bytes, options);
    const { tables } = report;
    const measured = await measure({
      name,
      version: parent.version,
      rows,
      label,
      parent: bytes,
      child: onnx,
      tables,
    });
    const { card, quantization } = cardOf(parent, {
      request,
      options,
      report,
      measured,
      sizeBytes: onnx.length,
    });
    if (dryRun) return { version: undefined, quantization, isNew: false };
    checkAgreement(quantization, agreementMin);
    const { features, fill, results } = parent.signature;
    const signature = {
      ...(features && { features }),
      ...(fill !== undefined && { fill }),
      ...(results && { results }),
    };
    const version = await models.register({
      name,
      onnx,
      signature,
      card,
      metadata: parent.metadata,
      datasets: parent.datasets,
      by,
    });
    return { version, quantization, isNew: true };
  }

  #check(
    { name, rows, label }: QuantizationRequest,
    parent: ModelVersion,
    operators: readonly string[],
  ): void {
    const refuse = (code: 'models.not_quantizable' | 'models.quantization_data', detail: string) => {
      throw new AiosError(code, { detail });
    };
    if (parent.runtime !== DEFAULT_RUNTIME)
      refuse(
        'models.not_quantizable',
        `${name}/${parent.version} has the runtime ${parent.runtime}: only files of ${DEFAULT_RUNTIME} are rewritten.`,
      );
    const unknown = operators.find((operator) => !Object.hasOwn(OPERATORS, operator));
    if (unknown !== undefined)
      refuse(
        'models.not_quantizable',
        `There is no rewriting of “${unknown}”, only of ${Object.keys(OPERATORS).join(', ')}.`,
      );
    const rowsMax = this.#deps.limits.quantizationRowsMax;
    if (rows && (rows.length === 0 || rows.length > rowsMax))
      refuse('models.quantization_data', `1 to ${rowsMax} rows are compared; these are ${rows.length}.`);
    if (label !== undefined && !rows?.every((row) => Object.hasOwn(row, label)))
      refuse('models.quantization_data', `The rows have no “${label}”, or not all of them.`);
  }
}

function requestOf(card: JsonObject): Json | undefined {
  return (card.quantization as JsonObject | undefined)?.request;
}

/** @throws AiosError `models.quantization_disagrees` */
function checkAgreement(quantization: JsonObject, agreementMin: number): void {
  const { agreement, data, outputs } = quantization as unknown as {
    agreement: number;
    data: { rows: number };
    outputs: Record<string, { meanDifference: number; maxDifference: number; spread: number }>;
  };
  if (agreement >= agreementMin) return;
  const figures = Object.entries(outputs).map(
    ([name, { meanDifference, maxDifference, spread }]) =>
      ` ${name} differs by ${meanDifference} on average, ${maxDifference} at most, over a spread of ${spread}.`,
  );
  throw new AiosError('models.quantization_disagrees', {
    detail: `It agrees with its parent on ${percent(agreement)} of ${data.rows} rows; ${percent(agreementMin)} are needed.${figures.join('')}`,
    extensions: { agreement, agreementMin, outputs },
  });
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}

/** The parent's card and what was measured. A figure of the parent's is not claimed of the child: it is kept as the parent's. */
function cardOf(
  { version, digest, sizeBytes: parentBytes, card: parentCard }: ModelVersion,
  {
    request,
    options: { perChannel, reduceRange },
    report,
    measured,
    sizeBytes,
  }: {
    request: string;
    options: QuantizeOptions;
    report: QuantizeReport;
    measured: Measured;
    sizeBytes: number;
  },
): { card: JsonObject; quantization: JsonObject } {
  const { operators, left, weightBytes } = report;
  const { accuracy, ...figures } = measured;
  const { quantization: _, ...own } = parentCard;
  const entries = Object.entries(own);
  const parentFigures = Object.fromEntries(entries.filter(isFigure));
  const quantization = rounded({
    method: METHOD,
    parent: { version, digest },
    request,
    perChannel,
    reduceRange,
    operators,
    left,
    weightBytes,
    bytes: { parent: parentBytes, child: sizeBytes },
    ...figures,
    accuracy: accuracy ?? null,
    parentFigures,
  } as unknown as JsonObject) as JsonObject;
  const described = Object.fromEntries(entries.filter((entry) => !isFigure(entry)));
  const figure = accuracy && { [accuracy.metric]: rounded(accuracy.child) };
  const card = {
    ...described,
    ...(figure && (own.metrics ? { metrics: figure } : figure)),
    quantization,
  };
  return { card, quantization };
}

/** `auc: 0.8`, `metrics: { auc: 0.8 }`. */
function isFigure([name, value]: [string, Json]): boolean {
  return typeof value === 'number' || name === 'metrics';
}

/** Whole numbers stay. */
function rounded(value: Json): Json {
  if (typeof value === 'number') return Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, rounded(each)]));
}
