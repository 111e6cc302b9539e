import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import {
  modelArtifacts,
  pathOfUri,
  runArtifacts,
  type TrackingArtifacts,
} from '../models/tracking/artifacts.ts';
import type { LoggedModels } from '../models/tracking/logged-models.ts';
import type { TrainingRuns } from '../models/tracking/training-runs.ts';
import { mlflowRoute } from './mlflow-route.ts';
import { loggedModelJson, MaybeText, Page, Pairs, searchOf, Text } from './mlflow-shapes.ts';

interface Dependencies {
  loggedModels: LoggedModels;
  trainingRuns: TrainingRuns;
  trackingArtifacts: TrackingArtifacts;
}

const read = 'models.read';
const log = 'experiments.write';
const Id = Type.Object({ model_id: Text });

/** Logged models of MLflow's API, and what lies in the folders of runs and of these. */
export function mlflowModelRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    createRoutes(server, dependencies);
    readRoutes(server, dependencies);
    changeRoutes(server, dependencies);
    listRoutes(server, dependencies);
  };
}

function createRoutes(server: FastifyInstance, { loggedModels }: Dependencies): void {
  mlflowRoute(server, {
    method: 'POST',
    path: 'logged-models',
    permission: log,
    summary: 'Log a model (MLflow)',
    body: Type.Object({
      experiment_id: MaybeText,
      name: MaybeText,
      model_type: MaybeText,
      source_run_id: MaybeText,
      params: Pairs,
      tags: Pairs,
    }),
    handle: async ({ body }) => ({
      model: loggedModelJson(
        await loggedModels.create({
          experimentId: body.experiment_id || '0',
          name: body.name,
          modelType: body.model_type,
          runId: body.source_run_id,
          params: body.params,
          tags: body.tags,
        }),
      ),
    }),
  });
  mlflowRoute(server, {
    method: 'PATCH',
    path: 'logged-models/:model_id',
    permission: log,
    summary: 'Mark a logged model as complete, or its upload as failed (MLflow)',
    params: Id,
    body: Type.Object({ status: Text }),
    handle: async ({ params, body }) => ({
      model: loggedModelJson(await loggedModels.finish(params.model_id, body.status)),
    }),
  });
}

function readRoutes(server: FastifyInstance, { loggedModels }: Dependencies): void {
  mlflowRoute(server, {
    method: 'GET',
    path: 'logged-models/:model_id',
    permission: read,
    summary: 'One logged model (MLflow)',
    params: Id,
    query: Type.Object({ allow_deleted: Type.Optional(Type.Boolean()) }),
    handle: async ({ params, query }) => ({
      model: loggedModelJson(await loggedModels.get(params.model_id, query.allow_deleted)),
    }),
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'logged-models/search',
    permission: read,
    summary: 'Logged models by a filter (MLflow)',
    body: Type.Object({
      ...Page,
      experiment_ids: Type.Optional(Type.Array(Type.String())),
      order_by: Type.Optional(
        Type.Array(Type.Object({ field_name: Text, ascending: Type.Optional(Type.Boolean()) })),
      ),
    }),
    handle: async ({ body: { order_by: order = [], experiment_ids: experimentIds = [], ...page } }) => {
      const orderBy = order.map(
        ({ field_name: field, ascending = true }) => `${field} ${ascending ? 'ASC' : 'DESC'}`,
      );
      const { items, nextPageToken } = await loggedModels.search({
        ...searchOf(page),
        orderBy,
        experimentIds,
      });
      return { models: items.map(loggedModelJson), next_page_token: nextPageToken };
    },
  });
}

function changeRoutes(server: FastifyInstance, { loggedModels }: Dependencies): void {
  mlflowRoute(server, {
    method: 'DELETE',
    path: 'logged-models/:model_id',
    permission: log,
    summary: 'Delete a logged model (MLflow)',
    params: Id,
    handle: async ({ params }) => {
      await loggedModels.delete(params.model_id);
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'PATCH',
    path: 'logged-models/:model_id/tags',
    permission: log,
    summary: 'Tag a logged model (MLflow)',
    params: Id,
    body: Type.Object({ tags: Pairs }),
    handle: async ({ params, body }) => ({
      model: loggedModelJson(await loggedModels.setTags(params.model_id, body.tags ?? [])),
    }),
  });
  mlflowRoute(server, {
    method: 'DELETE',
    path: 'logged-models/:model_id/tags/:key',
    permission: log,
    summary: 'Remove a tag from a logged model (MLflow)',
    params: Type.Object({ model_id: Text, key: Text }),
    handle: async ({ params }) => {
      await loggedModels.deleteTag(params.model_id, params.key);
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'logged-models/:model_id/params',
    permission: log,
    summary: 'Add parameters to a logged model (MLflow)',
    params: Id,
    body: Type.Object({ params: Pairs }),
    handle: async ({ params, body }) => {
      await loggedModels.addParams(params.model_id, body.params ?? []);
      return {};
    },
  });
}

function listRoutes(
  server: FastifyInstance,
  { loggedModels, trainingRuns, trackingArtifacts }: Dependencies,
): void {
  const listed = async (root: string, path: string | undefined) => {
    const inside = path?.replace(/^\/+|\/+$/g, '');
    const files = await trackingArtifacts.list(`${pathOfUri(root)}/${inside ?? ''}`);
    return {
      root_uri: root,
      files: files.map((file) => ({
        path: inside ? `${inside}/${file.path}` : file.path,
        is_dir: file.isFolder,
        ...(file.sizeBytes !== null && { file_size: file.sizeBytes }),
      })),
    };
  };
  mlflowRoute(server, {
    method: 'GET',
    path: 'artifacts/list',
    permission: read,
    summary: 'The files of a training run, a folder at a time (MLflow)',
    query: Type.Object({ run_id: Text, path: MaybeText, page_token: MaybeText }),
    handle: async ({ query }) => listed(runArtifacts(await trainingRuns.get(query.run_id)), query.path),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'logged-models/:model_id/artifacts/directories',
    permission: read,
    summary: 'The files of a logged model, a folder at a time (MLflow)',
    params: Id,
    query: Type.Object({ artifact_directory_path: MaybeText, page_token: MaybeText }),
    handle: async ({ params, query }) =>
      listed(modelArtifacts(await loggedModels.get(params.model_id)), query.artifact_directory_path),
  });
}
