import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { AiosError } from '../kernel/errors.ts';
import {
  type Answered,
  HEADER_LENGTH,
  type InferenceRequest,
  readInference,
  readRawInference,
  writeInference,
} from '../serving/protocol/infer-http.ts';
import { modelMetadata, serverMetadata } from '../serving/protocol/open-inference.ts';
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
    readBytes(server);
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
    handle: async ({ params, body, request, reply }) => {
      const { name } = params;
      const ref = referenceOf(params.version);
      const header = request.headers[HEADER_LENGTH] as string | undefined;
      const bytes = (body ?? new Uint8Array()) as unknown as Uint8Array;
      const asked =
        header === '0'
          ? readRawInference(bytes, models.resolve(name, ref).signature.inputs)
          : readInference(bytes, header);
      const { inputs, timeoutMs: deadlineMs } = asked;
      return answer(reply, asked, await serving.infer({ model: name, ref, inputs, deadlineMs }));
    },
  });
}

/** The protocol's clients send JSON and bytes under any content type, or none: the body says itself what it is. */
function readBytes(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

function answer(reply: FastifyReply, request: InferenceRequest, answered: Answered): FastifyReply {
  const body = writeInference(request, answered);
  if (body.headerBytes === undefined) return reply.type('application/json').send(body.json);
  return reply
    .type('application/octet-stream')
    .header(HEADER_LENGTH, String(body.headerBytes))
    .send(body.bytes);
}

function referenceOf(version: string | undefined): number | undefined {
  if (version === undefined) return undefined;
  if (/^[1-9]\d*$/.test(version)) return Number(version);
  throw new AiosError('request.invalid', {
    issues: [{ path: '/version', message: 'a version is a whole number from 1', found: version }],
  });
}
