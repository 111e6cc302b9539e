import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import { isObject } from '../kernel/json.ts';
import { jsonOf, readProtocolBodies } from './inference-bodies.ts';
import {
  ModelRepository,
  type RepositoryDependencies,
  referenceOf,
  refuseFiles,
} from './model-repository.ts';
import { route } from './routes.ts';
import { AnyObject, NameParams } from './shapes.ts';

type Dependencies = RepositoryDependencies & Parameters<typeof readProtocolBodies>[1];

const tag = 'serving';

/** The model repository extension (triton-inference-server/server, docs/protocol/extension_model_repository.md). */
export function repositoryRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const repository = new ModelRepository(dependencies);
  return (server) => {
    readProtocolBodies(server, dependencies);
    route(server, {
      method: 'POST',
      url: '/v2/repository/index',
      permission: 'models.read',
      summary: 'Every version of every model, and whether it is loaded',
      tag,
      body: Type.Optional(Type.Object({ ready: Type.Optional(Type.Boolean()) })),
      answer: Type.Array(AnyObject),
      handle: ({ body }) => {
        const { ready = false } = jsonOf(body);
        if (typeof ready !== 'boolean') throw wrongType('/ready', 'true or false');
        return repository.index(ready);
      },
    });
    statisticsRoutes(server, repository);
    for (const action of ['load', 'unload'] as const) {
      route(server, {
        method: 'POST',
        url: `/v2/repository/models/:name/${action}`,
        permission: 'models.load',
        summary:
          action === 'load'
            ? 'Load the champion of a model before it is asked for'
            : 'Stop the replicas of a model; the next request loads it again',
        tag,
        params: NameParams,
        body: Type.Optional(AnyObject),
        answer: AnyObject,
        handle: async ({ params, body, caller }) => {
          const { parameters = {} } = jsonOf(body);
          if (!isObject(parameters)) throw wrongType('/parameters', 'an object');
          refuseFiles(action, parameters);
          await repository[action](params.name, caller);
          return {};
        },
      });
    }
  };
}

/** Bodies of these routes are bytes to the framework: what it does not hold to their schemas is looked at here. */
function wrongType(path: string, expected: string): AiosError {
  return new AiosError('request.invalid', { issues: [{ path, message: `must be ${expected}`, expected }] });
}

/** The statistics extension (triton-inference-server/server, docs/protocol/extension_statistics.md). */
function statisticsRoutes(server: FastifyInstance, repository: ModelRepository): void {
  const paths = ['/v2/models/stats', '/v2/models/:name/stats', '/v2/models/:name/versions/:version/stats'];
  for (const url of paths) {
    route(server, {
      method: 'GET',
      url,
      permission: 'models.read',
      summary: `What ${url.includes(':version') ? 'a version of a model' : url.includes(':name') ? 'the loaded versions of a model' : 'every loaded version'} has served since it was loaded`,
      tag,
      params: Type.Object({ name: Type.Optional(Type.String()), version: Type.Optional(Type.String()) }),
      answer: AnyObject,
      handle: ({ params: { name, version } }) => ({
        model_stats: repository.statistics(name, referenceOf(version)),
      }),
    });
  }
}
