import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ArtifactUploads } from '../models/tracking/artifact-uploads.ts';
import type { TrackingArtifacts } from '../models/tracking/artifacts.ts';
import { MaybeText } from './mlflow-shapes.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  trackingArtifacts: TrackingArtifacts;
  artifactUploads: ArtifactUploads;
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
    // Any type is bytes, taken as they come: requestBytesMax is not their limit, trackingArtifactBytesMax is.
    server.addContentTypeParser(
      '*',
      (_request: unknown, payload: IncomingMessage, done: (error: null, body: unknown) => void) =>
        done(null, payload),
    );
    fileRoutes(server, dependencies);
    serverRoutes(server);
  };
}

function fileRoutes(server: FastifyInstance, { trackingArtifacts, artifactUploads }: Dependencies): void {
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
    handle: async ({ params, request, reply }) => {
      const { sizeBytes, content } = await trackingArtifacts.open(params['*']);
      reply
        .type('application/octet-stream')
        .header('content-disposition', 'attachment')
        .header('content-length', sizeBytes);
      // Nothing of the file is read for an answer without a body.
      return reply.send(Readable.from(request.method === 'HEAD' ? [] : content, { objectMode: false }));
    },
  });
  route(server, {
    method: 'PUT',
    url: `${FILES}/*`,
    permission: 'experiments.write',
    summary: 'Store a training file (MLflow)',
    tag,
    params: Path,
    answer: AnyObject,
    handle: async ({ params, request }) => {
      await artifactUploads.put(params['*'], (request.body ?? []) as AsyncIterable<Uint8Array>);
      return {};
    },
  });
  route(server, {
    method: 'DELETE',
    url: `${FILES}/*`,
    permission: 'experiments.write',
    summary: 'Delete a file or a folder of training (MLflow)',
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
      multipart_uploads_enabled: true,
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
