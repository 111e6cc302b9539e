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
  try {
    const { items } = await client.request<{ items: { name: string }[] }>('GET', path);
    return items.map(({ name }) => name);
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'access.forbidden') return undefined;
    throw error;
  }
}
