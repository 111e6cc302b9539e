import type { JsonObject } from '../../kernel/json.ts';
import type { ColumnOf } from './search.ts';

/** A model of the registry, as MLflow's clients see it. */
export interface RegisteredModel {
  /** In AIOS. */
  readonly name: string;
  /** As the client that registered it wrote it. */
  readonly title: string;
  readonly description: string;
  readonly tags: JsonObject;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly createdBy: string;
  readonly aliases: Readonly<Record<string, number>>;
}

export interface RegisteredVersion {
  readonly name: string;
  readonly title: string;
  readonly version: number;
  readonly description: string;
  readonly tags: JsonObject;
  readonly runId: string | null;
  readonly runLink: string | null;
  readonly source: string;
  readonly modelId: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly createdBy: string;
  /** Why it cannot be served; empty for one that can. */
  readonly fault: string;
  readonly aliases: readonly string[];
}

/** Models that AIOS has, whoever registered them, and names that a client registered before any version. */
export const MODELS = `select * from (
  select n.name, coalesce(r.title, n.name) as title, coalesce(r.description, '') as description, coalesce(r.tags, '{}') as tags,
    coalesce(r.created_at, n.first_at) as "createdAt", greatest(r.updated_at, n.last_at) as "updatedAt",
    coalesce(r.created_by, n.first_by) as "createdBy",
    coalesce((select json_object_agg(alias, version) from model_aliases a where a.name = n.name), '{}') as aliases
  from (select name, min(created_at) as first_at, max(created_at) as last_at, (array_agg(created_by order by version))[1] as first_by
        from (select name, version, created_at, created_by from model_versions
              union all select name, 0, created_at, created_by from registered_models) every group by name) n
  left join registered_models r on r.name = n.name) g`;

export const VERSIONS = `select * from (
  select v.name, coalesce(m.title, v.name) as title, v.version, coalesce(r.description, '') as description, coalesce(r.tags, '{}') as tags,
    r.run_id as "runId", r.run_link as "runLink", coalesce(r.source, 'models:/' || v.name || '/' || v.version) as source, r.model_id as "modelId",
    v.created_at as "createdAt", coalesce(r.updated_at, v.created_at) as "updatedAt", v.created_by as "createdBy",
    case when v.runtime = 'files' then v.endpoint->>'reason' else '' end as fault,
    array(select alias from model_aliases a where a.name = v.name and a.version = v.version order by alias) as aliases
  from model_versions v
  left join registered_versions r on r.name = v.name and r.version = v.version
  left join registered_models m on m.name = v.name) g`;

const ATTRIBUTES: Readonly<Record<string, { sql: string; type: 'text' | 'number' }>> = {
  name: { sql: 'title', type: 'text' },
  creation_timestamp: { sql: '(extract(epoch from "createdAt") * 1000)::float8', type: 'number' },
  creation_time: { sql: '(extract(epoch from "createdAt") * 1000)::float8', type: 'number' },
  last_updated_timestamp: { sql: '(extract(epoch from "updatedAt") * 1000)::float8', type: 'number' },
};

const OF_VERSIONS: typeof ATTRIBUTES = {
  ...ATTRIBUTES,
  version: { sql: 'version', type: 'number' },
  version_number: { sql: 'version', type: 'number' },
  run_id: { sql: '"runId"', type: 'text' },
  source: { sql: 'source', type: 'text' },
  source_path: { sql: 'source', type: 'text' },
  model_id: { sql: '"modelId"', type: 'text' },
};

const PROMPT_TAG = 'mlflow.prompt.is_prompt';

const columnsOf =
  (attributes: typeof ATTRIBUTES): ColumnOf =>
  (entity, key, bind) => {
    // The client asks for what is no prompt in every search of models; a model without the tag is none.
    if (entity === 'tag' && key === PROMPT_TAG)
      return { sql: `coalesce(tags->>${bind(key)}::text, 'false')`, type: 'text' };
    if (entity === 'tag') return { sql: `tags->>${bind(key)}::text`, type: 'text' };
    if (entity !== 'attribute') return undefined;
    return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
  };

/** What filters and orders of models may name. */
export const modelColumn: ColumnOf = columnsOf(ATTRIBUTES);
/** What filters and orders of versions may name. */
export const versionColumn: ColumnOf = columnsOf(OF_VERSIONS);
