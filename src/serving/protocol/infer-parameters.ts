import { AiosError } from '../../kernel/errors.ts';
import { isObject, type Json } from '../../kernel/json.ts';

/** What the `parameters` of a request ask of the server. */
export interface RequestParameters {
  /** From 1, the most urgent; nothing for the middle. */
  readonly priority: number | undefined;
  /** The longest that the caller waits. */
  readonly timeoutMs: number | undefined;
  /** Outputs are binary unless one says otherwise. */
  readonly binaryOutputs: boolean;
  /** Under a rollout, requests with the same key are answered by the same version. */
  readonly stickyKey?: string | undefined;
}

/** The header that says the same as the parameter `sticky`, where a client cannot set parameters. */
export const STICKY_HEADER = 'aios-sticky-key';

const NONE: RequestParameters = { priority: undefined, timeoutMs: undefined, binaryOutputs: false };
// What Triton's clients may ask for and AIOS does not do: answering as if it had not been asked would be a wrong answer.
const REFUSED: Readonly<Record<string, string>> = {
  sequence_id: 'there are no stateful sequences; keep the state in a workflow',
  sequence_start: 'there are no stateful sequences; keep the state in a workflow',
  sequence_end: 'there are no stateful sequences; keep the state in a workflow',
  shared_memory_region: 'there is no shared memory; send the bytes',
};

/**
 * Reads the parameters of a request. Those that AIOS does not know are the client's own and are passed over.
 *
 * @throws AiosError `serving.parameter_refused` for what is not done, `request.invalid` for a value of another type
 * @example readParameters({ priority: 1, timeout: 250_000 }).timeoutMs // 250: the protocol counts microseconds
 */
export function readParameters(parameters: Json | undefined): RequestParameters {
  if (parameters === undefined) return NONE;
  if (!isObject(parameters)) throw invalid('/parameters', 'parameters is an object');
  refuseParameters(parameters, '');
  const { priority, timeout, binary_data_output: binary, sticky } = parameters;
  const timeoutUs = whole(timeout, 'timeout');
  return {
    priority: whole(priority, 'priority') || undefined,
    timeoutMs: timeoutUs ? timeoutUs / 1000 : undefined,
    binaryOutputs: flag(binary, '/parameters/binary_data_output') ?? false,
    stickyKey: sticky === undefined ? undefined : stickyKeyOf(sticky),
  };
}

/** @throws AiosError `serving.parameter_refused` naming the first that would change the answer and is not done */
export function refuseParameters(parameters: { readonly [name: string]: Json }, path: string): void {
  for (const name in parameters) {
    if (!Object.hasOwn(REFUSED, name)) continue;
    const value = parameters[name];
    if (value === 0 || value === '' || value === false) continue; // how clients say that it is not asked for
    throw new AiosError('serving.parameter_refused', {
      detail: `The parameter ${name}${path && ` at ${path}`} is not served: ${REFUSED[name]}.`,
    });
  }
}

/**
 * Each output is written once: a body of 16 MiB has room for 600,000 names, and with each its elements would be in memory again.
 *
 * @throws AiosError `request.invalid` for an output that is asked for twice
 */
export function refuseTwice(outputs: readonly { readonly name: string }[]): void {
  const names = new Set<string>();
  for (const [index, { name }] of outputs.entries()) {
    if (names.has(name))
      throw invalid(`/outputs/${index}/name`, `the output “${name.slice(0, 60)}” is asked for twice`);
    names.add(name);
  }
}

/** A boolean parameter, or nothing. */
export function flag(value: Json | undefined, path: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(path, 'it is true or false');
}

/** A text or a number: clients of ids that are numbers send them so. */
function stickyKeyOf(value: Json): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw invalid('/parameters/sticky', 'sticky is a text');
}

function whole(value: Json | undefined, name: string): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0))
    return value as number | undefined;
  throw invalid(`/parameters/${name}`, `${name} is a whole number from 0`);
}

function invalid(path: string, message: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message }] });
}
