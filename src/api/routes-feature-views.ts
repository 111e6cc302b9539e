import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureOverview, ViewSummary } from '../features/overview.ts';
import type { ListedView } from '../features/projections.ts';
import type { Clock } from '../kernel/clock.ts';
import { route } from './routes.ts';
import { iso, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  featureOverview: FeatureOverview;
  clock: Pick<Clock, 'now'>;
}

const described = {
  description: Type.Optional(Type.String()),
  owner: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Record(Type.String(), Type.String())),
};
const View = Type.Object({
  ...described,
  name: Type.String(),
  version: Type.Integer(),
  kind: Type.String({ enum: ['stream', 'batch', 'push', 'on-demand'] }),
  entity: Type.Optional(Type.String({ description: 'Missing for a view that is computed from others' })),
  joinKeys: Type.Array(Type.String()),
  status: Type.String({
    enum: ['ready', 'building', 'not-materialized'],
    description:
      'Whether the newest version is served: a stream view may still be built from the log, a batch view may wait for its first materialization',
  }),
  served: Type.Array(
    Type.Object({
      version: Type.Integer(),
      status: Type.String({ enum: ['ready', 'building', 'not-materialized'] }),
      inForce: Type.Boolean({ description: 'Used by everything that is not pinned to a version' }),
      heldBy: Type.Array(
        Type.String({ description: 'What is pinned to it, such as feature-service return-risk' }),
      ),
    }),
    {
      description:
        'The versions that are or will be served: the current one, those that definitions are pinned to, the newest',
    },
  ),
  features: Type.Array(
    Type.Object({
      ...described,
      name: Type.String(),
      type: Type.String({ description: 'Of its values, or how they are aggregated' }),
    }),
  ),
  newest: Type.Optional(Type.String({ format: 'date-time', description: 'The newest event or row' })),
  ageSeconds: Type.Optional(Type.Number({ description: 'How old that is now' })),
  lateEvents: Type.Integer({ description: 'Events that came too late and were set aside' }),
  services: Type.Array(Type.String()),
});
const Service = Type.Object({
  ...described,
  name: Type.String(),
  version: Type.Integer(),
  views: Type.Array(Type.Unsafe<ListedView>({ description: 'The name of a view, or a projection of it' })),
  joinKeys: Type.Array(Type.String(), { description: 'What a request names of an entity' }),
  request: Type.Record(Type.String(), Type.String(), {
    description: 'Values that the request itself brings, with their types',
  }),
  features: Type.Array(Type.String(), { description: 'The names of its vector, in their order' }),
});
const Late = Type.Object({
  partition: Type.Integer(),
  offset: Type.Integer(),
  time: Type.String({ format: 'date-time' }),
  lateSeconds: Type.Number({ description: 'From its time to its recording' }),
});
const tag = 'features';
const LATE_MAX = 100;

/** Feature views as they stand: their features, and how fresh they are. */
export function featureViewRoutes({
  featureOverview,
  clock,
}: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/features/views',
      permission: 'features.read',
      summary: 'Feature views with their features and freshness',
      tag,
      answer: pageOf(View),
      // As many as files in the project: no page is cut.
      handle: async () => ({
        items: (await featureOverview.views()).map((view) => toJson(view, clock.now())),
        nextCursor: null,
      }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/services',
      permission: 'features.read',
      summary: 'Feature services with the keys and values that they need and the features that they return',
      tag,
      answer: pageOf(Service),
      // As many as files in the project: no page is cut.
      handle: async () => ({ items: featureOverview.services(), nextCursor: null }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/views/:name',
      permission: 'features.read',
      summary: 'One feature view with its features and how fresh it is',
      tag,
      params: NameParams,
      answer: View,
      handle: async ({ params: { name } }) => toJson(await featureOverview.view(name), clock.now()),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/views/:name/late-events',
      permission: 'features.read',
      summary: `The newest ${LATE_MAX} events that came too late for a view and that it set aside, by their places in the log`,
      tag,
      params: NameParams,
      answer: pageOf(Late),
      handle: async ({ params: { name } }) => ({
        items: (await featureOverview.lateEvents(name, LATE_MAX)).map(({ timeMs, lateMs, ...place }) => ({
          ...place,
          time: iso(timeMs),
          lateSeconds: lateMs / 1000,
        })),
        nextCursor: null,
      }),
    });
  };
}

function toJson({ newestMs, entity, ...view }: ViewSummary, nowMs: number) {
  return {
    ...view,
    ...(entity === null ? {} : { entity }),
    ...(newestMs === null ? {} : { newest: iso(newestMs), ageSeconds: Math.max(0, nowMs - newestMs) / 1000 }),
  };
}
