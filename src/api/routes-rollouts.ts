import type { FastifyInstance } from 'fastify';
import { type TProperties, Type } from 'typebox';
import type { Rollout } from '../models/rollout.ts';
import type { RolloutReport, Rollouts } from '../models/rollouts.ts';
import { actorOf, route } from './routes.ts';
import { iso, isoOrUndefined, NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  rollouts: Rollouts;
}

const OUTCOMES_MAX = 10_000;
const Percent = Type.Number({ minimum: 0, maximum: 100 });
const Share = Type.Number({ minimum: 0, maximum: 1 });
const Count = Type.Integer({ minimum: 1 });
/** One schema of two types: of a union the validator would make 0 of null, or null of 0, on the way to the type that it tries first. */
const OrNull = (range: { minimum?: number; maximum?: number } = {}) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], ...range });
const closed = <Properties extends TProperties>(properties: Properties) =>
  Type.Object(properties, { additionalProperties: false });

const Kind = Type.Union([Type.Literal('canary'), Type.Literal('shadow'), Type.Literal('ab')]);
const Step = closed({ percent: Percent, waitSeconds: Type.Optional(Count) });
const guards = {
  samplesMin: Count,
  windowSeconds: Type.Integer({ minimum: 10, maximum: 86_400 }),
  errorRateMax: OrNull({ minimum: 0, maximum: 1 }),
  latencyRatioMax: OrNull({ minimum: 1 }),
  latencyGraceMs: Type.Number({ minimum: 0 }),
  disagreementMax: OrNull({ minimum: 0, maximum: 1 }),
};
const comparison = { share: Share, tolerance: Type.Number({ minimum: 0 }) };
const outcome = {
  higherIsBetter: Type.Boolean(),
  alpha: Type.Number({ minimum: 1e-9, maximum: 0.5 }),
  effect: Type.Number({ exclusiveMinimum: 0 }),
  samplesMin: Type.Integer({ minimum: 2 }),
};
const NewRollout = closed({
  alias: Type.Optional(Type.String({ minLength: 1 })),
  challenger: Count,
  force: Type.Optional(
    Type.Boolean({
      description:
        'Even if the challenger does not accept the calls of the alias; approvals and checks are still needed',
    }),
  ),
  kind: Kind,
  percent: Type.Optional(Percent),
  steps: Type.Optional(Type.Array(Step, { minItems: 1, maxItems: 50 })),
  thenPromote: Type.Optional(Type.Boolean()),
  comparison: Type.Optional(Type.Partial(closed(comparison))),
  guards: Type.Optional(Type.Partial(closed(guards))),
  outcome: Type.Optional(
    Type.Intersect([
      Type.Object({ name: Type.String({ minLength: 1 }) }),
      Type.Partial(Type.Object(outcome)),
    ]),
  ),
});

const Actor = Type.Object({ kind: Type.String(), id: Type.String() });
const Side = Type.Object({
  requests: Type.Integer(),
  errors: Type.Integer(),
  errorRate: OrNull(),
  p50Ms: OrNull(),
  p95Ms: OrNull(),
  p99Ms: OrNull(),
});
const Figures = Type.Object({
  champion: Side,
  challenger: Side,
  comparison: Type.Object({
    compared: Type.Integer(),
    agreement: OrNull(),
    differenceMean: OrNull(),
    differenceMax: OrNull(),
    dropped: Type.Integer(),
    copiesMicroUsd: Type.Number(),
  }),
});
const Interval = Type.Tuple([Type.Number(), Type.Number()]);
const Samples = Type.Object({ champion: Type.Integer(), challenger: Type.Integer() });
const RolloutShape = Type.Object({
  id: Type.String(),
  model: Type.String(),
  alias: Type.String(),
  champion: Type.Integer(),
  challenger: Type.Integer(),
  plan: Type.Object({
    kind: Kind,
    steps: Type.Array(Step),
    thenPromote: Type.Boolean(),
    comparison: Type.Union([Type.Object(comparison), Type.Null()]),
    guards: Type.Object(guards),
    outcome: Type.Union([Type.Object({ name: Type.String(), ...outcome }), Type.Null()]),
  }),
  status: Type.Union(['running', 'paused', 'promoted', 'rolled-back'].map((status) => Type.Literal(status))),
  percent: Type.Number(),
  step: Type.Integer(),
  stepStartedAt: Type.String(),
  startedAt: Type.String(),
  startedBy: Actor,
  forced: Type.Optional(
    Type.Boolean({ description: 'Started although the challenger does not accept the calls of the alias' }),
  ),
  endedAt: Type.Optional(Type.String()),
  endedBy: Type.Optional(Actor),
  reason: Type.Optional(Type.String()),
  conclusion: Type.Optional(
    Type.Object({
      verdict: Type.Union([Type.Literal('better'), Type.Literal('worse')]),
      difference: Type.Number(),
      interval: Interval,
      pValue: Type.Number(),
      samples: Samples,
      at: Type.String(),
    }),
  ),
});
const ReportShape = Type.Intersect([
  RolloutShape,
  Type.Object({
    figures: Figures,
    recent: Figures,
    test: Type.Optional(
      Type.Object({
        championMean: OrNull(),
        challengerMean: OrNull(),
        difference: OrNull(),
        interval: Type.Union([Interval, Type.Null()]),
        pValue: Type.Number(),
        samples: Samples,
      }),
    ),
  }),
]);
const Params = Type.Object({ name: Type.String({ minLength: 1 }), id: Type.String({ minLength: 1 }) });
const Reason = closed({ reason: Type.Optional(Type.String({ maxLength: 2_000 })) });
const StepTo = closed({ step: Type.Optional(Type.Integer({ minimum: 0 })), percent: Type.Optional(Percent) });
const Outcomes = closed({
  outcomes: Type.Array(closed({ key: Type.String({ minLength: 1 }), value: Type.Number() }), {
    minItems: 1,
    maxItems: OUTCOMES_MAX,
  }),
});
const tag = 'models';
const BASE = '/api/v1/models/:name/rollouts';

