import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Json } from '../kernel/json.ts';
import type { Experiments } from '../models/tracking/experiments.ts';
import type { TrainingRuns } from '../models/tracking/training-runs.ts';
import { mlflowRoute } from './mlflow-route.ts';
import {
  experimentJson,
  MaybeText,
  MaybeTime,
  MetricFields,
  metricOf,
  metricsJson,
  Page,
  Pair,
  Pairs,
  runInfoJson,
  runJson,
  searchOf,
  Text,
  View,
} from './mlflow-shapes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  experiments: Experiments;
  trainingRuns: TrainingRuns;
}

const read = 'models.read';
const log = 'experiments.write';

/** Experiments and runs of MLflow's API: what its stock clients call while they train. */
export function mlflowTrackingRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    experimentReadRoutes(server, dependencies);
    experimentChangeRoutes(server, dependencies);
    runRoutes(server, dependencies);
    runChangeRoutes(server, dependencies);
    loggingRoutes(server, dependencies);
    linkRoutes(server, dependencies);
  };
}

function experimentReadRoutes(server: FastifyInstance, { experiments }: Dependencies): void {
  mlflowRoute(server, {
    method: 'GET',
    path: 'experiments/get',
    permission: read,
    summary: 'One experiment (MLflow)',
    query: Type.Object({ experiment_id: Text }),
    handle: async ({ query }) => ({ experiment: experimentJson(await experiments.get(query.experiment_id)) }),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'experiments/get-by-name',
    permission: read,
    summary: 'One experiment by its name (MLflow)',
    query: Type.Object({ experiment_name: Text }),
    handle: async ({ query }) => ({
      experiment: experimentJson(await experiments.named(query.experiment_name)),
    }),
  });
  const search = async (
    message: Parameters<typeof searchOf>[0] & { view_type?: 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL' },
  ) => {
    const { items, nextPageToken } = await experiments.search({
      ...searchOf(message),
      viewType: message.view_type,
    });
    return { experiments: items.map(experimentJson), next_page_token: nextPageToken };
  };
  const Search = Type.Object({ ...Page, view_type: View });
  mlflowRoute(server, {
    method: 'POST',
    path: 'experiments/search',
    permission: read,
    summary: 'Experiments by a filter (MLflow)',
    body: Search,
    handle: ({ body }) => search(body),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'experiments/search',
    permission: read,
    summary: 'Experiments by a filter (MLflow)',
    query: Search,
    handle: ({ query }) => search(query),
  });
}

function experimentChangeRoutes(server: FastifyInstance, { experiments }: Dependencies): void {
  const shared = { method: 'POST', permission: log } as const;
  const Id = Type.Object({ experiment_id: Text });
  mlflowRoute(server, {
    ...shared,
    path: 'experiments/create',
    summary: 'Create an experiment (MLflow)',
    body: Type.Object({ name: Text, artifact_location: MaybeText, tags: Pairs }),
    handle: async ({ body, caller }) => {
      const { id } = await experiments.create({ name: body.name, tags: body.tags, by: caller.id });
      return { experiment_id: String(id) };
    },
  });
  for (const [path, isDeleted] of [
    ['experiments/delete', true],
    ['experiments/restore', false],
  ] as const)
    mlflowRoute(server, {
      ...shared,
      path,
      summary: isDeleted ? 'Delete an experiment (MLflow)' : 'Restore an experiment (MLflow)',
      body: Id,
      handle: async ({ body }) => {
        await experiments.setDeleted(body.experiment_id, isDeleted);
        return {};
      },
    });
  mlflowRoute(server, {
    ...shared,
    path: 'experiments/update',
    summary: 'Rename an experiment (MLflow)',
    body: Type.Object({ experiment_id: Text, new_name: Text }),
    handle: async ({ body }) => {
      await experiments.rename(body.experiment_id, body.new_name);
      return {};
    },
  });
  mlflowRoute(server, {
    ...shared,
    path: 'experiments/set-experiment-tag',
    summary: 'Tag an experiment (MLflow)',
    body: Type.Object({ experiment_id: Text, ...Pair.properties }),
    handle: async ({ body: { experiment_id: id, key, value } }) => {
      await experiments.setTag(id, { key, value });
      return {};
    },
  });
  mlflowRoute(server, {
    ...shared,
    path: 'experiments/delete-experiment-tag',
    summary: 'Remove a tag from an experiment (MLflow)',
    body: Type.Object({ experiment_id: Text, key: Text }),
    handle: async ({ body }) => {
      await experiments.deleteTag(body.experiment_id, body.key);
      return {};
    },
  });
}

function runRoutes(server: FastifyInstance, { trainingRuns }: Dependencies): void {
  mlflowRoute(server, {
    method: 'GET',
    path: 'runs/get',
    permission: read,
    summary: 'One training run (MLflow)',
    query: Type.Object({ run_id: Text }),
    handle: async ({ query }) => ({ run: runJson(await trainingRuns.get(query.run_id)) }),
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'runs/search',
    permission: read,
    summary: 'Training runs by a filter over attributes, metrics, params, tags and datasets (MLflow)',
    body: Type.Object({
      ...Page,
      experiment_ids: Type.Optional(Type.Array(Type.String())),
      run_view_type: View,
    }),
    handle: async ({ body }) => {
      const { items, nextPageToken } = await trainingRuns.search({
        ...searchOf(body),
        experimentIds: body.experiment_ids ?? [],
        viewType: body.run_view_type,
      });
      return { runs: items.map(runJson), next_page_token: nextPageToken };
    },
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'metrics/get-history',
    permission: read,
    summary: 'Every value of one metric of a training run (MLflow)',
    query: Type.Object({
      run_id: Text,
      metric_key: Text,
      max_results: Page.max_results,
      page_token: MaybeText,
    }),
    handle: async ({ query }) => {
      const { maxResults, pageToken } = searchOf(query);
      const page = { maxResults, pageToken };
      const { items, nextPageToken } = await trainingRuns.history(query.run_id, query.metric_key, page);
      return { metrics: metricsJson(items), next_page_token: nextPageToken };
    },
  });
}

function runChangeRoutes(server: FastifyInstance, { trainingRuns }: Dependencies): void {
  const shared = { method: 'POST', permission: log } as const;
  mlflowRoute(server, {
    ...shared,
    path: 'runs/create',
    summary: 'Start a training run (MLflow)',
    body: Type.Object({
      experiment_id: MaybeText,
      user_id: MaybeText,
      run_name: MaybeText,
      start_time: MaybeTime,
      tags: Pairs,
    }),
    handle: async ({ body, caller }) => ({
      run: runJson(
        await trainingRuns.create({
          experimentId: body.experiment_id || '0',
          userId: body.user_id || caller.name,
          name: body.run_name,
          startedMs: body.start_time,
          tags: body.tags,
          by: caller.id,
        }),
      ),
    }),
  });
  mlflowRoute(server, {
    ...shared,
    path: 'runs/update',
    summary: 'Change the status or the name of a training run (MLflow)',
    body: Type.Object({
      run_id: Text,
      status: Type.Optional(
        Type.Unsafe<string>({ enum: ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] }),
      ),
      end_time: MaybeTime,
      run_name: MaybeText,
    }),
    handle: async ({ body }) => {
      const { status, end_time: endedMs, run_name: name } = body;
      return { run_info: runInfoJson(await trainingRuns.update(body.run_id, { status, endedMs, name })) };
    },
  });
  for (const [path, isDeleted] of [
    ['runs/delete', true],
    ['runs/restore', false],
  ] as const)
    mlflowRoute(server, {
      ...shared,
      path,
      summary: isDeleted ? 'Delete a training run (MLflow)' : 'Restore a training run (MLflow)',
      body: Type.Object({ run_id: Text }),
      handle: async ({ body }) => {
        await trainingRuns.setDeleted(body.run_id, isDeleted);
        return {};
      },
    });
  mlflowRoute(server, {
    ...shared,
    path: 'runs/delete-tag',
    summary: 'Remove a tag from a training run (MLflow)',
    body: Type.Object({ run_id: Text, key: Text }),
    handle: async ({ body }) => {
      await trainingRuns.deleteTag(body.run_id, body.key);
      return {};
    },
  });
}

