import type { ModelVersion } from '../api/shapes.ts';
import { count, share } from '../display/format.ts';

/** What stands around the calls of a version, as far as its definition names it. */
export function guardFigures({
  cache,
  circuit,
  degraded,
  rateLimited,
}: NonNullable<ModelVersion['serving']>): [name: string, value: string][] {
  const figures: [string, string][] = [];
  if (cache) {
    const spared = cache.hits + cache.shared;
    figures.push(['From the cache', share(spared, spared + cache.misses)]);
  }
  if (circuit) figures.push(['Circuit', circuit.state], ['Opened', count(circuit.opened)]);
  if (degraded > 0) figures.push(['Degraded', count(degraded)]);
  if (rateLimited > 0) figures.push(['Over the rate', count(rateLimited)]);
  return figures;
}
