import { queryOptions } from '@tanstack/react-query';
import { act, get } from './request.ts';
import type { Page } from './shapes.ts';

/** Kinds of definitions: the collection of the API that holds them, and their folder in a project. */
export const KINDS: Readonly<Record<string, { collection: string; folder: string }>> = {
  contract: { collection: 'contracts', folder: 'contracts' },
  entity: { collection: 'entities', folder: 'entities' },
  'feature-view': { collection: 'feature-views', folder: 'features' },
  'feature-service': { collection: 'feature-services', folder: 'services' },
  dataset: { collection: 'dataset-definitions', folder: 'datasets' },
  decision: { collection: 'decisions', folder: 'decisions' },
  workflow: { collection: 'workflows', folder: 'workflows' },
  connector: { collection: 'connectors', folder: 'connectors' },
  bridge: { collection: 'bridges', folder: 'bridges' },
  calendar: { collection: 'calendars', folder: 'calendars' },
  'run-queue': { collection: 'run-queues', folder: 'run-queues' },
  queue: { collection: 'queues', folder: 'queues' },
};

type Severity = 'breaks' | 'changes-values' | 'unaffected';

/** What depends on a definition that a plan changes. */
export interface Impact {
  kind: string;
  name: string;
  severity: Severity;
  changes: {
    node: string;
    effect: 'removed' | 'retyped' | 'changed' | 'added';
    from?: string;
    to?: string;
  }[];
  affected: { node: string; severity: Severity; depth: number; through: string; writes?: boolean }[];
  runsUnderWay: number;
  hint: string;
  truncated: boolean;
}

export interface Plan {
  changes: { kind: string; name: string; action: 'create' | 'update' | 'unchanged'; toVersion: number }[];
  impact?: Impact[];
}

/** The names of a kind. */
export const namesQuery = (kind: string) =>
  queryOptions({
    queryKey: ['definitions', kind],
    queryFn: () => get<Page<{ name: string }>>(`/api/v1/${KINDS[kind]!.collection}`),
  });

/** The text of the version in force, as its author wrote it. */
export const sourceQuery = (kind: string, name: string) =>
  queryOptions({
    queryKey: ['definitions', kind, name],
    queryFn: async () => {
      const path = `/api/v1/${KINDS[kind]!.collection}/${encodeURIComponent(name)}/versions`;
      const { items } = await get<Page<{ version: number; source: string }>>(path);
      return items[0]!;
    },
  });

/** What a text of a definition would change, or its change. */
export function applyText(kind: string, name: string, text: string, dryRun: boolean): Promise<Plan> {
  const ending = text.trimStart().startsWith('{') ? 'json' : 'yaml';
  const files = [{ path: `${KINDS[kind]!.folder}/${name}.${ending}`, text }];
  return act('POST', `/api/v1/apply?dryRun=${dryRun}`, { files });
}
