import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { RegisteredModels } from '../models/tracking/registry.ts';
import type { RegisteredModel } from '../models/tracking/registry-rows.ts';
import { mlflowRoute } from './mlflow-route.ts';
import {
  MaybeText,
  Page,
  Pair,
  Pairs,
  registeredModelJson,
  registeredVersionJson,
  searchOf,
  Text,
} from './mlflow-shapes.ts';
import { actorOf } from './routes.ts';

interface Dependencies {
  registeredModels: RegisteredModels;
}

const read = 'models.read';
const change = 'models.write';
const Named = Type.Object({ name: Text });
const Version = Type.Object({ name: Text, version: Text });

/** The registry of MLflow's API: its models and versions are AIOS's own. */
export function mlflowRegistryRoutes({ registeredModels }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    modelReadRoutes(server, registeredModels);
    modelChangeRoutes(server, registeredModels);
    versionReadRoutes(server, registeredModels);
    versionChangeRoutes(server, registeredModels);
    aliasRoutes(server, registeredModels);
    keptRoutes(server);
  };
}

async function told(registry: RegisteredModels, models: readonly RegisteredModel[]) {
  const newest = await registry.latestVersions(models);
  return models.map((model) => registeredModelJson(model, newest.get(model.name)));
}

function modelReadRoutes(server: FastifyInstance, registry: RegisteredModels): void {
  mlflowRoute(server, {
    method: 'GET',
    path: 'registered-models/get',
    permission: read,
    summary: 'One registered model (MLflow)',
    query: Named,
    handle: async ({ query }) => ({
      registered_model: (await told(registry, [await registry.get(query.name)]))[0],
    }),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'registered-models/search',
    permission: read,
    summary: 'Registered models by a filter (MLflow)',
    query: Type.Object(Page),
    handle: async ({ query }) => {
      const { items, nextPageToken } = await registry.searchModels(searchOf(query));
      return { registered_models: await told(registry, items), next_page_token: nextPageToken };
    },
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'registered-models/get-latest-versions',
    permission: read,
    summary: 'The newest version of a model (older clients of MLflow; every version has the stage None)',
    body: Type.Object({ name: Text, stages: Type.Optional(Type.Array(Type.String())) }),
    handle: async ({ body }) => {
      const model = await registry.get(body.name);
      const { stages = [] } = body;
      // The newest one is not what somebody put into production: a client that asks for that must not be given it.
      const isAsked = stages.length === 0 || stages.some((stage) => /^none$/i.test(stage));
      const newest = await registry.latestVersions(isAsked ? [model] : []);
      return { model_versions: [...newest.values()].map(registeredVersionJson) };
    },
  });
}

