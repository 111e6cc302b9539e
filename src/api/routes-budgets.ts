import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Json } from '../kernel/json.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Budget } from '../ledger/budget-lanes.ts';
import type { Budgets } from '../ledger/budgets.ts';
import type { Committer } from '../store/group-commit.ts';
import { actorOf, type Caller, route } from './routes.ts';
import { iso, pageOf } from './shapes.ts';

interface Dependencies {
  budgets: Budgets;
  commit: Committer;
  clock: Clock;
  auditLog: Pick<AuditLog, 'entry'>;
}

const Params = Type.Object({ name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,99}$' }) });
const Amount = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description }));
const Bounds = {
  tokensMax: Amount('Tokens of one period, read and written together'),
  amountMicroUsdMax: Amount('Money of one period, in millionths of a dollar'),
};
const Body = Type.Object(
  {
    scope: Type.Union([Type.Literal('key'), Type.Literal('model'), Type.Literal('all')]),
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: '^[^\\u0000]*$',
        description: 'The id of a key or the name of a model; when left out, each has its own budget',
      }),
    ),
    period: Type.Union([Type.Literal('hour'), Type.Literal('day'), Type.Literal('month')]),
    ...Bounds,
  },
  { additionalProperties: false },
);
const Shape = Type.Object({
  name: Type.String(),
  scope: Type.String(),
  subject: Type.String(),
  period: Type.String(),
  ...Bounds,
  periodStart: Type.String({ format: 'date-time' }),
  periodEnd: Type.String({ format: 'date-time' }),
  uses: Type.Array(
    Type.Object({
      subject: Type.String(),
      tokens: Type.Integer(),
      amountMicroUsd: Type.Integer(),
      reservedTokens: Type.Integer({ description: 'Reserved for calls in progress' }),
      reservedMicroUsd: Type.Integer(),
    }),
  ),
});
const tag = 'costs';

/** Budgets of tokens and money over the calls of language models. */
export function budgetRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { budgets } = dependencies;
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/budgets',
      permission: 'costs.read',
      summary: 'Budgets, and how much of each is used in the current period',
      tag,
      answer: pageOf(Shape),
      handle: async () => ({ items: (await budgets.list()).map(toJson), nextCursor: null }),
    });
    route(server, {
      method: 'PUT',
      url: '/api/v1/budgets/:name',
      permission: 'budgets.manage',
      summary: 'Set a budget; it takes effect here at once, in other processes within a second',
      tag,
      params: Params,
      body: Body,
      answer: Shape,
      handle: async ({ params: { name }, body, caller }) => {
        await put(dependencies, budgetOf(name, body), caller);
        return toJson((await budgets.list()).find((budget) => budget.name === name)!);
      },
    });
    route(server, {
      method: 'DELETE',
      url: '/api/v1/budgets/:name',
      permission: 'budgets.manage',
      summary: 'Delete a budget and its counts; the costs themselves stay',
      tag,
      params: Params,
      answer: Type.Object({ name: Type.String(), removed: Type.Boolean() }),
      handle: async ({ params: { name }, caller }) => {
        const budget = await budgets.get(name);
        await record(dependencies, budgets.remove(name), 'removed', budget, caller);
        return { name, removed: true };
      },
    });
  };
}

type Wanted = Partial<Pick<Budget, 'subject'>> &
  Pick<Budget, 'scope' | 'period'> & { tokensMax?: number; amountMicroUsdMax?: number };

function budgetOf(name: string, { scope, subject = '*', period, ...bounds }: Wanted): Budget {
  const { tokensMax = null, amountMicroUsdMax = null } = bounds;
  if (tokensMax === null && amountMicroUsdMax === null)
    throw new AiosError('request.invalid', {
      issues: [{ path: '', message: 'a budget bounds tokens, money or both' }],
    });
  return { name, scope, subject: scope === 'all' ? '*' : subject, period, tokensMax, amountMicroUsdMax };
}

async function put(dependencies: Dependencies, budget: Budget, caller: Caller): Promise<void> {
  const before = (await dependencies.budgets.list()).find(({ name }) => name === budget.name);
  const isSame =
    before && Object.entries(budget).every(([member, value]) => before[member as keyof Budget] === value);
  if (!isSame) await record(dependencies, dependencies.budgets.put(budget), 'set', budget, caller);
}

async function record(
  { budgets, commit, clock, auditLog }: Dependencies,
  change: ReturnType<Budgets['put']>,
  action: string,
  budget: Budget,
  caller: Caller,
): Promise<void> {
  const { name } = budget;
  const payload = { ...budget } as unknown as Json;
  const entry = { kind: 'budget', action, actor: actorOf(caller), object: `budget:${name}`, payload };
  await commit.commit([change, auditLog.entry({ ...entry, at: clock.now() })]);
  await budgets.refresh();
}

function toJson({
  tokensMax,
  amountMicroUsdMax,
  start,
  end,
  ...rest
}: Awaited<ReturnType<Budgets['list']>>[number]) {
  return {
    ...rest,
    ...(tokensMax === null ? {} : { tokensMax }),
    ...(amountMicroUsdMax === null ? {} : { amountMicroUsdMax }),
    periodStart: iso(start),
    periodEnd: iso(end),
  };
}
