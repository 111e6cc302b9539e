import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Limits } from '../kernel/limits.ts';
import type { Quota } from '../kernel/quota.ts';
import {
  HEADER_LENGTH,
  readInference,
  readRawInference,
  writeInference,
} from '../serving/protocol/infer-http.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import { modelConfig } from '../serving/protocol/model-config.ts';
import { modelMetadata, serverMetadata } from '../serving/protocol/open-inference.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { bytesOfBody, readProtocolBodies, sendInference } from './inference-bodies.ts';
import { type ModelVersions, referenceOf } from './model-repository.ts';
import { setHeaders } from './problems.ts';
import { quotaHeaders } from './quota-headers.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  serving: Pick<Serving, 'infer' | 'isReady'>;
  models: ModelVersions;
  version: string;
  limits: Limits;
}

const Params = Type.Object({ name: Type.String(), version: Type.Optional(Type.String()) });
const tag = 'serving';

/** The Open Inference Protocol, version 2, over REST (kserve/open-inference-protocol, inference_rest.md). */
export function servingRoutes({
  serving,
  models,
  version,
  limits,
}: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    readProtocolBodies(server, { limits });
    route(server, {
      method: 'GET',
      url: '/v2',
      permission: 'public',
      summary: 'Server metadata',
      tag,
      handle: () => serverMetadata(version),
    });
    for (const state of ['live', 'ready'] as const) {
      route(server, {
        method: 'GET',
        url: `/v2/health/${state}`,
        permission: 'public',
        summary: `Whether the inference server is ${state}`,
        tag,
        // The specification calls the member `live` in both answers, and its OpenAPI document `ready` in the second.
        handle: () => (state === 'live' ? { live: true } : { live: true, ready: true }),
      });
    }
    for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version'])
      modelRoutes(server, path, serving, models);
  };
}

function modelRoutes(
  server: FastifyInstance,
  path: string,
  serving: Dependencies['serving'],
  models: Dependencies['models'],
): void {
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
      const { versions } = models.get(model.name);
      return modelMetadata(
        model,
        versions.map(({ version }) => version),
      );
    },
  });
  route(server, {
    method: 'GET',
    url: `${path}/config`,
    permission: 'models.read',
    summary: `How ${of} is served, in the format of Triton`,
    tag,
    params: Params,
    answer: AnyObject,
    handle: ({ params }) => modelConfig(models.resolve(params.name, referenceOf(params.version))),
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
  inferRoute(server, path, of, { serving, models });
}

function inferRoute(
  server: FastifyInstance,
  path: string,
  of: string,
  { serving, models }: Pick<Dependencies, 'serving' | 'models'>,
): void {
  route(server, {
    method: 'POST',
    url: `${path}/infer`,
    permission: 'serving.infer',
    summary: `Run ${of} on tensors`,
    tag,
    params: Params,
    body: AnyObject,
    answer: AnyObject,
    handle: async ({ params, body, request, reply, caller }) => {
      const { name } = params;
      const ref = referenceOf(params.version);
      const header = request.headers[HEADER_LENGTH] as string | undefined;
      const bytes = bytesOfBody(body);
      const asked =
        header === '0'
          ? readRawInference(bytes, models.resolve(name, ref).signature.inputs)
          : readInference(bytes, header);
      const { inputs, timeoutMs: deadlineMs, priority } = asked;
      const stickyKey = asked.stickyKey ?? (request.headers[STICKY_HEADER] as string | undefined);
      // Set at once: an error that comes after keeps them.
      const onQuota = (quota: Quota) => setHeaders(reply, quotaHeaders([quota]));
      const call = { model: name, ref, inputs, deadlineMs, priority, stickyKey, caller, onQuota };
      const answered = await serving.infer(call);
      return sendInference(reply, writeInference(asked, answered), request.headers['accept-encoding']);
    },
  });
}
