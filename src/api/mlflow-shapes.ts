import { Type } from 'typebox';
import type { JsonObject } from '../kernel/json.ts';
import { modelArtifacts, runArtifacts } from '../models/tracking/artifacts.ts';
import type { Experiment } from '../models/tracking/experiments.ts';
import type { LoggedModel } from '../models/tracking/logged-models.ts';
import type { LatestMetric, NewMetric } from '../models/tracking/metrics.ts';
import type { RegisteredModel, RegisteredVersion } from '../models/tracking/registry-rows.ts';
import type { ToldRun } from '../models/tracking/training-runs.ts';

/* MLflow's messages (mlflow/protos/service.proto, model_registry.proto) as JSON. */

export const Pair = Type.Object({ key: Type.String({ minLength: 1 }), value: Type.String({ default: '' }) });
export const Pairs = Type.Optional(Type.Array(Pair));
export const Text = Type.String({ minLength: 1 });
export const MaybeText = Type.Optional(Type.String());
export const MaybeTime = Type.Optional(Type.Integer());
export const View = Type.Optional(
  Type.Union([Type.Literal('ACTIVE_ONLY'), Type.Literal('DELETED_ONLY'), Type.Literal('ALL')]),
);
/** One text, or several, as a query repeats a name. */
const Texts = Type.Optional(Type.Union([Type.Array(Type.String()), Type.String()]));
export const Page = {
  filter: MaybeText,
  max_results: Type.Optional(Type.Integer({ minimum: 0 })),
  order_by: Texts,
  page_token: MaybeText,
};
/** A number; JSON has no NaN and no infinity, and protobuf's JSON writes them as texts. */
export const MetricFields = {
  key: Text,
  value: Type.Unsafe<number | string>({
    anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }],
    default: 0,
  }),
  timestamp: Type.Integer({ default: 0 }),
  step: Type.Integer({ default: 0 }),
  model_id: MaybeText,
  dataset_name: MaybeText,
  dataset_digest: MaybeText,
};

interface MetricMessage {
  key: string;
  value: number | string;
  timestamp: number;
  step: number;
  model_id?: string | undefined;
  dataset_name?: string | undefined;
  dataset_digest?: string | undefined;
}

/** @example metricOf({ key: 'loss', value: 'NaN', timestamp: 0, step: 0 }).value // NaN */
export function metricOf(message: MetricMessage): NewMetric {
  return {
    key: message.key,
    value: Number(message.value),
    atMs: message.timestamp,
    step: message.step,
    modelId: message.model_id,
    datasetName: message.dataset_name,
    datasetDigest: message.dataset_digest,
  };
}

interface PageMessage {
  filter?: string | undefined;
  max_results?: number | undefined;
  order_by?: string | string[] | undefined;
  page_token?: string | undefined;
}

/** What a search takes of a message. */
export function searchOf({
  filter,
  max_results: maxResults,
  order_by: orderBy,
  page_token: pageToken,
}: PageMessage) {
  return {
    filter,
    maxResults: maxResults || undefined,
    orderBy: typeof orderBy === 'string' ? [orderBy] : orderBy,
    pageToken: pageToken || undefined,
  };
}

const pairs = (values: JsonObject) =>
  Object.entries(values).map(([key, value]) => ({ key, value: String(value) }));

function metricJson({ key, value, atMs, step, ...of }: LatestMetric & { modelId?: string; runId?: string }) {
  return {
    key,
    value: Number.isFinite(value) ? value : String(value),
    timestamp: atMs,
    step,
    ...(of.modelId && { model_id: of.modelId }),
    ...(of.runId && { run_id: of.runId }),
  };
}

export const metricsJson = (metrics: readonly LatestMetric[]) => metrics.map(metricJson);

export function experimentJson({ id, name, tags, isDeleted, createdAt, updatedAt }: Experiment) {
  return {
    experiment_id: String(id),
    name,
    artifact_location: `mlflow-artifacts:/${id}`,
    lifecycle_stage: isDeleted ? 'deleted' : 'active',
    creation_time: createdAt,
    last_update_time: updatedAt,
    tags: pairs(tags),
  };
}

export function runInfoJson(run: ToldRun) {
  return {
    run_id: run.id,
    run_uuid: run.id,
    run_name: run.name,
    experiment_id: String(run.experimentId),
    user_id: run.userId,
    status: run.status,
    ...(run.startedMs !== null && { start_time: run.startedMs }),
    ...(run.endedMs !== null && { end_time: run.endedMs }),
    artifact_uri: runArtifacts(run),
    lifecycle_stage: run.isDeleted ? 'deleted' : 'active',
  };
}

export function runJson(run: ToldRun) {
  return {
    info: runInfoJson(run),
    data: { metrics: metricsJson(run.metrics), params: pairs(run.params), tags: pairs(run.tags) },
    inputs: { dataset_inputs: run.inputs, model_inputs: run.modelInputs },
    outputs: { model_outputs: run.modelOutputs },
  };
}

export function loggedModelJson(model: LoggedModel) {
  return {
    info: {
      model_id: model.id,
      experiment_id: String(model.experimentId),
      name: model.name,
      creation_timestamp_ms: model.createdAt,
      last_updated_timestamp_ms: model.updatedAt,
      artifact_uri: modelArtifacts(model),
      status: model.status,
      ...(model.modelType && { model_type: model.modelType }),
      ...(model.runId && { source_run_id: model.runId }),
      tags: pairs(model.tags),
    },
    data: { params: pairs(model.params), metrics: metricsJson(model.metrics) },
  };
}

export function registeredModelJson(model: RegisteredModel, newest: RegisteredVersion | undefined) {
  return {
    name: model.title,
    creation_timestamp: model.createdAt,
    last_updated_timestamp: model.updatedAt,
    user_id: model.createdBy,
    description: model.description,
    latest_versions: newest ? [registeredVersionJson(newest)] : [],
    tags: pairs(model.tags),
    aliases: Object.entries(model.aliases).map(([alias, version]) => ({ alias, version: String(version) })),
  };
}

export function registeredVersionJson(version: RegisteredVersion) {
  return {
    name: version.title,
    version: String(version.version),
    creation_timestamp: version.createdAt,
    last_updated_timestamp: version.updatedAt,
    user_id: version.createdBy,
    current_stage: 'None', // stages are MLflow's past: aliases take their place
    description: version.description,
    source: version.source,
    ...(version.runId && { run_id: version.runId }),
    ...(version.runLink && { run_link: version.runLink }),
    ...(version.modelId && { model_id: version.modelId }),
    status: 'READY',
    ...(version.fault && { status_message: `Kept, not served: ${version.fault}` }),
    tags: pairs(version.tags),
    aliases: version.aliases,
  };
}
