import type { CompiledService } from '../service.ts';
import type { FeatureViews } from '../views.ts';
import type { DatasetBody } from './dataset-kind.ts';

/**
 * The service whose vectors a dataset holds: the one that it names, or the features of its views.
 *
 * @throws AiosError `features.unknown_service`, `features.building`
 * @example serviceOf({ name: 'd', views: ['customer-orders'] }, views).names
 */
export function serviceOf(
  { name, service, views: listed = [], fullFeatureNames = false }: DatasetBody,
  views: Pick<FeatureViews, 'service' | 'serviceOf'>,
): CompiledService {
  return service === undefined
    ? views.serviceOf(`the dataset “${name}”`, { views: listed, fullFeatureNames })
    : views.service(service);
}

/** What the entity rows call the join keys of all views of a service, in their order. */
export function joinKeysOf({ streams, rows }: CompiledService): string[] {
  return [...new Set([...streams, ...rows].flatMap(({ keys }) => keys))];
}

/** The join keys that their entities declare as text. */
export function textKeysOf({ streams, rows }: CompiledService): string[] {
  const texts = [...streams, ...rows].flatMap(({ keys, keyTypes }) =>
    keys.filter((key) => keyTypes?.[key] === 'string'),
  );
  return [...new Set(texts)];
}
