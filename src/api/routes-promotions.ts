import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Issue } from '../kernel/errors.ts';
import type { Promotions, Standing } from '../models/promotions.ts';
import { actorOf, route } from './routes.ts';
import { iso, NameParams, pageOf, VersionNumber } from './shapes.ts';

interface Dependencies {
  promotions: Promotions;
  /** What of the fallback chains around a model does not fit any more. */
  fallbackWarningsOf(model: string): readonly Issue[];
}

const MisfitShape = Type.Object({
  path: Type.String(),
  message: Type.String(),
  found: Type.Optional(Type.String()),
  expected: Type.Optional(Type.String()),
});
const StandingShape = Type.Object({
  alias: Type.String(),
  version: Type.Integer(),
  isAllowed: Type.Boolean(),
  approvalsNeeded: Type.Integer(),
  approvalsMissing: Type.Integer(),
  of: Type.Optional(Type.Array(Type.String())),
  fourEyes: Type.Boolean(),
  approvals: Type.Array(
    Type.Object({
      person: Type.String(),
      name: Type.String(),
      decision: Type.Union([Type.Literal('approve'), Type.Literal('reject')]),
      reason: Type.Optional(Type.String()),
      at: Type.String(),
    }),
  ),
  misfits: Type.Array(MisfitShape, { description: 'Why calls of the alias would be refused by the version' }),
  checks: Type.Array(
    Type.Object({ check: Type.String(), passed: Type.Boolean(), detail: Type.Optional(Type.String()) }),
  ),
});
const Outcome = Type.Object({
  promoted: Type.Boolean(),
  waitsFor: Type.Optional(StandingShape),
  warnings: Type.Optional(
    Type.Array(MisfitShape, {
      description:
        'Fallback chains, of the model and of those that fall back to it, with steps that no longer accept the calls',
    }),
  ),
});
const AliasParams = Type.Object({ name: Type.String(), alias: Type.String() });
const Reason = Type.Optional(Type.String({ maxLength: 2_000 }));
const tag = 'models';

/** Promotions of versions to aliases, the approvals that they wait for, and the way back. */
export function promotionRoutes({
  promotions,
  fallbackWarningsOf,
}: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    const told = (model: string, outcome: PromotionOutcome) =>
      outcomeToJson(outcome, outcome.isPromoted ? fallbackWarningsOf(model) : []);
    route(server, {
      method: 'PUT',
      url: '/api/v1/models/:name/aliases/:alias',
      permission: 'models.promote',
      summary:
        'Point an alias at a version, once it is warmed up and approved; until then 202 with what it waits for',
      tag,
      params: AliasParams,
      body: Type.Object({
        version: VersionNumber,
        force: Type.Optional(
          Type.Boolean({
            description:
              'Even if the version does not accept the calls of the alias; approvals and checks are still needed',
          }),
        ),
      }),
      answer: Outcome,
      handle: async ({ params: { name, alias }, body: { version, force }, caller, reply }) => {
        const target = { model: name, alias, version };
        const outcome = await promotions.promote({ ...target, force, by: actorOf(caller) });
        if (!outcome.isPromoted) reply.code(202);
        return told(name, outcome);
      },
    });
    route(server, {
      method: 'POST',
      url: '/api/v1/models/:name/aliases/:alias/rollback',
      permission: 'models.promote',
      summary: 'Roll an alias back to the version before, without approvals',
      tag,
      params: AliasParams,
      body: Type.Object({ version: VersionNumber, reason: Reason }),
      answer: Type.Object({ alias: Type.String(), version: Type.Integer() }),
      handle: async ({ params: { name, alias }, body, caller }) => {
        const version = await promotions.rollBack({ model: name, alias, ...body, by: actorOf(caller) });
        return { alias, version };
      },
    });
    approvalRoutes(server, promotions, told);
  };
}

function approvalRoutes(
  server: FastifyInstance,
  promotions: Promotions,
  told: (model: string, outcome: PromotionOutcome) => ReturnType<typeof outcomeToJson>,
): void {
  route(server, {
    method: 'POST',
    url: '/api/v1/models/:name/versions/:version/approvals',
    permission: 'models.approve',
    summary:
      'Approve or reject a version for an alias; the last approval that a promotion needs carries it out',
    tag,
    params: Type.Object({ name: Type.String(), version: VersionNumber }),
    body: Type.Object({
      alias: Type.String({ default: 'champion' }),
      decision: Type.Union([Type.Literal('approve'), Type.Literal('reject')]),
      reason: Reason,
    }),
    answer: Outcome,
    handle: async ({ params: { name, version }, body: { alias, decision, reason }, caller }) => {
      const { roles, groups } = caller;
      const by = { ...actorOf(caller), name: caller.name, roles, groups };
      const target = { model: name, alias, version };
      return told(name, await promotions.decide(target, { decision, reason, by }));
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/models/:name/promotions',
    permission: 'models.read',
    summary: 'Pending promotions of a model, with what they wait for',
    tag,
    params: NameParams,
    answer: pageOf(
      Type.Object({
        requestedBy: Type.Object({ kind: Type.String(), id: Type.String() }),
        requestedAt: Type.String(),
        waitsFor: StandingShape,
      }),
    ),
    handle: async ({ params }) => ({
      items: (await promotions.waiting(params.name)).map(({ requestedBy, requestedAt, standing }) => ({
        requestedBy,
        requestedAt: iso(requestedAt),
        waitsFor: standingToJson(standing),
      })),
      nextCursor: null,
    }),
  });
}

interface PromotionOutcome {
  readonly isPromoted: boolean;
  readonly standing: Standing;
}

function outcomeToJson({ isPromoted, standing }: PromotionOutcome, warnings: readonly Issue[]) {
  const warned = warnings.length > 0 && { warnings: warnings.map(misfitToJson) };
  return isPromoted ? { promoted: true, ...warned } : { promoted: false, waitsFor: standingToJson(standing) };
}

/** What does not fit, as the API tells it: of what is in force, not of a file. */
export function misfitToJson({ path, message, found, expected }: Issue) {
  return { path, message, found, expected };
}

function standingToJson({
  alias,
  version,
  isAllowed,
  policy,
  approvals,
  approvalsMissing,
  checks,
  misfits,
}: Standing) {
  return {
    ...{ alias, version, isAllowed, approvalsMissing, checks },
    misfits: misfits.map(misfitToJson),
    approvalsNeeded: policy.approvals,
    of: policy.of,
    fourEyes: policy.fourEyes !== false,
    approvals: approvals.map(({ reason, at, ...approval }) => ({
      ...approval,
      reason: reason ?? undefined,
      at: iso(at),
    })),
  };
}
