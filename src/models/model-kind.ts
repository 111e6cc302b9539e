import { digestOfBytes } from '../kernel/canonical.ts';
import { locateIssue, type SourceDocument, validateDocument } from '../kernel/document.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { DefinitionKind, ProjectFile } from '../store/definition-kind.ts';
import { DATASETS_SCHEMA, type NamedDataset } from './datasets.ts';
import { HOSTING_SCHEMA, type HostingOptions } from './hosting-options.ts';
import { PROMOTION_SCHEMA, type PromotionPolicy, policyIssues } from './promotion-policy.ts';
import { checkRuntime, DEFAULT_RUNTIME, type RuntimeKinds } from './runtime-kind.ts';
import { type DeclaredSignature, SIGNATURE_SCHEMA } from './signature.ts';
import { TRAFFIC_SCHEMA, type TrafficOptions } from './traffic-options.ts';

/** How a model is served; amounts of money are micro-dollars. */
export interface ServingOptions extends HostingOptions, TrafficOptions {
  readonly costPerInferenceMicroUsd: number;
  readonly costPerComputeSecondMicroUsd: number;
}

export const SERVING_DEFAULTS: ServingOptions = {
  replicas: 1,
  batchMax: 64, // past it small models gain nothing: the frame costs 0.7 µs a row
  timeoutMs: 5_000,
  queueMax: 2_000,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};

/** A model of a project folder: `models/<name>/model.yaml`, with the ONNX file and the card beside it, or with the endpoint of who runs it. */
export interface ModelDefinition {
  readonly name: string;
  readonly description?: string;
  /** `onnx` when left out. */
  readonly runtime?: string;
  /** Relative to the definition. */
  readonly file?: string;
  /** The file's digest: a new file is a new version of the definition. */
  readonly digest?: string;
  /** For a runtime that runs no file: where its model is, in the runtime's own form. */
  readonly endpoint?: JsonObject;
  readonly signature?: DeclaredSignature;
  readonly card?: JsonObject;
  readonly metadata?: JsonObject;
  /** What it was trained on. */
  readonly datasets?: readonly NamedDataset[];
  /** Given to the first version that is registered; moving it later is a promotion. */
  readonly alias?: string;
  readonly serving?: Partial<ServingOptions>;
  /** What a promotion, or a share of the traffic, needs. */
  readonly promotion?: PromotionPolicy;
}

const amount = { type: 'number', minimum: 0 };
export const NAME_PATTERN = '^[a-z0-9][a-z0-9._-]{0,99}$';
const { $defs, ...signatureSchema } = SIGNATURE_SCHEMA;

const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string', pattern: NAME_PATTERN },
    description: { type: 'string' },
    runtime: { type: 'string' },
    file: { type: 'string', pattern: '\\.onnx$' },
    endpoint: { type: 'object' },
    signature: signatureSchema,
    card: { anyOf: [{ type: 'object' }, { type: 'string', pattern: '\\.md$' }] },
    metadata: { type: 'object' },
    datasets: DATASETS_SCHEMA,
    promotion: PROMOTION_SCHEMA,
    alias: { type: 'string', pattern: NAME_PATTERN },
    serving: {
      type: 'object',
      additionalProperties: false,
      properties: {
        ...HOSTING_SCHEMA,
        costPerInferenceMicroUsd: amount,
        costPerComputeSecondMicroUsd: amount,
        ...TRAFFIC_SCHEMA,
      },
    },
  },
  $defs,
} as unknown as JsonObject);

/** The kind `model` of a project folder, for the runtimes that are there. */
export function modelKind(runtimes: RuntimeKinds): DefinitionKind {
  return {
    kind: 'model',
    folder: 'models',
    parse: (document, files) => parseModel(document, files, runtimes),
    references(body) {
      const { runtime = DEFAULT_RUNTIME, endpoint = {} } = body as unknown as ModelDefinition;
      const named = runtimes[runtime]?.references?.(endpoint) ?? [];
      return named.map((reference) => ({ ...reference, path: `/endpoint${reference.path}` }));
    },
    checkFit(body, { find }) {
      const { name, runtime = DEFAULT_RUNTIME, endpoint = {} } = body as unknown as ModelDefinition;
      try {
        runtimes[runtime]?.checkFit?.(name, endpoint, find);
        return [];
      } catch (error) {
        if (!(error instanceof AiosError)) throw error;
        const issues = error.issues.map((issue) => ({ ...issue, path: `/endpoint${issue.path}` }));
        throw new AiosError(error.code, { issues, cause: error });
      }
    },
  };
}

/**
 * Reads a model definition; the card's text and the model's digest become part of it.
 *
 * @throws AiosError `definition.invalid`, `definition.reference` for a file that is not there
 * @example parseModel(readDocument('name: risk\nfile: risk.onnx', 'models/risk/model.yaml'), files, { onnx: {} }).name // 'risk'
 */
function parseModel(
  document: SourceDocument,
  files: ReadonlyMap<string, ProjectFile>,
  runtimes: RuntimeKinds,
): { name: string; body: JsonObject } {
  validateDocument(document, validate);
  const { card, ...rest } = document.value;
  const wanted = document.value as unknown as ModelDefinition;
  const { name, runtime = DEFAULT_RUNTIME, file, endpoint, promotion } = wanted;
  const issues = [...checkRuntime(runtimes, { runtime, file, endpoint }), ...policyIssues(promotion)];
  if (issues.length > 0)
    throw new AiosError('definition.invalid', {
      issues: issues.map((issue) => locateIssue(document, issue)),
    });
  const body: JsonObject = { ...rest };
  if (file !== undefined) body.digest = digestOfBytes(fileBeside(document, '/file', file, files).bytes);
  if (typeof card === 'string') {
    const { bytes } = fileBeside(document, '/card', card, files);
    body.card = { markdown: new TextDecoder().decode(bytes) };
  } else if (card !== undefined) {
    body.card = card;
    const markdown = (card as JsonObject).file;
    if (typeof markdown === 'string') {
      const { bytes } = fileBeside(document, '/card/file', markdown, files);
      body.card = { ...(card as JsonObject), markdown: new TextDecoder().decode(bytes) };
    }
  }
  return { name, body };
}

/** The path, in the project, of a file that a definition names. */
export function pathBeside(definitionPath: string, file: string): string {
  return `${definitionPath.slice(0, definitionPath.lastIndexOf('/') + 1)}${file}`;
}

function fileBeside(
  document: SourceDocument,
  path: string,
  file: string,
  files: ReadonlyMap<string, ProjectFile>,
): ProjectFile {
  const wanted = pathBeside(document.file, file);
  const found = files.get(wanted);
  if (found) return found;
  const issue = { path, message: `there is no file ${wanted} in the project`, found: file };
  throw new AiosError('definition.reference', { issues: [locateIssue(document, issue)] });
}
