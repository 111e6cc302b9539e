import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureStore, SpineRow, Vectors } from '../features/feature-store.ts';
import type { JsonObject } from '../kernel/json.ts';
import { route } from './routes.ts';
import { AnyObject } from './shapes.ts';

const ENTITIES_MAX = 10_000;

const Time = Type.String({ format: 'date-time' });
const VectorsShape = Type.Object({
  names: Type.Array(Type.String()),
  rows: Type.Array(Type.Array(Type.Unknown())),
  pins: Type.Array(AnyObject),
});
const tag = 'features';

/** Feature vectors of a service, now or at places in the past, by one computation. */
export function featureRoutes({ features }: { features: FeatureStore }): (server: FastifyInstance) => void {
  return (server) => {
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
          spine: Type.Array(Type.Object({ timestamp: Time }, { additionalProperties: true }), {
            minItems: 1,
            maxItems: ENTITIES_MAX,
          }),
        },
        { additionalProperties: false },
      ),
      answer: VectorsShape,
      handle: ({ body }): Promise<Vectors> => features.historical(body.service, body.spine.map(spineRow)),
    });
  };
}

/** What a row holds beside its keys are the values that a request would bring. */
function spineRow({ timestamp, ...values }: { timestamp: string }): SpineRow {
  return {
    keys: values as JsonObject,
    request: values as JsonObject,
    asOf: { timeMs: Date.parse(timestamp) },
  };
}