function loggingRoutes(server: FastifyInstance, { trainingRuns }: Dependencies): void {
  const shared = { method: 'POST', permission: log } as const;
  mlflowRoute(server, {
    ...shared,
    path: 'runs/log-batch',
    summary: 'Add metrics, parameters and tags to a training run (MLflow)',
    body: Type.Object({
      run_id: Text,
      metrics: Type.Optional(Type.Array(Type.Object(MetricFields))),
      params: Pairs,
      tags: Pairs,
    }),
    handle: async ({ body: { run_id: id, metrics, params, tags } }) => {
      await trainingRuns.log(id, { metrics: metrics?.map(metricOf), params, tags });
      return {};
    },
  });
  mlflowRoute(server, {
    ...shared,
    path: 'runs/log-metric',
    summary: 'Add a value of a metric (MLflow)',
    body: Type.Object({ run_id: Text, ...MetricFields }),
    handle: async ({ body }) => {
      await trainingRuns.log(body.run_id, { metrics: [metricOf(body)] });
      return {};
    },
  });
  for (const [path, of] of [
    ['runs/log-parameter', 'params'],
    ['runs/set-tag', 'tags'],
  ] as const)
    mlflowRoute(server, {
      ...shared,
      path,
      summary: of === 'params' ? 'Add a parameter (MLflow)' : 'Tag a training run (MLflow)',
      body: Type.Object({ run_id: Text, ...Pair.properties }),
      handle: async ({ body: { run_id: id, key, value } }) => {
        await trainingRuns.log(id, { [of]: [{ key, value }] });
        return {};
      },
    });
}

/** What a run read and what it made. */
function linkRoutes(server: FastifyInstance, { trainingRuns }: Dependencies): void {
  const shared = { method: 'POST', permission: log } as const;
  const Objects = Type.Optional(Type.Array(AnyObject));
  mlflowRoute(server, {
    ...shared,
    path: 'runs/log-inputs',
    summary: 'Log which datasets and models a training run read (MLflow)',
    body: Type.Object({ run_id: Text, datasets: Objects, models: Objects }),
    handle: async ({ body }) => {
      const { datasets, models } = body as { datasets?: Json[]; models?: Json[] };
      await trainingRuns.link(body.run_id, { datasets, models });
      return {};
    },
  });
  mlflowRoute(server, {
    ...shared,
    path: 'runs/outputs',
    summary: 'Log which models a training run made (MLflow)',
    body: Type.Object({ run_id: Text, models: Objects }),
    handle: async ({ body }) => {
      await trainingRuns.link(body.run_id, { outputs: body.models as Json[] | undefined });
      return {};
    },
  });
  mlflowRoute(server, {
    ...shared,
    path: 'runs/log-model',
    summary: 'Log which model a training run made, as clients before MLflow 3 do (MLflow)',
    body: Type.Object({ run_id: Text, model_json: Text }),
    handle: async ({ body }) => {
      await trainingRuns.log(body.run_id, {
        tags: [{ key: 'mlflow.log-model.history', value: `[${body.model_json}]` }],
      });
      return {};
    },
  });
}
