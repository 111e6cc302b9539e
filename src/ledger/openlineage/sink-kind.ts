import { createHash } from 'node:crypto';
import { validateDocument } from '../../kernel/document.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import type { DefinitionKind } from '../../store/definition-kind.ts';

/** What is told: definitions, passes over features, trainings and builds of datasets, runs that failed, and a share of all runs. */
export type ToldKind = 'definitions' | 'passes' | 'trainings' | 'failedRuns';

export type Transport =
  | {
      readonly type: 'http';
      /** Of the server; may be `${env.NAME}`. */
      readonly url: string;
      readonly endpoint?: string;
      /** `${secrets.NAME}`, sent as a bearer token. */
      readonly apiKey?: string;
    }
  /** JSON lines, in the folder `lineage` of the data folder. */
  | { readonly type: 'file'; readonly file: string };

/** Where OpenLineage events go, and which. */
export interface LineageSink {
  readonly name: string;
  readonly description?: string;
  readonly transport: Transport;
  readonly emit?: {
    readonly definitions?: boolean;
    readonly passes?: boolean;
    readonly trainings?: boolean;
    readonly failedRuns?: boolean;
    /** Share of runs, 0 to 1; 0 when left out. */
    readonly runs?: number;
    /** Share by flow, where it is another. */
    readonly workflows?: Readonly<Record<string, number>>;
  };
}

const share = { type: 'number', minimum: 0, maximum: 1 };
const flag = { type: 'boolean' };
const text = { type: 'string', minLength: 1 };
const validate = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name', 'transport'],
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9._-]*$' },
    description: { type: 'string' },
    transport: {
      oneOf: [
        {
          type: 'object',
          additionalProperties: false,
          required: ['type', 'url'],
          properties: {
            type: { const: 'http' },
            url: { type: 'string', pattern: '^(https?://|\\$\\{env\\.[A-Z][A-Z0-9_]*\\})' },
            endpoint: { type: 'string', pattern: '^/' },
            apiKey: { type: 'string', pattern: '^\\$\\{secrets\\.[A-Z][A-Z0-9_]*\\}$' },
          },
        },
        {
          type: 'object',
          additionalProperties: false,
          required: ['type', 'file'],
          // A name, not a path: definitions write nowhere but there.
          properties: { type: { const: 'file' }, file: { ...text, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' } },
        },
      ],
    },
    emit: {
      type: 'object',
      additionalProperties: false,
      properties: {
        ...{ definitions: flag, passes: flag, trainings: flag, failedRuns: flag, runs: share },
        workflows: { type: 'object', additionalProperties: share },
      },
    },
  },
} satisfies JsonObject);

/** The kind `lineage-sink`, in `lineage/` of a project. */
export const lineageSinkKind: DefinitionKind = {
  kind: 'lineage-sink',
  folder: 'lineage',
  parse(document) {
    validateDocument(document, validate);
    return { name: String(document.value.name), body: document.value };
  },
};

/** Whether a sink is told of something that is not a run; all of it when nothing is said. */
export function tells({ emit = {} }: LineageSink, kind: ToldKind): boolean {
  return emit[kind] ?? true;
}

/** Whether a sink is told of any run that did not fail. */
export function tellsRuns({ emit = {} }: LineageSink): boolean {
  return [emit.runs ?? 0, ...Object.values(emit.workflows ?? {})].some((share) => share > 0);
}

/**
 * Whether a sink is told of a run: of a failed one, and of a share of all, which the id decides, so that all processes agree.
 *
 * @example tellsRun({ name: 'marquez', transport, emit: { runs: 0.01 } }, { id: 'run_1', workflow: 'returns', failed: true }) // true
 */
export function tellsRun(
  sink: LineageSink,
  { id, workflow, failed }: { id: string; workflow: string; failed: boolean },
): boolean {
  if (failed && tells(sink, 'failedRuns')) return true;
  const { workflows = {}, runs = 0 } = sink.emit ?? {};
  const share = (Object.hasOwn(workflows, workflow) ? workflows[workflow] : undefined) ?? runs;
  if (share === 0 || share === 1) return share === 1;
  return createHash('sha256').update(id).digest().readUInt32BE(0) / 2 ** 32 < share;
}
