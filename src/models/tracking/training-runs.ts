import { randomUUID } from 'node:crypto';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { timestamp } from '../../store/rows.ts';
import { RUN_ARTIFACTS } from './artifacts.ts';
import type { Experiments, TrackingDependencies, ViewType } from './experiments.ts';
import { viewOf } from './experiments.ts';
import { type KeyValue, keyed } from './keyed.ts';
import { type LatestMetric, latestOf, type NewMetric, writeMetrics } from './metrics.ts';
import { type ColumnOf, type Search, searchPage } from './search.ts';
import { tracked } from './tracking-lane.ts';

type RunStatus = 'RUNNING' | 'SCHEDULED' | 'FINISHED' | 'FAILED' | 'KILLED';

export interface TrainingRun {
  readonly id: string;
  readonly experimentId: number;
  readonly name: string;
  readonly userId: string;
  readonly status: RunStatus;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  readonly params: JsonObject;
  readonly tags: JsonObject;
  /** Datasets, as the client described each. */
  readonly inputs: readonly Json[];
  readonly modelInputs: readonly Json[];
  readonly modelOutputs: readonly Json[];
  readonly isDeleted: boolean;
  readonly createdBy: string;
}

/** With the last value of each metric. */
export interface ToldRun extends TrainingRun {
  readonly metrics: readonly LatestMetric[];
}

export interface NewTrainingRun {
  experimentId?: string | undefined;
  name?: string | undefined;
  userId?: string | undefined;
  startedMs?: number | undefined;
  tags?: readonly KeyValue[] | undefined;
  by: string;
}

export interface Batch {
  metrics?: readonly NewMetric[] | undefined;
  params?: readonly KeyValue[] | undefined;
  tags?: readonly KeyValue[] | undefined;
}

const NAME_TAG = 'mlflow.runName';
const USER_TAG = 'mlflow.user';
const SELECT = `select r.id, r.experiment_id as "experimentId", r.name, r.user_id as "userId", r.status, r.started_ms as "startedMs",
  r.ended_ms as "endedMs", r.params, r.tags, r.inputs, r.model_inputs as "modelInputs", r.model_outputs as "modelOutputs",
  r.is_deleted as "isDeleted", r.created_by as "createdBy" from training_runs r`;
const NAME_DIGITS = 10; // of the id, in the name of a run that was given none

/**
 * Runs of training, with their parameters, metrics and tags, in MLflow's sense of them.
 *
 * @example const { id } = await runs.create({ experimentId: '0', by: 'key_…' }); await runs.log(id, { params: [{ key: 'depth', value: '6' }] })
 */
export class TrainingRuns {
  readonly #deps: TrackingDependencies;
  readonly #experiments: Experiments;

  constructor(dependencies: TrackingDependencies, experiments: Experiments) {
    this.#deps = dependencies;
    this.#experiments = experiments;
  }

