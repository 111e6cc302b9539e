import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Lineage } from '../ledger/lineage.ts';
import type { Models } from '../models/models.ts';
import type { LoggedRequest, RequestLog } from '../serving/traffic/request-log.ts';
import { route } from './routes.ts';
import { AnyObject, iso, NameParams, pageOf, pageQuery, VersionNumber } from './shapes.ts';

interface Dependencies {
  models: Pick<Models, 'get'>;
  requestLog: Pick<RequestLog, 'read'>;
  lineage: Pick<Lineage, 'pinsOfRuns'>;
}

const Time = Type.Optional(Type.String({ format: 'date-time' }));
const Version = Type.Object({ model: Type.String(), version: Type.Integer(), digest: Type.String() });
const orNull = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);

const SampledRequest = Type.Object(
  {
    id: Type.String(),
    at: Type.String({ format: 'date-time' }),
    model: Type.String({ description: 'The model that was called' }),
    version: Type.Integer({ description: 'The version that was chosen to answer' }),
    status: Type.String({ enum: ['answered', 'degraded', 'failed'] }),
    answeredBy: orNull(Version),
    cached: orNull(Type.String({ enum: ['hit', 'shared'] })),
    parts: Type.Optional(
      Type.String({ description: 'for an ensemble: the models that it called, as name/version' }),
    ),
    caller: orNull(AnyObject),
    traceId: orNull(Type.String()),
    runId: Type.Optional(Type.String({ description: 'The run that made the call' })),
    latencyMs: Type.Number(),
    costMicroUsd: orNull(Type.Number()),
    usage: Type.Optional(AnyObject), // tokens of a language model
    attempts: Type.Optional(
      Type.Array(AnyObject, { description: 'Servers of a language model that were tried, in order' }),
    ),
    request: AnyObject,
    answer: orNull(AnyObject),
    error: orNull(AnyObject),
    redacted: Type.Array(Type.String(), { description: 'Names whose values are not stored' }),
    truncated: Type.Boolean({ description: 'Whether something was cut off because of its length' }),
    auditObject: Type.String({
      description: 'The object of the audit entry with the digests of request and answer',
    }),
    featureViews: Type.Array(AnyObject, {
      description: 'Versions of the feature views and services that the run used',
    }),
  },
  { additionalProperties: true },
);

const Query = pageQuery({
  version: Type.Optional(VersionNumber),
  status: Type.Optional(Type.String({ enum: ['answered', 'degraded', 'failed'] })),
  caller: Type.Optional(Type.String({ description: 'The id of a key; includes its console sessions' })),
  trace: Type.Optional(Type.String()),
  run: Type.Optional(Type.String()),
  from: Time,
  to: Time,
});

/** What models were asked and answered: the sample that their definitions ask for (`serving.log`). */
export function inferenceRequestRoutes({
  models,
  requestLog,
  lineage,
}: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/models/:name/requests',
      permission: 'serving.requests',
      summary: 'Sampled requests of a model with their answers, the newest first',
      tag: 'models',
      params: NameParams,
      query: Query,
      answer: pageOf(SampledRequest),
      handle: async ({ params: { name }, query }) => {
        models.get(name); // an unknown model is told, where an empty page would mislead
        const { limit = 50, cursor } = query;
        const found = await requestLog.read({ model: name, ...filtersOf(query) }, limit + 1, cursor);
        const items = found.slice(0, limit);
        const runIds = [...new Set(items.flatMap(({ runId }) => runId ?? []))];
        const pins = runIds.length > 0 ? await lineage.pinsOfRuns(runIds) : new Map();
        return {
          items: items.map((item) => toJson(item, pins.get(item.runId) ?? [])),
          nextCursor: found.length > limit ? items.at(-1)!.id : null,
        };
      },
    });
  };
}

function filtersOf({ version, status, caller, trace, run, from, to }: Static<typeof Query>) {
  return {
    version,
    status: status as 'answered' | 'degraded' | 'failed' | undefined,
    callerId: caller,
    traceId: trace,
    runId: run,
    sinceMs: from === undefined ? undefined : Date.parse(from),
    untilMs: to === undefined ? undefined : Date.parse(to),
  };
}

type Pins = Awaited<ReturnType<Lineage['pinsOf']>>;

function toJson({ at, ...request }: LoggedRequest, pins: Pins) {
  const featureViews = pins.filter(({ kind }) => kind === 'feature-view' || kind === 'feature-service');
  return { ...request, at: iso(at), featureViews };
}
