import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Limits } from '../kernel/limits.ts';
import type { TrackingArtifacts } from '../models/tracking/artifacts.ts';
import { bytesOfBody } from './inference-bodies.ts';
import { MaybeText } from './mlflow-shapes.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  trackingArtifacts: TrackingArtifacts;
  limits: Limits;
}

/** The version of MLflow whose API is answered here: its clients ask before they use what is new. */
const VERSION = '3.17.2';
const tag = 'mlflow';
const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const Path = Type.Object({ '*': Type.String({ minLength: 1 }) });

/** MLflow's artifact proxy and what its clients ask of a server first. */
export function mlflowArtifactRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    server.removeAllContentTypeParsers();
    // Any type is bytes. (The API's document is made of routes over nothing.)
    const bodyLimit = dependencies.limits?.modelBytesMax;
    server.addContentTypeParser(
      '*',
      { parseAs: 'buffer', ...(bodyLimit && { bodyLimit }) },
      async (_: unknown, body: Buffer) => body,
    );
    fileRoutes(server, dependencies);
    serverRoutes(server);
  };
}

function fileRoutes(server: FastifyInstance, { trackingArtifacts }: Dependencies): void {
  route(server, {
    method: 'GET',
    url: FILES,
    permission: 'models.read',
    summary: 'Files and folders of training, a folder at a time (MLflow)',
    tag,
    query: Type.Object({ path: MaybeText }),
    answer: AnyObject,
    handle: async ({ query }) => {
      const files = await trackingArtifacts.list(query.path ?? '');
      return {
        files: files.map(({ path, isFolder, sizeBytes }) => ({
          path,
          is_dir: isFolder,
          ...(sizeBytes !== null && { file_size: sizeBytes }),
        })),
      };
    },
  });
  route(server, {
    method: 'GET',
    url: `${FILES}/*`,
    permission: 'models.read',
    summary: 'One file of training (MLflow)',
    tag,
    params: Path,
    handle: async ({ params, reply }) =>
      reply
        .type('application/octet-stream')
        .header('content-disposition', 'attachment')
        .send(Buffer.from(await trackingArtifacts.get(params['*']))),
  });
  route(server, {
    method: 'PUT',
    url: `${FILES}/*`,
    permission: 'experiments.write',
    summary: 'Keep a file of training (MLflow)',
    tag,
    params: Path,
    answer: AnyObject,
    handle: async ({ params, body }) => {
      await trackingArtifacts.put(params['*'], bytesOfBody(body));
      return {};
    },
  });
  route(server, {
    method: 'DELETE',
    url: `${FILES}/*`,
    permission: 'experiments.write',
    summary: 'Take a file or a folder of training away (MLflow)',
    tag,
    params: Path,
    answer: AnyObject,
    handle: async ({ params }) => {
      await trackingArtifacts.delete(params['*']);
      return {};
    },
  });
}

function serverRoutes(server: FastifyInstance): void {
  route(server, {
    method: 'GET',
    url: '/api/3.0/mlflow/server-info',
    permission: 'public',
    summary: 'What this server can do beyond the rest of the API (MLflow)',
    tag,
    answer: AnyObject,
    handle: () => ({
      store_type: 'SqlStore',
      workspaces_enabled: false,
      trace_archival_enabled: false,
      multipart_uploads_enabled: false,
      multipart_downloads_enabled: false,
    }),
  });
  route(server, {
    method: 'GET',
    url: '/version',
    permission: 'public',
    summary: 'The version of MLflow whose API is answered',
    tag,
    handle: ({ reply }) => reply.type('text/plain').send(VERSION),
  });
}