  /** @throws AiosError `experiments.unknown`, `experiments.deleted` */
  async create({
    experimentId = '0',
    name,
    userId,
    startedMs,
    tags = [],
    by,
  }: NewTrainingRun): Promise<ToldRun> {
    const experiment = await this.#experiments.active(experimentId);
    const id = randomUUID().replaceAll('-', '');
    const given = keyed(tags);
    const called = name || String(given[NAME_TAG] ?? `run-${id.slice(0, NAME_DIGITS)}`);
    const all = { ...given, [NAME_TAG]: called };
    await this.#deps.commit.commit([
      tracked(
        `insert into training_runs (id, experiment_id, name, user_id, status, started_ms, tags, created_by)
         values ($1, $2, $3, $4, 'RUNNING', $5, $6, $7) on conflict (id) do nothing`,
        [
          id,
          experiment.id,
          called,
          userId || String(given[USER_TAG] ?? ''),
          startedMs ?? this.#deps.clock.now(),
          JSON.stringify(all),
          by,
        ],
      ),
    ]);
    return this.get(id);
  }

  /** @throws AiosError `experiments.unknown` */
  async get(id: string): Promise<ToldRun> {
    const [row] = await this.#deps.db.query<TrainingRun>(`${SELECT} where r.id = $1`, [id]);
    if (!row) throw new AiosError('experiments.unknown', { detail: `There is no training run ${id}.` });
    return (await this.#withMetrics([row]))[0]!;
  }

  /** @throws AiosError `experiments.unknown`, `experiments.deleted` */
  async update(
    id: string,
    {
      status,
      endedMs,
      name,
    }: { status?: string | undefined; endedMs?: number | undefined; name?: string | undefined },
  ): Promise<ToldRun> {
    await this.#active(id);
    await this.#change(
      id,
      `status = coalesce($2, status), ended_ms = coalesce($3, ended_ms), name = coalesce($4, name),
       tags = case when $4::text is null then tags else tags || jsonb_build_object('${NAME_TAG}', $4::text) end`,
      [status ?? null, endedMs ?? null, name || null],
    );
    return this.get(id);
  }

  /** @throws AiosError `experiments.unknown` */
  async setDeleted(id: string, isDeleted: boolean): Promise<void> {
    await this.get(id);
    await this.#change(id, 'is_deleted = $2, deleted_at = case when $2 then $3::timestamptz end', [
      isDeleted,
      timestamp(this.#deps.clock.now()),
    ]);
  }

  /**
   * Adds parameters, tags and metrics, all in one commit.
   *
   * @throws AiosError `experiments.unknown`, `experiments.deleted`, `experiments.param_kept`, `request.too_large`
   */
  async log(id: string, { metrics = [], params = [], tags = [] }: Batch): Promise<void> {
    this.#checkSizes(metrics, params, tags);
    const { params: present } = await this.#active(id);
    const given = keyed(params);
    for (const { key, value } of params) {
      const kept = present[key] ?? given[key];
      if (kept !== value)
        throw new AiosError('experiments.param_kept', {
          detail: `${key} of the run ${id} is “${String(kept)}” and not “${value}”.`,
        });
    }
    const changes: [string, unknown][] = [];
    // What is there stays, should another call have written it since.
    if (params.length > 0) changes.push(['params = $::jsonb || params', JSON.stringify(given)]);
    if (tags.length > 0) {
      const all = keyed(tags);
      changes.push(['tags = tags || $::jsonb', JSON.stringify(all)]);
      if (all[NAME_TAG] !== undefined) changes.push(['name = $', all[NAME_TAG]]);
    }
    const writes = metrics.length > 0 ? writeMetrics(id, metrics) : [];
    if (changes.length > 0) {
      const sets = changes.map(([text], i) => text.replace('$', `$${i + 2}`));
      const values = changes.map(([, value]) => value);
      writes.push(tracked(`update training_runs set ${sets.join(', ')} where id = $1`, [id, ...values]));
    }
    if (writes.length > 0) await this.#deps.commit.commit(writes);
  }

  /** @throws AiosError `experiments.unknown`, `experiments.deleted` */
  async deleteTag(id: string, key: string): Promise<void> {
    const { tags } = await this.#active(id);
    if (tags[key] === undefined)
      throw new AiosError('experiments.unknown', { detail: `The run ${id} has no tag “${key}”.` });
    await this.#change(id, 'tags = tags - $2::text', [key]);
  }

  /** Adds what it read and what it made; the same again is no second one. */
  async link(
    id: string,
    {
      datasets = [],
      models = [],
      outputs = [],
    }: {
      datasets?: readonly Json[] | undefined;
      models?: readonly Json[] | undefined;
      outputs?: readonly Json[] | undefined;
    },
  ): Promise<void> {
    await this.#active(id);
    const added = (column: string, items: readonly Json[]) =>
      items.map((item) =>
        tracked(
          // Decided under the row's lock: several processes of one training link at a time.
          `update training_runs set ${column} = ${column} || $2::jsonb where id = $1 and not ${column} @> $2::jsonb`,
          [id, JSON.stringify([item])],
        ),
      );
    const writes = [
      ...added('inputs', datasets),
      ...added('model_inputs', models),
      ...added('model_outputs', outputs),
    ];
    if (writes.length > 0) await this.#deps.commit.commit(writes);
  }

  /** @throws AiosError `experiments.filter_invalid` */
  async search({
    experimentIds,
    viewType = 'ACTIVE_ONLY',
    ...search
  }: Search & { experimentIds: readonly string[]; viewType?: ViewType | undefined }): Promise<{
    items: ToldRun[];
    nextPageToken: string | undefined;
  }> {
    const ids = experimentIds.filter((id) => /^\d{1,15}$/.test(id));
    const { rows, nextPageToken } = await searchPage<TrainingRun>(
      this.#deps.db,
      this.#deps.limits,
      {
        select: SELECT,
        columnOf,
        where: (bind) => [
          `r.experiment_id = any(${bind(ids)}::bigint[])`,
          ...viewOf(viewType, 'r.is_deleted'),
        ],
        lastOrder: 'r.started_ms desc, r.id',
      },
      search,
    );
    return { items: await this.#withMetrics(rows), nextPageToken };
  }

  /** Every value of one metric, by step and time. */
  async history(
    id: string,
    key: string,
    { maxResults, pageToken }: { maxResults?: number | undefined; pageToken?: string | undefined } = {},
  ): Promise<{ items: LatestMetric[]; nextPageToken: string | undefined }> {
    await this.get(id);
    const { trackingHistoryCountMax, trackingFilterCountMax } = this.#deps.limits;
    const { rows, nextPageToken } = await searchPage<LatestMetric>(
      this.#deps.db,
      { trackingPageCountMax: trackingHistoryCountMax, trackingFilterCountMax },
      {
        select: `select distinct key, value, step, at_ms as "atMs", at_ms from training_metrics`,
        columnOf: () => undefined,
        where: (bind) => [`run_id = ${bind(id)}`, `key = ${bind(key)}`],
        lastOrder: 'step, at_ms, value',
      },
      { maxResults: maxResults ?? trackingHistoryCountMax, pageToken },
    );
    return { items: rows, nextPageToken };
  }

  async #withMetrics(rows: readonly TrainingRun[]): Promise<ToldRun[]> {
    const metrics = await latestOf(
      this.#deps.db,
      rows.map(({ id }) => id),
    );
    return rows.map((row) => ({ ...row, metrics: metrics.get(row.id) ?? [] }));
  }

  async #active(id: string): Promise<TrainingRun> {
    const [run] = await this.#deps.db.query<TrainingRun>(`${SELECT} where r.id = $1`, [id]);
    if (!run) throw new AiosError('experiments.unknown', { detail: `There is no training run ${id}.` });
    if (run.isDeleted)
      throw new AiosError('experiments.deleted', { detail: `The training run ${id} is deleted.` });
    return run;
  }

  async #change(id: string, change: string, values: readonly unknown[]): Promise<void> {
    await this.#deps.commit.commit([
      tracked(`update training_runs set ${change} where id = $1`, [id, ...values]),
    ]);
  }

  #checkSizes(metrics: readonly NewMetric[], params: readonly KeyValue[], tags: readonly KeyValue[]): void {
    const { limits } = this.#deps;
    const over = (name: keyof typeof limits, count: number, what: string) => {
      if (count > limits[name])
        throw new AiosError('request.too_large', {
          detail: `${what}: ${count}.`,
          extensions: { limitName: name, limit: limits[name] },
        });
    };
    over('trackingBatchMetricsMax', metrics.length, 'Metrics in one call');
    over('trackingBatchParamsMax', params.length, 'Parameters in one call');
    over('trackingBatchParamsMax', tags.length, 'Tags in one call');
    for (const { key } of [...metrics, ...params, ...tags])
      over('trackingKeyCharsMax', key.length, `Characters of the name “${key.slice(0, 40)}…”`);
    for (const { key, value } of params)
      over('trackingParamCharsMax', value.length, `Characters of the parameter ${key}`);
    for (const { key, value } of tags)
      over('trackingTagCharsMax', value.length, `Characters of the tag ${key}`);
  }
}

