import { randomUUID } from 'node:crypto';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { timestamp } from '../../store/rows.ts';
import type { Experiments, TrackingDependencies } from './experiments.ts';
import { type KeyValue, keyed } from './keyed.ts';
import type { Metric } from './metrics.ts';
import { type ColumnOf, type Search, searchPage } from './search.ts';
import { tracked } from './tracking-lane.ts';

export interface LoggedModel {
  readonly id: string;
  readonly experimentId: number;
  readonly name: string;
  readonly runId: string | null;
  readonly status: string;
  readonly modelType: string | null;
  readonly params: JsonObject;
  readonly tags: JsonObject;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly metrics: readonly (Metric & { runId: string })[];
}

const SELECT = `select l.id, l.experiment_id as "experimentId", l.name, l.run_id as "runId", l.status, l.model_type as "modelType",
  l.params, l.tags, l.created_at as "createdAt", l.updated_at as "updatedAt",
  coalesce((select json_agg(json_build_object('key', m.key, 'value', m.value::text, 'atMs', m.at_ms, 'step', m.step, 'modelId', m.model_id, 'runId', m.run_id) order by m.key)
    from (select distinct on (key) * from training_metrics where model_id = l.id order by key, step desc, at_ms desc, value desc) m), '[]') as metrics
  from logged_models l`;

/** Models as MLflow 3 logs them: with their own id, parameters and metrics, before any of them is registered. */
export class LoggedModels {
  readonly #deps: TrackingDependencies;
  readonly #experiments: Experiments;

  constructor(dependencies: TrackingDependencies, experiments: Experiments) {
    this.#deps = dependencies;
    this.#experiments = experiments;
  }

  /** @throws AiosError `experiments.unknown`, `experiments.deleted` */
  async create(wanted: {
    experimentId: string;
    name?: string | undefined;
    runId?: string | undefined;
    modelType?: string | undefined;
    params?: readonly KeyValue[] | undefined;
    tags?: readonly KeyValue[] | undefined;
  }): Promise<LoggedModel> {
    const experiment = await this.#experiments.active(wanted.experimentId);
    const id = `m-${randomUUID().replaceAll('-', '')}`;
    await this.#deps.commit.commit([
      tracked(
        `insert into logged_models (id, experiment_id, name, run_id, status, model_type, params, tags, created_at, updated_at)
         values ($1, $2, $3, $4, 'LOGGED_MODEL_PENDING', $5, $6, $7, $8, $8) on conflict (id) do nothing`,
        [
          id,
          experiment.id,
          wanted.name || `model-${id.slice(2, 12)}`,
          wanted.runId || null,
          wanted.modelType || null,
          JSON.stringify(keyed(wanted.params)),
          JSON.stringify(keyed(wanted.tags)),
          timestamp(this.#deps.clock.now()),
        ],
      ),
    ]);
    return this.get(id);
  }

  /** @throws AiosError `experiments.unknown` */
  async get(id: string, allowDeleted = false): Promise<LoggedModel> {
    const [row] = await this.#deps.db.query<LoggedModel>(
      `${SELECT} where l.id = $1 and (not l.is_deleted or $2)`,
      [id, allowDeleted],
    );
    if (row) return read(row);
    throw new AiosError('experiments.unknown', { detail: `There is no logged model ${id}.` });
  }

  /** @throws AiosError `experiments.unknown` */
  async finish(id: string, status: string): Promise<LoggedModel> {
    await this.#change(id, 'status = $2', status);
    return this.get(id);
  }

  /** @throws AiosError `experiments.unknown` */
  async addParams(id: string, params: readonly KeyValue[]): Promise<void> {
    await this.#change(id, 'params = $2::jsonb || params', JSON.stringify(keyed(params)));
  }

  /** @throws AiosError `experiments.unknown` */
  async setTags(id: string, tags: readonly KeyValue[]): Promise<LoggedModel> {
    await this.#change(id, 'tags = tags || $2::jsonb', JSON.stringify(keyed(tags)));
    return this.get(id);
  }

  /** @throws AiosError `experiments.unknown` */
  async deleteTag(id: string, key: string): Promise<void> {
    await this.#change(id, 'tags = tags - $2::text', key);
  }

  /** @throws AiosError `experiments.unknown` */
  async delete(id: string): Promise<void> {
    await this.#change(id, 'is_deleted = $2', true);
  }

  /** @throws AiosError `experiments.filter_invalid` */
  async search({ experimentIds, ...search }: Search & { experimentIds: readonly string[] }): Promise<{
    items: LoggedModel[];
    nextPageToken: string | undefined;
  }> {
    const ids = experimentIds.filter((id) => /^\d{1,15}$/.test(id));
    const { rows, nextPageToken } = await searchPage<LoggedModel>(
      this.#deps.db,
      this.#deps.limits,
      {
        select: SELECT,
        columnOf,
        where: (bind) => [`l.experiment_id = any(${bind(ids)}::bigint[])`, 'not l.is_deleted'],
        lastOrder: 'l.created_at desc, l.id',
      },
      search,
    );
    return { items: rows.map(read), nextPageToken };
  }

  async #change(id: string, change: string, value: unknown): Promise<void> {
    await this.get(id);
    await this.#deps.commit.commit([
      tracked(`update logged_models set ${change}, updated_at = $3 where id = $1`, [
        id,
        value,
        timestamp(this.#deps.clock.now()),
      ]),
    ]);
  }
}

/** JSON has no NaN: values come as texts. */
function read(row: LoggedModel): LoggedModel {
  return { ...row, metrics: row.metrics.map((metric) => ({ ...metric, value: Number(metric.value) })) };
}

const ATTRIBUTES: Readonly<Record<string, { sql: string; type: 'text' | 'number' }>> = {
  name: { sql: 'l.name', type: 'text' },
  model_id: { sql: 'l.id', type: 'text' },
  model_type: { sql: 'l.model_type', type: 'text' },
  status: { sql: "replace(l.status, 'LOGGED_MODEL_', '')", type: 'text' },
  source_run_id: { sql: 'l.run_id', type: 'text' },
  creation_timestamp: { sql: '(extract(epoch from l.created_at) * 1000)::float8', type: 'number' },
  creation_time: { sql: '(extract(epoch from l.created_at) * 1000)::float8', type: 'number' },
  last_updated_timestamp: { sql: '(extract(epoch from l.updated_at) * 1000)::float8', type: 'number' },
};

const columnOf: ColumnOf = (entity, key, bind) => {
  switch (entity) {
    case 'metric':
      return {
        sql: `(select m.value from training_metrics m where m.model_id = l.id and m.key = ${bind(key)}
               order by m.step desc, m.at_ms desc, m.value desc limit 1)`,
        type: 'number',
      };
    case 'param':
      return { sql: `l.params->>${bind(key)}::text`, type: 'text' };
    case 'tag':
      return { sql: `l.tags->>${bind(key)}::text`, type: 'text' };
    case 'attribute':
      return Object.hasOwn(ATTRIBUTES, key) ? ATTRIBUTES[key] : undefined;
    default:
      return undefined;
  }
};
