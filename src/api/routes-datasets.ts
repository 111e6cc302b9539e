import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { DatasetVersion } from '../features/datasets/dataset-version.ts';
import type { Datasets } from '../features/datasets/datasets.ts';
import { diffVersions } from '../features/datasets/diff.ts';
import { ROW_FORMATS } from '../features/datasets/entity-rows.ts';
import type { JsonObject } from '../kernel/json.ts';
import { DatasetShape, DiffShape, datasetToJson, VersionShape, versionToJson } from './dataset-shapes.ts';
import { ENTITIES_MAX, Time } from './feature-shapes.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  datasets: Datasets;
}

const VersionNumber = Type.String({
  pattern: '^([1-9][0-9]{0,8}|latest)$',
  description: 'A number, or `latest`',
});
const VersionParams = Type.Object({ name: Type.String({ minLength: 1 }), version: VersionNumber });
const bounds = {
  createdBefore: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'The cut-off: only what had been recorded by then counts',
    }),
  ),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
};
const tag = 'datasets';

/** Snapshots of history: made, listed, compared, deleted. */
export function datasetRoutes({ datasets }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    readRoutes(server, datasets);
    createRoute(server, datasets);
    uploadRoute(server, datasets);
    diffRoute(server, datasets);
    route(server, {
      method: 'DELETE',
      url: '/api/v1/datasets/:name/versions/:version',
      permission: 'datasets.write',
      summary: 'Delete the data of a version that no model names; what it was made of is still told',
      tag,
      params: VersionParams,
      answer: VersionShape,
      handle: async ({ params: { name, version }, caller }) => {
        const found = await datasets.version(name, numberOf(version));
        return versionToJson(await datasets.delete(name, found.version, actorOf(caller)));
      },
    });
  };
}

/** `latest`, or the number. */
export function numberOf(version: string): number | 'latest' {
  return version === 'latest' ? version : Number(version);
}

function readRoutes(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets',
    permission: 'datasets.read',
    summary: 'Every dataset with its newest version',
    tag,
    answer: pageOf(DatasetShape),
    // As many as people defined: no page is cut.
    handle: async () => {
      const newest = await datasets.newest();
      const items = datasets.definitions().map((each) => datasetToJson(each, newest.get(each.name)));
      return { items, nextCursor: null };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name',
    permission: 'datasets.read',
    summary: 'A dataset with its newest version',
    tag,
    params: NameParams,
    answer: DatasetShape,
    handle: async ({ params: { name } }) => {
      const definition = datasets.definition(name);
      return datasetToJson(definition, (await datasets.newest()).get(name));
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/versions',
    permission: 'datasets.read',
    summary: 'The versions of a dataset, the newest 100 first, deleted ones among them',
    tag,
    params: NameParams,
    answer: pageOf(VersionShape),
    handle: async ({ params: { name } }) => ({
      items: (await datasets.versions(name)).map(versionToJson),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/versions/:version',
    permission: 'datasets.read',
    summary: 'A version: what it was made of, its columns and how they lie, the models trained on it',
    tag,
    params: VersionParams,
    answer: VersionShape,
    handle: async ({ params: { name, version } }) =>
      versionToJson(await datasets.version(name, numberOf(version))),
  });
}

function createRoute(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/datasets/:name/versions',
    permission: 'datasets.write',
    summary:
      'Make a version from the events that the definition names, or from these rows; the same content is the version that exists (200)',
    tag,
    params: NameParams,
    body: Type.Object(
      {
        ...bounds,
        rows: Type.Optional(
          Type.Array(AnyObject, {
            minItems: 1,
            maxItems: ENTITIES_MAX,
            description: 'Entity rows: join keys, a `timestamp`, labels and values of the request',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    status: 201,
    answer: VersionShape,
    handle: async ({ params: { name }, body: { rows, ...times }, caller, reply }) => {
      const source = rows && { rows: rows as JsonObject[] };
      const made = await datasets.create({ name, source, ...rangeOf(times), by: actorOf(caller) });
      return answered(made, reply);
    },
  });
}

/** The file arrives as a stream and goes to disk piece by piece: `requestBytesMax` is not its limit, `datasetBytesMax` is. */
function uploadRoute(server: FastifyInstance, datasets: Datasets): void {
  const types = [
    'text/csv',
    'application/x-ndjson',
    'application/vnd.apache.parquet',
    'application/octet-stream',
  ];
  server.addContentTypeParser(
    types,
    (_request: unknown, payload: IncomingMessage, done: (error: null, body: unknown) => void) =>
      done(null, payload),
  );
  route(server, {
    method: 'POST',
    url: '/api/v1/datasets/:name/versions/upload',
    permission: 'datasets.write',
    summary: 'Make a version from a file of entity rows (the body, as CSV, JSON lines or Parquet)',
    tag,
    params: NameParams,
    query: Type.Object(
      {
        format: Type.Union(ROW_FORMATS.map((format) => Type.Literal(format))),
        createdBefore: bounds.createdBefore,
      },
      { additionalProperties: false },
    ),
    status: 201,
    answer: VersionShape,
    handle: async ({ params: { name }, query: { format, createdBefore }, caller, request, reply }) => {
      const content = (request.body ?? request.raw) as AsyncIterable<Uint8Array>;
      const source = { file: { content, format } };
      const made = await datasets.create({
        name,
        source,
        ...rangeOf({ createdBefore }),
        by: actorOf(caller),
      });
      return answered(made, reply);
    },
  });
}

function answered(
  { version, isNew }: { version: DatasetVersion; isNew: boolean },
  reply: { code(status: number): unknown },
) {
  if (!isNew) reply.code(200);
  return versionToJson(version);
}

function rangeOf({
  createdBefore,
  from,
  to,
}: {
  createdBefore?: string | undefined;
  from?: string;
  to?: string;
}) {
  const ms = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time));
  return { createdBeforeMs: ms(createdBefore), fromMs: ms(from), toMs: ms(to) };
}

function diffRoute(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/diff',
    permission: 'datasets.export',
    summary: 'What is not the same in two versions: columns, rows by their keys and time, how columns lie',
    tag,
    params: NameParams,
    query: Type.Object({ from: VersionNumber, to: VersionNumber }, { additionalProperties: false }),
    answer: DiffShape,
    handle: async ({ params: { name }, query: { from, to } }) =>
      diffVersions(
        datasets,
        await datasets.version(name, numberOf(from)),
        await datasets.version(name, numberOf(to)),
      ),
  });
}
