import type { Issue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';

export const DEFAULT_RUNTIME = 'onnx';

/** What a runtime asks of the definition of a model. */
export interface RuntimeKind {
  /** JSON Schema of `endpoint`; a runtime without one runs a file. */
  readonly endpoint?: JsonObject | undefined;
  /** Finds the faults of an endpoint that its schema cannot see, such as an expression that does not parse; paths begin at the endpoint. */
  readonly check?: ((endpoint: JsonObject) => readonly Issue[]) | undefined;
  /** Definitions that an endpoint names: they are there, or applied with it. */
  readonly references?: ((endpoint: JsonObject) => readonly Reference[]) | undefined;
  /** Whether what an endpoint names can be what it is to be, among all that is applied with it. @throws AiosError whose issues have paths that begin at the endpoint */
  readonly checkFit?: ((model: string, endpoint: JsonObject, find: FindDefinition) => void) | undefined;
  /** The endpoint as a version keeps it: what it leaves open is fixed. */
  readonly settle?: ((endpoint: JsonObject) => JsonObject) | undefined;
}

type Reference = NonNullable<ReturnType<NonNullable<DefinitionKind['references']>>>[number];
type FindDefinition = Parameters<NonNullable<DefinitionKind['checkFit']>>[1]['find'];

/** The runtimes that are there, by the name that definitions use: what serving has is handed in, models know none of them. */
export type RuntimeKinds = Readonly<Record<string, RuntimeKind>>;

interface Described {
  readonly runtime: string;
  readonly file?: string | undefined;
  readonly endpoint?: JsonObject | undefined;
}

/**
 * What is wrong with the place where a model is said to be: a runtime has either a file or an endpoint.
 *
 * @example checkRuntime({ onnx: {} }, { runtime: 'onnx' }) // [{ path: '/file', message: 'the runtime onnx needs a file' }]
 */
export function checkRuntime(runtimes: RuntimeKinds, { runtime, file, endpoint }: Described): Issue[] {
  const kind = Object.hasOwn(runtimes, runtime) ? runtimes[runtime] : undefined;
  if (!kind) {
    const expected = Object.keys(runtimes).join(', ');
    return [{ path: '/runtime', message: 'there is no such runtime', found: runtime, expected }];
  }
  const [wanted, other] = kind.endpoint ? (['endpoint', 'file'] as const) : (['file', 'endpoint'] as const);
  const given = { file, endpoint };
  const issues: Issue[] = [];
  if (given[wanted] === undefined)
    issues.push({ path: `/${wanted}`, message: `the runtime ${runtime} needs ${article(wanted)}` });
  if (given[other] !== undefined)
    issues.push({ path: `/${other}`, message: `the runtime ${runtime} takes no ${other}` });
  if (!kind.endpoint || !endpoint) return issues;
  const faults = compileSchema(kind.endpoint)(endpoint);
  const all = faults.length > 0 ? faults : (kind.check?.(endpoint) ?? []);
  return [...issues, ...all.map((issue) => ({ ...issue, path: `/endpoint${issue.path}` }))];
}

function article(noun: 'file' | 'endpoint'): string {
  return noun === 'file' ? 'a file' : 'an endpoint';
}
