import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureStore, Vectors } from '../features/feature-store.ts';
import { type ListedView, type ListedViews, listedViews } from '../features/projections.ts';
import type { FeaturePush } from '../features/push.ts';
import { AiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { rowsOf, spineOf, spineRow, Time } from './feature-shapes.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

const askedOf = ({ featureRequestViewsMax }: Dependencies['limits']) => ({
  service: Type.Optional(Type.String({ minLength: 1, description: 'A feature service; or `views`' })),
  views: Type.Optional(
    Type.Unsafe<ListedView[]>({
      ...listedViews,
      minItems: 1,
      maxItems: featureRequestViewsMax,
      description:
        'Views instead of a service, listed as in its document: names, or a view with another name and other join keys',
    }),
  ),
  fullFeatureNames: Type.Optional(
    Type.Boolean({ description: 'Answer `view__feature` instead of `feature`, so that no two are the same' }),
  ),
});
const VectorsShape = Type.Object({
  names: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Type.Unknown())),
  pins: Type.Array(AnyObject),
});
const tag = 'features';

interface Dependencies {
  features: FeatureStore;
  featurePush: FeaturePush;
  limits: Pick<Limits, 'featureRequestRowsMax' | 'featureRequestViewsMax'>;
}

/** Feature vectors of a service, now or at places in the past, by one computation; rows that are pushed. */
export function featureRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    onlineRoute(server, dependencies);
    historicalRoute(server, dependencies);
    pushRoute(server, dependencies);
  };
}

function onlineRoute(server: FastifyInstance, { features, limits }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/online',
    permission: 'features.read',
    summary: 'Feature vectors of many entities, now or as of a given time',
    tag,
    body: Type.Object(
      {
        ...askedOf(limits),
        entities: rowsOf(AnyObject, limits, 'Join keys, and request values of this entity'),
        asOf: Type.Optional(Time),
        request: Type.Optional({ ...AnyObject, description: 'Values of the request for all entities' }),
      },
      { additionalProperties: false },
    ),
    answer: VectorsShape,
    handle: async ({ body }) => {
      const { entities, asOf, request } = body;
      const vectors = await features.online({
        service: wantedOf(body),
        entities: entities as JsonObject[],
        asOf: asOf === undefined ? undefined : { timeMs: Date.parse(asOf) },
        request: request as JsonObject | undefined,
      });
      return vectorsToJson(vectors, body);
    },
  });
}

function historicalRoute(server: FastifyInstance, { features, limits }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/historical',
    permission: 'features.read',
    summary: 'Feature vectors at times in the past: each row has its keys and a `timestamp`',
    tag,
    body: Type.Object(
      {
        ...askedOf(limits),
        createdBefore: Type.Optional(
          Type.String({
            format: 'date-time',
            description: 'The cut-off: only what had been recorded by then counts',
          }),
        ),
        spine: spineOf(limits),
      },
      { additionalProperties: false },
    ),
    answer: VectorsShape,
    handle: async ({ body }) => {
      const { createdBefore, spine } = body;
      return vectorsToJson(
        await features.historical(wantedOf(body), spine.map(spineRow(createdBefore))),
        body,
      );
    },
  });
}

interface Asked {
  service?: string | undefined;
  views?: ListedView[] | undefined;
  fullFeatureNames?: boolean | undefined;
}

function wantedOf({ service, views, fullFeatureNames }: Asked): string | ListedViews {
  if (service !== undefined && views === undefined) return service;
  if (service === undefined && views !== undefined) return { views, fullFeatureNames };
  throw new AiosError('request.invalid', { detail: 'Name a “service” or “views”, one of the two.' });
}

/** The same values, by the names that were asked for. */
function vectorsToJson({ names, fullNames, rows, pins }: Vectors, { fullFeatureNames }: Asked) {
  return { names: [...(fullFeatureNames ? fullNames : names)], rows, pins: [...pins] };
}

function pushRoute(server: FastifyInstance, { featurePush, limits }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/push',
    permission: 'features.write',
    summary:
      'Push rows to the views of a push source: all are stored, or none; sent again they change nothing',
    tag,
    body: Type.Object(
      {
        source: Type.String({ minLength: 1, description: 'The `push` of the views' }),
        rows: rowsOf(AnyObject, limits, 'Join keys, columns and a `timestamp` (default: now)'),
      },
      { additionalProperties: false },
    ),
    answer: Type.Object({ views: Type.Array(Type.String()), rows: Type.Integer() }),
    handle: ({ body: { source, rows } }) => featurePush.push(source, rows as JsonObject[]),
  });
}
