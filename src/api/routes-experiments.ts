import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { isObject, type Json } from '../kernel/json.ts';
import type { Experiment, Experiments } from '../models/tracking/experiments.ts';
import { versionsMadeBy } from '../models/tracking/made-versions.ts';
import type { ToldRun, TrainingRuns } from '../models/tracking/training-runs.ts';
import type { Queryable } from '../store/database.ts';
import { route } from './routes.ts';
import { AnyObject, iso, isoOrUndefined, NameParams, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  db: Queryable;
  experiments: Experiments;
  trainingRuns: TrainingRuns;
}

const tag = 'experiments';
const permission = 'models.read';
const HISTORY_MAX = 5_000;
const filter = Type.Optional(
  Type.String({ description: "As MLflow’s: `metrics.auc > 0.8 and params.depth = '6'`" }),
);

/** Experiments and their runs as people look at them; what trains speaks MLflow's API. */
export function experimentRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    listRoutes(server, dependencies);
    runRoutes(server, dependencies);
  };
}

function listRoutes(server: FastifyInstance, { db, experiments, trainingRuns }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/experiments',
    permission,
    summary: 'Experiments, the newest first',
    tag,
    query: pageQuery({ filter }),
    answer: pageOf(AnyObject),
    handle: async ({ query }) => {
      const { items, nextPageToken } = await experiments.search({
        filter: query.filter,
        maxResults: query.limit,
        pageToken: query.cursor,
      });
      return { items: items.map(experimentToJson), nextCursor: nextPageToken ?? null };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/experiments/:name/runs',
    permission,
    summary:
      'The training runs of an experiment, with their parameters, the last value of each metric, and the model versions made of them',
    tag,
    params: NameParams,
    query: pageQuery({
      filter,
      orderBy: Type.Optional(Type.String({ description: 'Such as `metrics.auc DESC`' })),
    }),
    answer: pageOf(AnyObject),
    handle: async ({ params, query }) => {
      const { id } = await experiments.named(params.name);
      const { items, nextPageToken } = await trainingRuns.search({
        experimentIds: [String(id)],
        filter: query.filter,
        orderBy: query.orderBy === undefined ? [] : [query.orderBy],
        maxResults: query.limit,
        pageToken: query.cursor,
      });
      const made = await versionsMadeBy(
        db,
        items.map(({ id: run }) => run),
      );
      return {
        items: items.map((run) => ({ ...runToJson(run), versions: made.get(run.id) ?? [] })),
        nextCursor: nextPageToken ?? null,
      };
    },
  });
}

function runRoutes(server: FastifyInstance, { db, experiments, trainingRuns }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/training-runs/:id',
    permission,
    summary:
      'One training run, with its experiment, the datasets that it read and the model versions made of it',
    tag,
    params: Type.Object({ id: Type.String({ minLength: 1 }) }),
    answer: AnyObject,
    handle: async ({ params }) => {
      const run = await trainingRuns.get(params.id);
      const [experiment, made] = await Promise.all([
        experiments.get(run.experimentId),
        versionsMadeBy(db, [run.id]),
      ]);
      return {
        ...runToJson(run),
        experiment: { id: String(experiment.id), name: experiment.name },
        datasets: run.inputs.map(datasetToJson),
        versions: made.get(run.id) ?? [],
      };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/training-runs/:id/metrics/:key',
    permission,
    summary: 'The values of a metric of a training run, by step',
    tag,
    params: Type.Object({ id: Type.String({ minLength: 1 }), key: Type.String({ minLength: 1 }) }),
    answer: pageOf(AnyObject),
    handle: async ({ params }) => {
      const { items } = await trainingRuns.history(params.id, params.key, { maxResults: HISTORY_MAX });
      return { items: items.map(valueToJson), nextCursor: null };
    },
  });
}

function experimentToJson({ id, name, tags, createdAt, updatedAt }: Experiment) {
  return { id: String(id), name, tags, createdAt: iso(createdAt), updatedAt: iso(updatedAt) };
}

function runToJson({ id, name, userId, status, startedMs, endedMs, params, tags, metrics }: ToldRun) {
  return {
    id,
    name,
    user: userId,
    status,
    startedAt: isoOrUndefined(startedMs),
    endedAt: isoOrUndefined(endedMs),
    params,
    tags,
    metrics: Object.fromEntries(metrics.map(({ key, value }) => [key, numberToJson(value)])),
  };
}

/** A dataset as the client described it; what it is not sure to have said is left out. */
function datasetToJson(input: Json) {
  const { dataset, tags } = isObject(input) ? input : {};
  const { name, digest, source_type: sourceType, source } = isObject(dataset) ? dataset : {};
  const context = (Array.isArray(tags) ? tags : []).find(
    (tag) => isObject(tag) && tag.key === 'mlflow.data.context',
  );
  return { name, digest, sourceType, source, context: isObject(context) ? context.value : undefined };
}

function valueToJson({ step, value, atMs }: { step: number; value: number; atMs: number }) {
  return { step, value: numberToJson(value), at: iso(atMs) };
}

/** JSON has no NaN and no infinity. */
const numberToJson = (value: number) => (Number.isFinite(value) ? value : String(value));
