import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Limits } from '../kernel/limits.ts';
import type { ArtifactUploads } from '../models/tracking/artifact-uploads.ts';
import { bytesOfBody } from './inference-bodies.ts';
import { MaybeText } from './mlflow-shapes.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  artifactUploads: ArtifactUploads;
  /** Where people reach AIOS, when that is not the address of the request. */
  publicOrigin?: string | undefined;
  limits: Limits;
}

const tag = 'mlflow';
const permission = 'experiments.write';
const UPLOADS = '/api/2.0/mlflow-artifacts/mpu';
const Folder = Type.Object({ '*': Type.String() });
const UploadId = Type.String({ pattern: '^[0-9a-f]{32}$' });

/** Large files in parts, as MLflow's artifact proxy takes them: its client sends several at a time. */
export function mlflowUploadRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    createRoute(server, dependencies);
    endRoutes(server, dependencies);
    void server.register(async (inner) => partRoute(inner, dependencies));
  };
}

function createRoute(server: FastifyInstance, { artifactUploads, publicOrigin, limits }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: `${UPLOADS}/create/*`,
    permission,
    summary: 'Start an upload in parts (MLflow)',
    tag,
    params: Folder,
    body: Type.Object({
      path: Type.String({ minLength: 1, description: 'Of the file at its sender: its last name is kept' }),
      num_parts: Type.Integer({ minimum: 1, maximum: limits?.trackingPartsMax ?? 10_000, default: 1 }),
    }),
    answer: AnyObject,
    handle: async ({ params, body, request }) => {
      const id = await artifactUploads.begin(`${params['*']}/${body.path.split(/[\\/]/).at(-1)}`);
      const origin = publicOrigin ?? `${request.protocol}://${request.host}`;
      // Parts are sent without the credentials of the client: what it has just shown is given back to it.
      const { authorization } = request.headers;
      return {
        upload_id: id,
        credentials: Array.from({ length: body.num_parts }, (_, at) => ({
          url: `${origin}${UPLOADS}/parts/${id}/${at + 1}`,
          part_number: at + 1,
          headers: { 'content-type': 'application/octet-stream', ...(authorization && { authorization }) },
        })),
      };
    },
  });
}

function partRoute(server: FastifyInstance, { artifactUploads, limits }: Dependencies): void {
  server.removeAllContentTypeParsers();
  // (The API's document is made of routes over nothing.)
  const bodyLimit = limits?.trackingPartBytesMax;
  server.addContentTypeParser(
    '*',
    { parseAs: 'buffer', ...(bodyLimit && { bodyLimit }) },
    async (_: unknown, body: Buffer) => body,
  );
  route(server, {
    method: 'PUT',
    url: `${UPLOADS}/parts/:upload/:number`,
    permission,
    summary: 'One part of a file (MLflow)',
    tag,
    params: Type.Object({
      upload: UploadId,
      number: Type.Integer({ minimum: 1, maximum: limits?.trackingPartsMax ?? 10_000 }),
    }),
    answer: AnyObject,
    handle: async ({ params: { upload, number }, body, reply }) => {
      reply.header('etag', `"${await artifactUploads.part(upload, number, bytesOfBody(body))}"`);
      return {};
    },
  });
}

function endRoutes(server: FastifyInstance, { artifactUploads }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: `${UPLOADS}/complete/*`,
    permission,
    summary: 'Complete an upload in parts (MLflow)',
    tag,
    params: Folder,
    body: Type.Object({
      upload_id: UploadId,
      parts: Type.Array(Type.Object({ part_number: Type.Integer({ minimum: 1 }), etag: MaybeText })),
    }),
    answer: AnyObject,
    handle: async ({ body }) => {
      const parts = body.parts.map(({ part_number: number, etag }) => ({ number, etag }));
      await artifactUploads.complete(body.upload_id, parts);
      return {};
    },
  });
  route(server, {
    method: 'POST',
    url: `${UPLOADS}/abort/*`,
    permission,
    summary: 'Abort an upload in parts (MLflow)',
    tag,
    params: Folder,
    body: Type.Object({ upload_id: UploadId }),
    answer: AnyObject,
    handle: async ({ body }) => {
      await artifactUploads.abort(body.upload_id);
      return {};
    },
  });
}
