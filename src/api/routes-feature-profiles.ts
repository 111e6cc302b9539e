import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { FeatureProfiles, ProfileSource, SavedProfile } from '../features/profiles.ts';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { AuditLog } from '../ledger/audit.ts';
import { type RowLimits, spineOf, spineRow } from './feature-shapes.ts';
import { actorOf, route } from './routes.ts';
import { iso, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  featureProfiles: FeatureProfiles;
  clock: Pick<Clock, 'now'>;
  auditLog: Pick<AuditLog, 'entry'>;
  limits: RowLimits;
}

const sourceOf = (limits: RowLimits) => ({
  view: Type.Optional(Type.String({ minLength: 1, description: 'A stored view, as it is now' })),
  service: Type.Optional(Type.String({ minLength: 1, description: 'A service, at the rows of `spine`' })),
  spine: Type.Optional(spineOf(limits)),
});
const share = Type.Number({ minimum: 0 });
const Thresholds = Type.Object(
  {
    rowsMin: Type.Optional(Type.Integer({ minimum: 1, description: 'Rows that a sample needs; default 30' })),
    nullShare: Type.Optional(share),
    mean: Type.Optional(share),
    quantile: Type.Optional(share),
    distinct: Type.Optional(Type.Number({ minimum: 1 })),
    psi: Type.Optional(share),
    outside: Type.Optional(share),
  },
  { additionalProperties: false },
);
const Feature = Type.Object({
  kind: Type.String({ enum: ['number', 'category'] }),
  nullShare: Type.Number(),
  distinct: Type.Number(),
  mean: Type.Optional(Type.Number()),
  stddev: Type.Optional(Type.Number()),
  deciles: Type.Optional(Type.Array(Type.Number())),
  shares: Type.Record(Type.String(), Type.Number()),
});
const ProfileShape = Type.Object({
  rows: Type.Integer(),
  features: Type.Record(Type.String(), Feature),
});
const Saved = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  view: Type.Optional(Type.String()),
  service: Type.Optional(Type.String()),
  profile: ProfileShape,
  createdAt: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
});
const value = Type.Union([Type.Number(), Type.String()]);
const Finding = Type.Object({
  feature: Type.String(),
  check: Type.String(),
  expected: value,
  found: value,
  threshold: Type.Number(),
  message: Type.String(),
});
const tag = 'features';

interface Asked {
  view?: string | undefined;
  service?: string | undefined;
  spine?: { timestamp: string }[] | undefined;
}

/** Reference profiles of features, and what has moved since. Who saved one is in the audit log, in the transaction that saves it. */
export function featureProfileRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { featureProfiles } = dependencies;
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/features/profiles',
      permission: 'features.read',
      summary: 'The newest version of each reference profile',
      tag,
      answer: pageOf(Saved),
      // People save them one by one: no page is cut.
      handle: async () => ({ items: (await featureProfiles.list()).map(toJson), nextCursor: null }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/features/profiles/:name',
      permission: 'features.read',
      summary: 'The newest version of a reference profile',
      tag,
      params: NameParams,
      answer: Saved,
      handle: async ({ params: { name } }) => toJson(await featureProfiles.get(name)),
    });
    saveRoute(server, dependencies);
    validateRoute(server, dependencies);
  };
}

function saveRoute(
  server: FastifyInstance,
  { featureProfiles, clock, auditLog, limits }: Dependencies,
): void {
  route(server, {
    method: 'PUT',
    url: '/api/v1/features/profiles/:name',
    permission: 'features.control',
    summary:
      'Save the distribution of a view, or of a service at times in the past, as the next version of the profile',
    tag,
    params: NameParams,
    body: Type.Object(sourceOf(limits), { additionalProperties: false }),
    answer: Saved,
    handle: async ({ params: { name }, body, caller }) => {
      const source = toSource(body);
      if (!source) throw noSource();
      const { view, service } = body;
      const record = auditLog.entry({
        kind: 'feature-profile',
        action: 'saved',
        actor: actorOf(caller),
        object: `feature-profile:${name}`,
        at: clock.now(),
        payload: {
          name,
          ...(view === undefined ? {} : { view }),
          ...(service === undefined ? {} : { service }),
        },
      });
      return toJson(await featureProfiles.save({ name, source, by: caller.id }, [record]));
    },
  });
}

function validateRoute(server: FastifyInstance, { featureProfiles, limits }: Dependencies): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/features/profiles/:name/validate',
    permission: 'features.read',
    summary:
      'Compare a view, or a service at times in the past, with a reference profile; by default the view of the profile',
    tag,
    params: NameParams,
    body: Type.Object(
      { ...sourceOf(limits), thresholds: Type.Optional(Thresholds) },
      { additionalProperties: false },
    ),
    answer: Type.Object({
      version: Type.Integer({ description: 'Of the profile' }),
      rows: Type.Integer(),
      passed: Type.Boolean(),
      findings: Type.Array(Finding),
      current: ProfileShape,
    }),
    handle: async ({ params: { name }, body: { thresholds = {}, ...source } }) => {
      const result = await featureProfiles.validate(name, toSource(source), thresholds);
      return { ...result, passed: result.findings.length === 0 };
    },
  });
}

/** One of the two, or neither; a service without places says nothing. */
function toSource({ view, service, spine }: Asked): ProfileSource | undefined {
  if (view !== undefined && service === undefined) return { view };
  if (view === undefined && service !== undefined && spine) return { service, spine: spine.map(spineRow()) };
  if (view === undefined && service === undefined) return undefined;
  throw noSource();
}

function noSource(): AiosError {
  return new AiosError('features.profile_source', {
    detail: 'A source is a view, or a service and its spine.',
  });
}

function toJson({ source, createdAt, ...saved }: SavedProfile) {
  return { ...saved, ...source, createdAt: iso(createdAt) };
}