function modelChangeRoutes(server: FastifyInstance, registry: RegisteredModels): void {
  const one = async (model: RegisteredModel) => ({ registered_model: (await told(registry, [model]))[0] });
  mlflowRoute(server, {
    method: 'POST',
    path: 'registered-models/create',
    permission: change,
    summary: 'Create a registered model (MLflow)',
    body: Type.Object({ name: Text, tags: Pairs, description: MaybeText }),
    handle: async ({ body, caller }) => one(await registry.create({ ...body, by: actorOf(caller) })),
  });
  mlflowRoute(server, {
    method: 'PATCH',
    path: 'registered-models/update',
    permission: change,
    summary: 'Describe a registered model (MLflow)',
    body: Type.Object({ name: Text, description: MaybeText }),
    handle: async ({ body }) => one(await registry.describe(body.name, body.description ?? '')),
  });
  mlflowRoute(server, {
    method: 'DELETE',
    path: 'registered-models/delete',
    permission: change,
    summary: 'Delete a registered model that has no version (MLflow)',
    body: Named,
    handle: async ({ body }) => {
      await registry.delete(body.name);
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'registered-models/set-tag',
    permission: change,
    summary: 'Tag a registered model (MLflow)',
    body: Type.Object({ name: Text, ...Pair.properties }),
    handle: async ({ body: { name, key, value } }) => {
      await registry.setTag(name, { key, value });
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'DELETE',
    path: 'registered-models/delete-tag',
    permission: change,
    summary: 'Remove a tag from a registered model (MLflow)',
    body: Type.Object({ name: Text, key: Text }),
    handle: async ({ body }) => {
      await registry.deleteTag(body.name, body.key);
      return {};
    },
  });
}

function versionReadRoutes(server: FastifyInstance, registry: RegisteredModels): void {
  mlflowRoute(server, {
    method: 'GET',
    path: 'model-versions/get',
    permission: read,
    summary: 'One version of a model (MLflow)',
    query: Version,
    handle: async ({ query }) => ({
      model_version: registeredVersionJson(await registry.version(query.name, query.version)),
    }),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'model-versions/get-download-uri',
    permission: read,
    summary: 'Where the files of a version are (MLflow)',
    query: Version,
    handle: async ({ query }) => ({ artifact_uri: await registry.filesOf(query.name, query.version) }),
  });
  mlflowRoute(server, {
    method: 'GET',
    path: 'model-versions/search',
    permission: read,
    summary: 'Versions of models by a filter (MLflow)',
    query: Type.Object(Page),
    handle: async ({ query }) => {
      const { items, nextPageToken } = await registry.searchVersions(searchOf(query));
      return { model_versions: items.map(registeredVersionJson), next_page_token: nextPageToken };
    },
  });
}

function versionChangeRoutes(server: FastifyInstance, registry: RegisteredModels): void {
  mlflowRoute(server, {
    method: 'POST',
    path: 'model-versions/create',
    permission: change,
    summary: 'Register a version from what was logged; one with an ONNX file answers at once (MLflow)',
    body: Type.Object({
      name: Text,
      source: Text,
      run_id: MaybeText,
      run_link: MaybeText,
      model_id: MaybeText,
      description: MaybeText,
      tags: Pairs,
    }),
    handle: async ({ body: { name, source, description, tags, ...of }, caller }) => ({
      model_version: registeredVersionJson(
        await registry.createVersion({
          name,
          source,
          runId: of.run_id,
          runLink: of.run_link,
          modelId: of.model_id,
          description,
          tags,
          by: actorOf(caller),
          startedBy: caller.training?.startedBy ?? undefined,
        }),
      ),
    }),
  });
  mlflowRoute(server, {
    method: 'PATCH',
    path: 'model-versions/update',
    permission: change,
    summary: 'Describe a version (MLflow)',
    body: Type.Object({ name: Text, version: Text, description: MaybeText }),
    handle: async ({ body: { name, version, description = '' } }) => ({
      model_version: registeredVersionJson(await registry.changeVersion(name, version, { description })),
    }),
  });
  mlflowRoute(server, {
    method: 'POST',
    path: 'model-versions/set-tag',
    permission: change,
    summary: 'Tag a version (MLflow)',
    body: Type.Object({ name: Text, version: Text, ...Pair.properties }),
    handle: async ({ body: { name, version, key, value } }) => {
      await registry.changeVersion(name, version, { tag: { key, value } });
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'DELETE',
    path: 'model-versions/delete-tag',
    permission: change,
    summary: 'Remove a tag from a version (MLflow)',
    body: Type.Object({ name: Text, version: Text, key: Text }),
    handle: async ({ body: { name, version, key } }) => {
      await registry.changeVersion(name, version, { deletedTag: key });
      return {};
    },
  });
}

function aliasRoutes(server: FastifyInstance, registry: RegisteredModels): void {
  const path = 'registered-models/alias';
  mlflowRoute(server, {
    method: 'GET',
    path,
    permission: read,
    summary: 'The version that an alias points at (MLflow)',
    query: Type.Object({ name: Text, alias: Text }),
    handle: async ({ query }) => ({
      model_version: registeredVersionJson(await registry.versionOf(query.name, query.alias)),
    }),
  });
  mlflowRoute(server, {
    method: 'POST',
    path,
    permission: 'models.promote',
    summary: 'Point an alias at a version, with the approvals that its model asks for (MLflow)',
    body: Type.Object({ name: Text, alias: Text, version: Text }),
    handle: async ({ body: { name, alias, version }, caller }) => {
      await registry.setAlias(name, alias, version, actorOf(caller));
      return {};
    },
  });
  mlflowRoute(server, {
    method: 'DELETE',
    path,
    permission: 'models.promote',
    summary: 'Delete an alias (MLflow)',
    body: Type.Object({ name: Text, alias: Text }),
    handle: async ({ body: { name, alias }, caller }) => {
      await registry.deleteAlias(name, alias, actorOf(caller));
      return {};
    },
  });
}

/** What MLflow's registry can do and this one does not: each says what to do instead. */
function keptRoutes(server: FastifyInstance): void {
  const refused = [
    ['POST', 'registered-models/rename', 'A model keeps its name: flows and the audit log know it by that.'],
    [
      'POST',
      'model-versions/transition-stage',
      'AIOS has no stages: set an alias (set_registered_model_alias).',
    ],
    ['DELETE', 'model-versions/delete', 'A version is not deleted: the decisions that it made refer to it.'],
  ] as const;
  for (const [method, path, detail] of refused)
    mlflowRoute(server, {
      method,
      path,
      permission: change,
      summary: `Refused: ${detail} (MLflow)`,
      body: Type.Object({}, { additionalProperties: true }),
      handle: () => {
        throw new AiosError('models.kept', { detail });
      },
    });
}
