import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import {
  inferFromJson,
  inferToJson,
  modelMetadata,
  serverMetadata,
} from '../serving/protocol/open-inference.ts';
import type { ModelSource, Serving } from '../serving/traffic/serving.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  serving: Serving;
  models: ModelSource;
  version: string;
}

const Params = Type.Object({ name: Type.String(), version: Type.Optional(Type.String()) });
const tag = 'serving';

/** The Open Inference Protocol, version 2, over REST (kserve/open-inference-protocol, inference_rest.md). */
export function servingRoutes({ serving, models, version }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/v2',
      permission: 'public',
      summary: 'Server metadata',
      tag,
      handle: () => serverMetadata(version),
    });
    for (const state of ['live', 'ready']) {
      route(server, {
        method: 'GET',
        url: `/v2/health/${state}`,
        permission: 'public',
        summary: `Whether the inference server is ${state}`,
        tag,
        handle: () => ({ [state]: true }),
      });
    }
    for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version'])
      modelRoutes(server, path, serving, models);
  };
}

function modelRoutes(server: FastifyInstance, path: string, serving: Serving, models: ModelSource): void {
  const of = path.endsWith(':version') ? 'a version of a model' : 'a model (its champion)';
  route(server, {
    method: 'GET',
    url: path,
    permission: 'models.read',
    summary: `Metadata of ${of}`,
    tag,
    params: Params,
    handle: ({ params }) => {
      const model = models.resolve(params.name, referenceOf(params.version));
      return modelMetadata(model.name, [model.version], model.signature);
    },
  });
  route(server, {
    method: 'GET',
    url: `${path}/ready`,
    permission: 'models.read',
    summary: `Whether ${of} is ready`,
    tag,
    params: Params,
    handle: ({ params, reply }) => {
      const ready = serving.isReady(params.name, referenceOf(params.version));
      if (!ready) reply.code(503);
      return { name: params.name, ready };
    },
  });
  route(server, {
    method: 'POST',
    url: `${path}/infer`,
    permission: 'serving.infer',
    summary: `Run ${of} on tensors`,
    tag,
    params: Params,
    body: AnyObject,
    answer: AnyObject,
    handle: async ({ params, body }) => {
      const request = inferFromJson(body as Json);
      const answer = await serving.infer({
        model: params.name,
        ref: referenceOf(params.version),
        inputs: request.inputs,
      });
      return inferToJson(request, answer);
    },
  });
}

function referenceOf(version: string | undefined): number | undefined {
  if (version === undefined) return undefined;
  if (/^[1-9]\d*$/.test(version)) return Number(version);
  throw new AiosError('request.invalid', {
    issues: [{ path: '/version', message: 'a version is a whole number from 1', found: version }],
  });
}
