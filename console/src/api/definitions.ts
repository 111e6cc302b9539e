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
  model: { collection: 'model-definitions', folder: 'models' },
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
  /** Names that nothing has: asked for when a run comes there. */
  warnings?: { path: string; message: string; meant?: string }[];
}

/** A file of a project, as it is applied: text, or bytes in base64. */
export interface ProjectFile {
  path: string;
  text?: string;
  base64?: string;
}

interface DefinitionVersion {
  version: number;
  source: string;
  /** `module` and `code` of a feature view: its text stands in a file beside it. */
  body: { module?: string; code?: string };
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
      const { items } = await get<Page<DefinitionVersion>>(path);
      return items[0]!;
    },
  });

/** The folder of a definition in a project: a model has one of its own. */
export function folderOf(kind: string, name: string): string {
  const { folder } = KINDS[kind]!;
  return kind === 'model' ? `${folder}/${name}` : folder;
}

/** The file of a definition in a project. */
export function fileOf(kind: string, name: string, text: string): ProjectFile {
  const ending = text.trimStart().startsWith('{') ? 'json' : 'yaml';
  return { path: `${folderOf(kind, name)}/${kind === 'model' ? 'model' : name}.${ending}`, text };
}

/** What files would change, or their change. */
export function applyFiles(files: readonly ProjectFile[], dryRun: boolean): Promise<Plan> {
  return act('POST', `/api/v1/apply?dryRun=${dryRun}`, { files });
}
