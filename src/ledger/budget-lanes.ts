import type { MicroUsd } from '../kernel/money.ts';
import { plannedLane } from '../store/lane.ts';
import type { Migration } from '../store/migrations.ts';
import { columns } from '../store/rows.ts';

export const budgetMigrations: Migration[] = [
  {
    name: '0043_budgets',
    sql: `
      create table budgets (
        name text primary key,
        scope text not null check (scope in ('key', 'model', 'all')),
        subject text not null,
        period text not null check (period in ('hour', 'day', 'month')),
        tokens_max bigint,
        amount_micro_usd_max bigint
      );
      comment on column budgets.subject is 'The id of a key or the name of a model; * for each of them apart.';
      create table budget_usage (
        budget text not null,
        subject text not null,
        period_start timestamptz not null,
        tokens bigint not null,
        amount_micro_usd bigint not null,
        primary key (budget, subject, period_start)
      );
      create table budget_reservations (
        id text not null,
        budget text not null,
        subject text not null,
        period_start timestamptz not null,
        tokens bigint not null,
        amount_micro_usd bigint not null,
        expires_at timestamptz not null,
        primary key (id, budget)
      );
      comment on table budget_reservations is 'What calls under way may use at most. Of a process that died they count until they expire.';
      create index budget_reservations_budget on budget_reservations (budget, subject, period_start);`,
  },
];

/** What was used, by when its period began; only the period of now is asked for. */
export const budgetUsageRecords = { table: 'budget_usage', over: 'period_start < $1' };

/** What bounds the tokens or the money of calls in each hour, day or month (UTC). */
export interface Budget {
  readonly name: string;
  readonly scope: 'key' | 'model' | 'all';
  /** The id of a key or the name of a model; `*` for each of them apart. */
  readonly subject: string;
  readonly period: 'hour' | 'day' | 'month';
  readonly tokensMax: number | null;
  readonly amountMicroUsdMax: MicroUsd | null;
}

export const SELECT_BUDGETS = `select name, scope, subject, period, tokens_max as "tokensMax", amount_micro_usd_max as "amountMicroUsdMax" from budgets`;

/** A budget as it is to be, or its name alone for one that is to be no more. */
export type BudgetChange = { readonly name: string; readonly budget: Budget | undefined };

/** One that bounds something else than before begins anew: what was used under it was used of another thing. */
export const budgetLane = plannedLane<BudgetChange>({
  name: 'budgets',
  order: 9,
  plan: (items) => {
    const kept = items.flatMap(({ budget }) => budget ?? []);
    const removed = items.filter(({ budget }) => !budget).map(({ name }) => name);
    const values = columns(kept, (b) => [
      b.name,
      b.scope,
      b.subject,
      b.period,
      b.tokensMax,
      b.amountMicroUsdMax,
    ]);
    const lists = values.length > 0 ? values : [[], [], [], [], [], []];
    const others = `select b.name from budgets b join unnest($1::text[], $2::text[], $3::text[], $4::text[]) as n(name, scope, subject, period)
      on n.name = b.name where (n.scope, n.subject, n.period) is distinct from (b.scope, b.subject, b.period)`;
    return {
      statements: [
        { text: 'delete from budgets where name = any($1::text[])', values: [removed] },
        { text: 'delete from budget_usage where budget = any($1::text[])', values: [removed] },
        { text: `delete from budget_usage where budget in (${others})`, values: lists.slice(0, 4) },
        {
          text: `insert into budgets (name, scope, subject, period, tokens_max, amount_micro_usd_max)
            select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
            on conflict (name) do update set scope = excluded.scope, subject = excluded.subject, period = excluded.period,
              tokens_max = excluded.tokens_max, amount_micro_usd_max = excluded.amount_micro_usd_max`,
          values: lists,
        },
      ],
    };
  },
});

/** What a call used in the end. */
export interface Settlement {
  readonly id: string;
  readonly tokens: number;
  readonly amountMicroUsd: MicroUsd;
}

/** Idempotent: usage is counted where the reservation was still there to be taken away. */
export const settlementLane = plannedLane<Settlement>({
  name: 'budget settlements',
  order: 61,
  plan: (items) => ({
    statements: [
      {
        text: `with gone as (
            delete from budget_reservations r using unnest($1::text[], $2::bigint[], $3::bigint[]) as s(id, tokens, amount) where r.id = s.id
            returning r.budget, r.subject, r.period_start, s.tokens, s.amount)
          insert into budget_usage (budget, subject, period_start, tokens, amount_micro_usd)
          select budget, subject, period_start, sum(tokens), sum(amount) from gone group by 1, 2, 3 order by 1, 2, 3
          on conflict (budget, subject, period_start) do update set tokens = budget_usage.tokens + excluded.tokens,
            amount_micro_usd = budget_usage.amount_micro_usd + excluded.amount_micro_usd`,
        values: columns(items, ({ id, tokens, amountMicroUsd }) => [id, tokens, amountMicroUsd]),
      },
    ],
  }),
});
