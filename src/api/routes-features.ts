import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureStore, Vectors } from '../features/feature-store.ts';
import type { FeaturePush } from '../features/push.ts';
import type { JsonObject } from '../kernel/json.ts';
import { ENTITIES_MAX, Spine, spineRow, Time } from './feature-shapes.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

const VectorsShape = Type.Object({
  names: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Type.Unknown())),
  pins: Type.Array(AnyObject),
});
const tag = 'features';

interface Dependencies {
  features: FeatureStore;
  featurePush: FeaturePush;
}

/** Feature vectors of a service, now or at places in the past, by one computation; rows that are pushed. */
export function featureRoutes({ features, featurePush }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    vectorRoutes(server, features);
    pushRoute(server, featurePush);
  };
}

function vectorRoutes(server: FastifyInstance, features: FeatureStore): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/online',
    permission: 'features.read',
    summary: 'Feature vectors of many entities, now or as of a time',
    tag,
    body: Type.Object(
      {
        service: Type.String({ minLength: 1 }),
        entities: Type.Array(AnyObject, { minItems: 1, maxItems: ENTITIES_MAX }),
        asOf: Type.Optional(Time),
        request: Type.Optional(AnyObject),
      },
      { additionalProperties: false },
    ),
    answer: VectorsShape,
    handle: ({ body: { service, entities, asOf, request } }): Promise<Vectors> =>
      features.online({
        service,
        entities: entities as JsonObject[],
        asOf: asOf === undefined ? undefined : { timeMs: Date.parse(asOf) },
        request: request as JsonObject | undefined,
      }),
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/features/historical',
    permission: 'features.read',
    summary: 'Feature vectors of many places in the past: each row names its keys and its `timestamp`',
    tag,
    body: Type.Object(
      {
        service: Type.String({ minLength: 1 }),
        createdBefore: Type.Optional(
          Type.String({
            format: 'date-time',
            description: 'The cut-off: only what had been recorded by then counts',
          }),
        ),
        spine: Spine,
      },
      { additionalProperties: false },
    ),
    answer: VectorsShape,
    handle: ({ body: { service, createdBefore, spine } }): Promise<Vectors> =>
      features.historical(service, spine.map(spineRow(createdBefore))),
  });
}

function pushRoute(server: FastifyInstance, featurePush: FeaturePush): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/push',
    permission: 'features.write',
    summary: 'Rows for the views of a push source: all are kept, or none; sent again they change nothing',
    tag,
    body: Type.Object(
      {
        source: Type.String({ minLength: 1, description: 'The `push` of the views' }),
        rows: Type.Array(AnyObject, {
          minItems: 1,
          maxItems: ENTITIES_MAX,
          description: 'Join keys, columns and a `timestamp`, now when left out',
        }),
      },
      { additionalProperties: false },
    ),
    answer: Type.Object({ views: Type.Array(Type.String()), rows: Type.Integer() }),
    handle: ({ body: { source, rows } }) => featurePush.push(source, rows as JsonObject[]),
  });
}
