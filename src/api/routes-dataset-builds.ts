import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { DatasetBuild, DatasetBuilds } from '../features/datasets/dataset-builds.ts';
import type { NewVersion } from '../features/datasets/dataset-version.ts';
import type { Datasets } from '../features/datasets/datasets.ts';
import { ROW_FORMATS } from '../features/datasets/entity-rows.ts';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { AuditLog } from '../ledger/audit.ts';
import { AnswerShape, BuildShape, buildToJson, versionToJson } from './dataset-shapes.ts';
import { rowsOf, Time } from './feature-shapes.ts';
import { actorOf, route } from './routes.ts';
import { waitMsOf } from './routes-runs.ts';
import { AnyObject, IdParams, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  datasets: Datasets;
  datasetBuilds: DatasetBuilds;
  clock: Clock;
  limits: Limits;
  auditLog: Pick<AuditLog, 'entry'>;
}

const createdBefore = Type.Optional(
  Type.String({
    format: 'date-time',
    description: 'The cut-off: only what had been recorded by then counts',
  }),
);
const wait = Type.Optional(
  Type.String({
    description: 'How long to wait for the version, such as `10s`; without it the answer is 202',
  }),
);
const tag = 'datasets';
const COUNT_MAX = 100;

/** Versions of datasets are asked for, watched and canceled. */
export function datasetBuildRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { datasetBuilds } = dependencies;
  return (server) => {
    createRoute(server, dependencies);
    uploadRoute(server, dependencies);
    cancelRoute(server, dependencies);
    route(server, {
      method: 'GET',
      url: '/api/v1/dataset-builds',
      permission: 'datasets.read',
      summary: `The newest ${COUNT_MAX} dataset builds, with their progress`,
      tag,
      query: Type.Object({ dataset: Type.Optional(Type.String()) }, { additionalProperties: false }),
      answer: pageOf(BuildShape),
      handle: async ({ query: { dataset } }) => ({
        items: (await datasetBuilds.list(dataset, COUNT_MAX)).map(buildToJson),
        nextCursor: null,
      }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/dataset-builds/:id',
      permission: 'datasets.read',
      summary: 'A dataset build with its progress and its result',
      tag,
      params: IdParams,
      answer: AnswerShape,
      handle: async ({ params: { id } }) => withVersion(dependencies, await datasetBuilds.get(id)),
    });
  };
}

function createRoute(server: FastifyInstance, dependencies: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/datasets/:name/versions',
    permission: 'datasets.write',
    summary:
      'Build a version from the events that the definition names, or from these rows: 202 while it is being built, 201 when it is ready, 200 if a version with the same content exists',
    tag,
    params: NameParams,
    query: Type.Object({ wait }, { additionalProperties: false }),
    body: Type.Object(
      {
        createdBefore,
        from: Type.Optional(Time),
        to: Type.Optional(Time),
        rows: Type.Optional(
          rowsOf(
            AnyObject,
            dependencies.limits,
            'Entity rows: join keys, a `timestamp`, labels and values of the request',
          ),
        ),
      },
      { additionalProperties: false },
    ),
    status: 202,
    answer: AnswerShape,
    handle: ({
      params: { name },
      query,
      body: { rows, createdBefore, from, to },
      caller,
      request,
      reply,
    }) => {
      const wanted = {
        name,
        source: rows && { rows: rows as JsonObject[] },
        createdBeforeMs: msOf(createdBefore),
        fromMs: msOf(from),
        toMs: msOf(to),
        by: actorOf(caller),
      };
      return make(dependencies, wanted, query.wait, { request, reply });
    },
  });
}

/** The file arrives as a stream and goes to disk piece by piece: `requestBytesMax` is not its limit, `datasetBytesMax` is. */
function uploadRoute(server: FastifyInstance, dependencies: Dependencies): void {
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
    summary: 'Build a version from a file of entity rows (the body, as CSV, JSON lines or Parquet)',
    tag,
    params: NameParams,
    query: Type.Object(
      {
        format: Type.Union(ROW_FORMATS.map((format) => Type.Literal(format))),
        createdBefore,
        wait,
      },
      { additionalProperties: false },
    ),
    status: 202,
    answer: AnswerShape,
    handle: ({ params: { name }, query: { format, createdBefore, wait }, caller, request, reply }) => {
      const content = (request.body ?? request.raw) as AsyncIterable<Uint8Array>;
      const wanted = {
        name,
        source: { file: { content, format } },
        createdBeforeMs: msOf(createdBefore),
        by: actorOf(caller),
      };
      return make(dependencies, wanted, wait, { request, reply });
    },
  });
}

/** A caller who waits is told why it failed as if it had been made in the call. */
async function make(
  dependencies: Dependencies,
  wanted: NewVersion,
  wait: string | undefined,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
) {
  const { datasetBuilds, limits } = dependencies;
  const waitMs = waitMsOf(wait, limits);
  const id = await datasetBuilds.start(wanted);
  const build = await datasetBuilds.passes.wait(id, waitMs, request.signal);
  const { problem, status, version } = build;
  if (problem) {
    const { code, detail, issues } = problem;
    throw new AiosError(code, { detail, ...(issues ? { issues } : {}), extensions: { build: id } });
  }
  reply.header(
    'location',
    status === 'done'
      ? `/api/v1/datasets/${encodeURIComponent(wanted.name)}/versions/${version}`
      : `/api/v1/dataset-builds/${id}`,
  );
  if (status === 'done') reply.code(build.isNew ? 201 : 200);
  return withVersion(dependencies, build);
}

function cancelRoute(server: FastifyInstance, dependencies: Dependencies): void {
  const { datasetBuilds, auditLog, clock } = dependencies;
  route(server, {
    method: 'POST',
    url: '/api/v1/dataset-builds/:id/cancel',
    permission: 'datasets.write',
    summary: 'Cancel a dataset build: no version is made',
    tag,
    params: IdParams,
    answer: BuildShape,
    handle: async ({ params: { id }, caller }) => {
      const { dataset } = await datasetBuilds.get(id);
      const record = auditLog.entry({
        kind: 'dataset',
        action: 'build-canceled',
        actor: actorOf(caller),
        object: `dataset:${dataset}`,
        at: clock.now(),
        payload: { dataset, id },
      });
      await datasetBuilds.passes.cancel(id, caller.id, [record]);
      return buildToJson(await datasetBuilds.get(id));
    },
  });
}

async function withVersion({ datasets }: Dependencies, build: DatasetBuild) {
  const { dataset, version } = build;
  if (version === null) return buildToJson(build);
  return { ...buildToJson(build), made: versionToJson(await datasets.version(dataset, version)) };
}

function msOf(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}
