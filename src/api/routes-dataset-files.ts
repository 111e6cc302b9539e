import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Datasets } from '../features/datasets/datasets.ts';
import { EXPORT_FORMATS, type ExportFormat, exportData, MEDIA_TYPES } from '../features/datasets/export.ts';
import { croissant, datasheet } from '../features/datasets/told.ts';
import type { Definitions } from '../store/definitions.ts';
import { rangeOf } from './byte-ranges.ts';
import { route } from './routes.ts';
import { numberOf } from './routes-datasets.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  datasets: Datasets;
  definitions: Definitions;
  /** Where people reach AIOS, when that is not the address of the request. */
  publicOrigin?: string | undefined;
}

const Params = Type.Object({
  name: Type.String({ minLength: 1 }),
  version: Type.String({ pattern: '^([1-9][0-9]{0,8}|latest)$' }),
});
const tag = 'datasets';

/** What of a version is a file: its data, its metadata as Croissant, its datasheet. */
export function datasetFileRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { datasets, definitions, publicOrigin } = dependencies;
  return (server) => {
    dataRoute(server, datasets);
    route(server, {
      method: 'GET',
      url: '/api/v1/datasets/:name/versions/:version/croissant',
      permission: 'datasets.read',
      summary: 'The metadata of a version as Croissant 1.0 (JSON-LD)',
      tag,
      params: Params,
      answer: AnyObject,
      handle: async ({ params, request, reply }) => {
        const version = await datasets.version(params.name, numberOf(params.version));
        const origin = publicOrigin ?? `${request.protocol}://${request.host}`;
        const path = `/api/v1/datasets/${encodeURIComponent(version.dataset)}/versions/${version.version}/data`;
        reply.type('application/ld+json');
        return croissant(datasets, definitions, version, `${origin}${path}`);
      },
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/datasets/:name/versions/:version/datasheet',
      permission: 'datasets.read',
      summary: 'The datasheet of a version, in Markdown',
      tag,
      params: Params,
      handle: async ({ params, reply }) => {
        const version = await datasets.version(params.name, numberOf(params.version));
        reply.type('text/markdown; charset=utf-8');
        return reply.send(await datasheet(datasets, definitions, version));
      },
    });
  };
}

function dataRoute(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/versions/:version/data',
    permission: 'datasets.export',
    summary: 'The data of a version, whole or in ranges of bytes',
    tag,
    params: Params,
    query: Type.Object(
      {
        format: Type.Optional(
          Type.Union(
            EXPORT_FORMATS.map((format) => Type.Literal(format)),
            { default: 'parquet' },
          ),
        ),
      },
      { additionalProperties: false },
    ),
    handle: async ({ params, query, request, reply }) => {
      const version = await datasets.version(params.name, numberOf(params.version));
      const format: ExportFormat = query.format ?? 'parquet';
      const etag = `"${version.digest.slice('sha256:'.length)}${format === 'parquet' ? '' : `-${format}`}"`;
      await exportData(datasets, version, format, async (sizeBytes, read) => {
        const range = rangeOf(request, reply, { sizeBytes, etag });
        if (!range) return void reply.send();
        reply
          .header('content-type', MEDIA_TYPES[format])
          .header(
            'content-disposition',
            `attachment; filename="${version.dataset}-${version.version}.${format}"`,
          );
        // Nothing of the file is read; an answer without a body would tell the length of that.
        if (request.method === 'HEAD') return void reply.send(Readable.from([]));
        const stream = Readable.from(read(range), { objectMode: false });
        reply.send(stream);
        // The file of an export goes when it was sent, or when its reader has gone.
        await finished(stream).catch(() => {});
      });
      return reply;
    },
  });
}
