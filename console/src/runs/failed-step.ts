import type { Run } from '../api/shapes.ts';

/**
 * The step of the flow at which a run failed, from the JSON pointer of its error. What raises or computes leaves no record when it fails:
 * without this the chart would show it as never reached.
 *
 * @example failedStepId({ status: 'failed', error: { instance: '/do/1/fails' }, graph }) // 'fails'
 */
export function failedStepId({
  status,
  error,
  graph,
}: Pick<Run, 'status' | 'error' | 'graph'>): string | undefined {
  if (status !== 'failed' || error?.instance === undefined) return undefined;
  const pointer = error.instance.split('/');
  const ends = graph.nodes.filter(({ id }) => leadsTo(id.split('/'), pointer));
  return ends.sort((a, b) => b.id.length - a.id.length)[0]?.id;
}

/** Whether the names stand in the pointer in this order, the last of them at its end: between them stand `do`, `try` and places. */
function leadsTo(names: readonly string[], pointer: readonly string[]): boolean {
  if (names.at(-1) !== pointer.at(-1)) return false;
  let at = 0;
  for (const name of names) {
    at = pointer.indexOf(name, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
