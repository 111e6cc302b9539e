import { type AiosClient, ProblemError } from '../client/client.ts';
import { closestName } from '../kernel/closest-name.ts';
import type { ErrorCode } from '../kernel/error-codes.ts';
import { AiosError } from '../kernel/errors.ts';

/** What lists are filtered by: what it is called, where all of them are listed, and the code of one that is not there. */
const NAMED = {
  flow: ['/api/v1/workflows', 'workflow.not_found'],
  queue: ['/api/v1/queues', 'tasks.unknown_queue'],
  contract: ['/api/v1/contracts', 'definition.not_found'],
  dataset: ['/api/v1/datasets', 'datasets.unknown_dataset'],
  model: ['/api/v1/models', 'models.unknown_model'],
} as const satisfies Record<string, readonly [path: string, code: ErrorCode]>;

/**
 * An empty list is no answer to a name that was mistyped. To be asked where a filter found nothing: costs a call, and a caller who may not
 * list the names is told nothing more.
 *
 * @throws AiosError the code of what is not there, with the nearest name
 * @example if (items.length === 0) await requireKnown(client, 'flow', 'retruns') // There is no flow “retruns”; did you mean returns?
 */
export async function requireKnown(
  client: AiosClient,
  called: keyof typeof NAMED,
  name: string | undefined,
): Promise<void> {
  if (name === undefined) return;
  const [path, code] = NAMED[called];
  const names = await namesAt(client, path);
  if (names === undefined || names.includes(name)) return;
  throw unknownName(code, called, name, names);
}

/**
 * The same of a run that a list is filtered by.
 *
 * @throws ProblemError `run.not_found`
 */
export async function requireRun(client: AiosClient, id: string | undefined): Promise<void> {
  if (id !== undefined) await client.request('GET', `/api/v1/runs/${encodeURIComponent(id)}`);
}

/** Of a version that a list is filtered by: those that there are, when it is none of them. @throws AiosError `request.invalid` */
export function requireVersion(
  of: string,
  version: string | undefined,
  versions: readonly (number | string)[],
): void {
  if (version === undefined || versions.some((one) => String(one) === version)) return;
  const known = versions.length > 0 ? `; it has ${versions.slice(0, VERSIONS_TOLD).join(', ')}` : '';
  throw new AiosError('request.invalid', { detail: `There is no version ${version} of ${of}${known}.` });
}

const VERSIONS_TOLD = 10;

/**
 * Of who called, by the id of a key (a session calls by that of its key); one that was revoked is known, too.
 *
 * @throws AiosError `access.unknown_key`
 */
export async function requireCaller(client: AiosClient, id: string | undefined): Promise<void> {
  if (id === undefined) return;
  const { items } = await client.request<{ items: unknown[] }>('GET', '/api/v1/key-names', {
    query: { ids: id },
  });
  if (items.length > 0) return;
  const keys = (await listAt<{ id: string; name: string }>(client, '/api/v1/keys')) ?? [];
  const named = keys.find(({ name }) => name === id);
  if (named)
    throw new AiosError('access.unknown_key', {
      detail: `The key “${id}” is asked for by its id, ${named.id}.`,
    });
  throw unknownName(
    'access.unknown_key',
    'key',
    id,
    keys.map((key) => key.id),
  );
}

/** @example throw unknownName('budgets.unknown', 'budget', 'al', ['all']) // There is no budget “al”; did you mean all? */
export function unknownName(
  code: ErrorCode,
  called: string,
  name: string,
  names: readonly string[],
): AiosError {
  const meant = closestName(name, names);
  const advice = meant === undefined ? '.' : `; did you mean ${meant}?`;
  return new AiosError(code, { detail: `There is no ${called} “${name}”${advice}` });
}

async function namesAt(client: AiosClient, path: string): Promise<string[] | undefined> {
  return (await listAt<{ name: string }>(client, path))?.map(({ name }) => name);
}

/** Undefined for a caller who may not list them. */
async function listAt<Item>(client: AiosClient, path: string): Promise<Item[] | undefined> {
  try {
    return (await client.request<{ items: Item[] }>('GET', path)).items;
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'access.forbidden') return undefined;
    throw error;
  }
}
