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
