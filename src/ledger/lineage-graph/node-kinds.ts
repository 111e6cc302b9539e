import { closestName } from '../../kernel/closest-name.ts';
import { AiosError } from '../../kernel/errors.ts';

/** The kinds of nodes that the graph may have, as docs/lineage.md tells them. */
export const NODE_KINDS = [
  'bridge',
  'calendar',
  'column',
  'connector',
  'contract',
  'dataset',
  'decision',
  'decision-input',
  'decision-output',
  'entity',
  'event-type',
  'external-dataset',
  'feature',
  'feature-service',
  'feature-view',
  'field',
  'file',
  'job',
  'model',
  'operation',
  'queue',
  'run',
  'run-queue',
  'service-feature',
  'source',
  'table',
  'task',
  'workflow',
] as const;

/**
 * The kinds that a question names. One that there is not would find nothing, which looks like an answer.
 *
 * @throws AiosError `request.invalid` with the nearest kind
 * @example nodeKindsOf('feature,model') // ['feature', 'model']
 */
export function nodeKindsOf(text: string): string[] {
  const kinds = text.split(',').flatMap((kind) => kind.trim() || []);
  const known: readonly string[] = NODE_KINDS;
  const unknown = kinds.find((kind) => !known.includes(kind));
  if (unknown === undefined) return kinds;
  const meant = closestName(unknown, known);
  const advice = meant === undefined ? `: they are ${known.join(', ')}.` : `; did you mean ${meant}?`;
  throw new AiosError('request.invalid', {
    detail: `The graph has no kind of node “${unknown}”${advice}`,
  });
}