/** Rollouts of a model's aliases: start one, see what it finds, change it, end it. Each call may be made again. */
export function rolloutRoutes({ rollouts }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    readRoutes(server, rollouts);
    changeRoutes(server, rollouts);
    endRoutes(server, rollouts);
    route(server, {
      method: 'POST',
      url: `${BASE}/:id/outcomes`,
      permission: 'serving.infer',
      summary: 'Report outcomes of an A/B test; each sticky key counts once, with its first outcome',
      tag,
      params: Params,
      body: Outcomes,
      answer: Type.Object({ counted: Type.Integer() }),
      handle: async ({ params, body }) => ({
        counted: await rollouts.reportOutcomes(params.name, params.id, body.outcomes),
      }),
    });
  };
}

function readRoutes(server: FastifyInstance, rollouts: Rollouts): void {
  route(server, {
    method: 'GET',
    url: BASE,
    permission: 'models.read',
    summary: 'The rollouts of a model, the newest first',
    tag,
    params: NameParams,
    answer: pageOf(RolloutShape),
    handle: async ({ params }) => ({
      items: (await rollouts.list(params.name)).map(toJson),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'GET',
    url: `${BASE}/:id`,
    permission: 'models.read',
    summary:
      'A rollout with the measurements of both versions: since it began, and in the window that its guards evaluate',
    tag,
    params: Params,
    answer: ReportShape,
    handle: async ({ params }) =>
      reportToJson(await rollouts.report(await rollouts.get(params.name, params.id))),
  });
}

function changeRoutes(server: FastifyInstance, rollouts: Rollouts): void {
  route(server, {
    method: 'POST',
    url: BASE,
    permission: 'models.promote',
    summary: 'Try a version under an alias: canary, shadow or A/B test',
    tag,
    params: NameParams,
    body: NewRollout,
    status: 201,
    answer: RolloutShape,
    handle: async ({ params, body, caller }) =>
      toJson(await rollouts.start({ ...body, model: params.name, by: actorOf(caller) })),
  });
  route(server, {
    method: 'POST',
    url: `${BASE}/:id/step`,
    permission: 'models.promote',
    summary: 'Move a canary to a step, or set the share of the challenger',
    tag,
    params: Params,
    body: StepTo,
    answer: RolloutShape,
    handle: async ({ params, body, caller }) =>
      toJson(await rollouts.step(params.name, params.id, body, actorOf(caller))),
  });
  for (const [action, summary] of [
    ['pause', 'Stop the schedule of a rollout; its traffic stays as it is'],
    ['resume', 'Let the schedule of a rollout go on'],
  ] as const) {
    route(server, {
      method: 'POST',
      url: `${BASE}/:id/${action}`,
      permission: 'models.promote',
      summary,
      tag,
      params: Params,
      answer: RolloutShape,
      handle: async ({ params, caller }) =>
        toJson(await rollouts[action](params.name, params.id, actorOf(caller))),
    });
  }
}

function endRoutes(server: FastifyInstance, rollouts: Rollouts): void {
  for (const [action, end, summary] of [
    ['promote', 'promote', 'End a rollout: its alias moves to the challenger'],
    ['rollback', 'rollBack', 'End a rollout: from now on the champion answers all'],
  ] as const) {
    route(server, {
      method: 'POST',
      url: `${BASE}/:id/${action}`,
      permission: 'models.promote',
      summary,
      tag,
      params: Params,
      body: Reason,
      answer: RolloutShape,
      handle: async ({ params, body, caller }) =>
        toJson(await rollouts[end](params.name, params.id, { by: actorOf(caller), reason: body.reason })),
    });
  }
}

function toJson(rollout: Rollout) {
  const { id, model, alias, champion, challenger, plan, status, percent, step, startedBy } = rollout;
  const { endedAt, endedBy, reason, conclusion } = rollout;
  return {
    ...{ id, model, alias, champion, challenger, plan, status, percent, step, startedBy },
    stepStartedAt: iso(rollout.stepStartedAt),
    startedAt: iso(rollout.startedAt),
    forced: rollout.isForced || undefined,
    endedAt: isoOrUndefined(endedAt),
    endedBy: endedBy ?? undefined,
    reason: reason ?? undefined,
    conclusion: conclusion ? { ...conclusion, at: iso(conclusion.at) } : undefined,
  };
}

function reportToJson({ rollout, figures, recent, test }: RolloutReport) {
  return { ...toJson(rollout), figures, recent, test: test ?? undefined };
}
