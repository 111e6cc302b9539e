import { AiosError } from '../../kernel/errors.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { EntityBody, FeatureServiceBody } from '../definitions.ts';
import { type CompiledService, compileService, type OnDemandView } from '../service.ts';
import {
  type FeatureViewBody,
  kindOfView,
  type OnDemandViewBody,
  type ValueType,
} from '../view-documents.ts';
import type { FeatureViews } from '../views.ts';
import type { DatasetBody } from './dataset-kind.ts';

interface Dependencies {
  readonly views: Pick<FeatureViews, 'service' | 'streamView' | 'rowView' | 'functions'>;
  readonly definitions: Pick<Definitions, 'latest'>;
}

/**
 * The service whose vectors a dataset holds: the one that it names, or all features of its views.
 *
 * @throws AiosError `features.unknown_service`, `features.building`
 * @example serviceOf({ name: 'd', views: ['customer-orders'] }, { views, definitions }).names
 */
export function serviceOf(
  { name, service, views: listed = [] }: Pick<DatasetBody, 'name' | 'service' | 'views'>,
  { views, definitions }: Dependencies,
): CompiledService {
  if (service !== undefined) return views.service(service);
  const names = new Set(listed);
  const streams: CompiledService['streams'][number][] = [];
  const rows: CompiledService['rows'][number][] = [];
  const onDemand: OnDemandView[] = [];
  for (const view of names) {
    const definition = definitions.latest('feature-view', view);
    const kind = definition && kindOfView(definition.body as unknown as FeatureViewBody);
    if (kind === 'on-demand') {
      const body = definition!.body as unknown as OnDemandViewBody;
      onDemand.push({ name: view, version: definition!.version, body });
      for (const input of body.source.views) names.add(input); // a Set goes on with what is added
      continue;
    }
    const row = kind === 'stream' ? undefined : views.rowView(view);
    const stream = kind === 'stream' ? views.streamView(view) : undefined;
    if (row) rows.push(row);
    else if (stream) streams.push(stream);
    else {
      throw new AiosError('features.building', {
        detail: `The feature view “${view}” of the dataset “${name}” is not built from the log yet.`,
      });
    }
  }
  const body: FeatureServiceBody = { name, views: [...listed] };
  return compileService(body, 0, '', { streams, rows, onDemand, listed: new Set(listed) }, views.functions);
}

/** The join keys of all views of a service, in their order. */
export function joinKeysOf({ streams, rows }: CompiledService): string[] {
  return [...new Set([...streams, ...rows].flatMap(({ joinKeys }) => joinKeys))];
}

/** The join keys that their entities declare as text. */
export function textKeysOf({ streams, rows }: CompiledService): string[] {
  const isText = ({ keyTypes }: { keyTypes: EntityBody['types'] }, key: string) =>
    keyTypes?.[key] === 'string';
  return [
    ...new Set([...streams, ...rows].flatMap((view) => view.joinKeys.filter((key) => isText(view, key)))),
  ];
}

/** What is known of the types of a service's features before a value was seen: what aggregates and definitions say. */
export function declaredTypes({ streams, rows, onDemand }: CompiledService): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const { features } of streams) {
    for (const { name, aggregate } of features) {
      if (aggregate === 'count' || aggregate === 'distinct') types.set(name, 'int64');
      else if (aggregate === 'sum' || aggregate === 'mean' || aggregate === 'stddev')
        types.set(name, 'float64');
    }
  }
  for (const { features } of rows) for (const { name, type } of features) types.set(name, type);
  for (const { body } of onDemand)
    for (const [name, { type }] of Object.entries(body.features)) types.set(name, type);
  return types;
}