const ATTRIBUTES: Readonly<Record<string, { sql: string; type: 'text' | 'number' }>> = {
  run_id: { sql: 'r.id', type: 'text' },
  id: { sql: 'r.id', type: 'text' },
  run_name: { sql: 'r.name', type: 'text' },
  name: { sql: 'r.name', type: 'text' },
  'run name': { sql: 'r.name', type: 'text' },
  'Run name': { sql: 'r.name', type: 'text' },
  'Run Name': { sql: 'r.name', type: 'text' },
  artifact_uri: { sql: RUN_ARTIFACTS, type: 'text' },
  experiment_id: { sql: 'r.experiment_id::text', type: 'text' },
  status: { sql: 'r.status', type: 'text' },
  user_id: { sql: 'r.user_id', type: 'text' },
  start_time: { sql: 'r.started_ms', type: 'number' },
  end_time: { sql: 'r.ended_ms', type: 'number' },
  created: { sql: 'r.started_ms', type: 'number' },
  Created: { sql: 'r.started_ms', type: 'number' },
};

const DATASET_KEYS: Readonly<Record<string, string>> = {
  name: "i->'dataset'->>'name'",
  digest: "i->'dataset'->>'digest'",
  context: `(select t->>'value' from jsonb_array_elements(i->'tags') t where t->>'key' = 'mlflow.data.context')`,
};

const columnOf: ColumnOf = (entity, key, bind) => {
  switch (entity) {
    case 'metric':
      return {
        sql: `(select m.value from training_latest_metrics m where m.run_id = r.id and m.key = ${bind(key)})`,
        type: 'number',
      };
    case 'param':
      return { sql: `r.params->>${bind(key)}::text`, type: 'text' };
    case 'tag':
      return { sql: `r.tags->>${bind(key)}::text`, type: 'text' };
    case 'dataset': {
      const sql = DATASET_KEYS[key];
      return sql === undefined
        ? undefined
        : { sql, type: 'text', any: 'select from jsonb_array_elements(r.inputs) i' };
    }
    default:
      return Object.hasOwn(ATTRIBUTES, key) ? ATTRIBUTES[key] : undefined;
  }
};
