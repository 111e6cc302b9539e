import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import { formatUsd, type MicroUsd } from '../kernel/money.ts';
import type { Database, Queryable } from '../store/database.ts';
import { type Write, write } from '../store/group-commit.ts';
import { columns, timestamp } from '../store/rows.ts';
import { type Budget, budgetLane, settlementLane } from './budget-lanes.ts';

/** How far a budget is used in the period that is on. */
export interface BudgetUse {
  /** Of which key or model. */
  readonly subject: string;
  readonly tokens: number;
  readonly amountMicroUsd: MicroUsd;
  /** Held back for calls that are under way. */
  readonly reservedTokens: number;
  readonly reservedMicroUsd: MicroUsd;
}

/** What a call may use at most, and of which key and model. */
export interface Spending {
  readonly key: string;
  readonly model: string;
  readonly tokens: number;
  readonly amountMicroUsd: MicroUsd;
}

interface Held {
  readonly budget: Budget;
  readonly subject: string;
  readonly start: string;
}

export interface BudgetsDependencies {
  db: Database;
  clock: Clock;
  limits: Pick<Limits, 'budgetReadMs' | 'chatAnswerMs'>;
}

/**
 * Budgets of tokens and money, per key and per model. A call is admitted while less than the budget is used or held back, and what it may use at most
 * is held back until it is settled: calls at one time, in whatever processes, go over a budget by no more than what one of them may use.
 *
 * @example const held = await budgets.reserve({ key, model: 'assistant', tokens: 900, amountMicroUsd: 1_200 })
 */
export class Budgets {
  readonly #deps: BudgetsDependencies;
  #known: readonly Budget[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(dependencies: BudgetsDependencies) {
    this.#deps = dependencies;
  }

  /**
   * Holds back what a call may use in every budget over it; undefined when there is none.
   *
   * @throws AiosError `budgets.exceeded` naming the budget
   */
  reserve(spending: Spending): Promise<{ id: string } | undefined> | undefined {
    if (performance.now() - this.#readAtMs > this.#deps.limits.budgetReadMs)
      return this.#read().then(() => this.#reserve(spending));
    return this.#reserve(spending);
  }

  /** The write of what the call used: the rest is free again with the commit that holds its cost. */
  settle({ id }: { id: string }, used: { tokens: number; amountMicroUsd: MicroUsd }): Write {
    return write(settlementLane, { id, ...used });
  }

  /** The write of a budget as it is to be; `refresh` after its commit. */
  put(budget: Budget): Write {
    return write(budgetLane, { name: budget.name, budget });
  }

  /** The write that ends a budget. */
  remove(name: string): Write {
    return write(budgetLane, { name, budget: undefined });
  }

  /** Makes this process see what was committed. */
  refresh(): Promise<void> {
    return this.#read();
  }

  /** @throws AiosError `budgets.unknown` */
  async get(name: string): Promise<Budget> {
    await this.#read();
    const found = this.#known.find((budget) => budget.name === name);
    if (found) return found;
    throw new AiosError('budgets.unknown', { detail: `There is no budget “${name}”.` });
  }

  /** Every budget with its use in the period that is on, by name. */
  async list(): Promise<(Budget & { start: number; end: number; uses: BudgetUse[] })[]> {
    await this.#read();
    const now = this.#deps.clock.now();
    const starts = this.#known.map(({ period }) => periodOf(period, now));
    const rows = await this.#deps.db.query<BudgetUse & { budget: string }>(
      `with p as (select * from unnest($1::text[], $2::timestamptz[]) as p(budget, period_start)),
       used as (
         select u.budget, u.subject, u.tokens, u.amount_micro_usd as amount, 0::bigint as rt, 0::bigint as ra
           from p join budget_usage u on u.budget = p.budget and u.period_start = p.period_start
         union all
         select r.budget, r.subject, 0, 0, r.tokens, r.amount_micro_usd
           from p join budget_reservations r on r.budget = p.budget and r.period_start = p.period_start and r.expires_at > $3::timestamptz)
       select budget, subject, sum(tokens)::bigint as tokens, sum(amount)::bigint as "amountMicroUsd", sum(rt)::bigint as "reservedTokens",
         sum(ra)::bigint as "reservedMicroUsd" from used group by 1, 2 order by 1, 2`,
      [this.#known.map(({ name }) => name), starts.map(({ start }) => timestamp(start)), timestamp(now)],
    );
    const uses = Map.groupBy(rows, ({ budget }) => budget);
    return this.#known.map((budget, index) => ({
      ...budget,
      ...starts[index]!,
      uses: (uses.get(budget.name) ?? []).map(({ budget: _, ...use }) => use),
    }));
  }

  #reserve(spending: Spending): Promise<{ id: string } | undefined> | undefined {
    const over = this.#known.flatMap((budget) => {
      const subject = subjectOf(budget, spending);
      return subject === undefined ? [] : [{ budget, subject }];
    });
    return over.length === 0 ? undefined : this.#hold(over, spending);
  }

  #hold(over: readonly Omit<Held, 'start'>[], spending: Spending): Promise<{ id: string } | undefined> {
    const now = this.#deps.clock.now();
    const id = newId('req');
    return this.#deps.db.transaction(async (tx) => {
      // The rows of the budgets are the lock of what is held back under them, in whichever process.
      const current = await tx.query<Budget>(
        `${SELECT} where name = any($1::text[]) order by name for update`,
        [over.map(({ budget }) => budget.name)],
      );
      const held = over.flatMap(({ budget, subject }): Held[] => {
        const found = current.find(({ name }) => name === budget.name);
        return found ? [{ budget: found, subject, start: timestamp(periodOf(found.period, now).start) }] : [];
      });
      if (held.length === 0) return undefined;
      await check(tx, held, now);
      // No call lives as long as that: what is older belongs to a process that died.
      const expires = timestamp(now + 2 * this.#deps.limits.chatAnswerMs);
      await tx.query(
        `insert into budget_reservations (id, budget, subject, period_start, tokens, amount_micro_usd, expires_at)
         select $1, h.budget, h.subject, h.start, $5, $6, $7 from unnest($2::text[], $3::text[], $4::timestamptz[]) as h(budget, subject, start)`,
        [id, ...places(held), spending.tokens, spending.amountMicroUsd, expires],
      );
      return { id };
    });
  }

  #read(): Promise<void> {
    this.#reading ??= this.#deps.db
      .query<Budget>(`${SELECT} order by name`)
      .then((rows) => {
        this.#known = rows;
        this.#readAtMs = performance.now();
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}

const SELECT = `select name, scope, subject, period, tokens_max as "tokensMax", amount_micro_usd_max as "amountMicroUsdMax" from budgets`;

/** Which key or model a budget counts a call under; undefined when it is not over it. */
function subjectOf({ scope, subject }: Budget, { key, model }: Spending): string | undefined {
  if (scope === 'all') return '*';
  const own = scope === 'key' ? key : model;
  return subject === '*' || subject === own ? own : undefined;
}

const places = (held: readonly Held[]) =>
  columns(held, ({ budget, subject, start }) => [budget.name, subject, start]);

/** @throws AiosError `budgets.exceeded` for the first that is used up */
async function check(tx: Queryable, held: readonly Held[], now: number): Promise<void> {
  const rows = await tx.query<{ budget: string; tokens: number; amount: number }>(
    `with h as (select * from unnest($1::text[], $2::text[], $3::timestamptz[]) as h(budget, subject, start)),
     gone as (delete from budget_reservations r using h where r.budget = h.budget and r.expires_at <= $4::timestamptz),
     used as (
       select u.budget, u.tokens, u.amount_micro_usd as amount
         from h join budget_usage u on u.budget = h.budget and u.subject = h.subject and u.period_start = h.start
       union all
       select r.budget, r.tokens, r.amount_micro_usd from h join budget_reservations r
         on r.budget = h.budget and r.subject = h.subject and r.period_start = h.start and r.expires_at > $4::timestamptz)
     select budget, sum(tokens)::bigint as tokens, sum(amount)::bigint as amount from used group by 1`,
    [...places(held), timestamp(now)],
  );
  for (const { budget, tokens, amount } of rows) {
    const { tokensMax, amountMicroUsdMax, period, name } = held.find(
      (each) => each.budget.name === budget,
    )!.budget;
    const isOver =
      (tokensMax !== null && tokens >= tokensMax) ||
      (amountMicroUsdMax !== null && amount >= amountMicroUsdMax);
    if (!isOver) continue;
    const bounds = [
      ...(tokensMax === null ? [] : [`${tokens} of ${tokensMax} tokens`]),
      ...(amountMicroUsdMax === null ? [] : [`${formatUsd(amount)} of ${formatUsd(amountMicroUsdMax)}`]),
    ];
    throw new AiosError('budgets.exceeded', {
      detail: `The budget “${name}” of this ${period} is used up: ${bounds.join(', ')}, calls under way included.`,
      extensions: { budget: name, retryAfterMs: periodOf(period, now).end - now },
    });
  }
}

/** The hour, day or month (UTC) that a time lies in: from its start up to, and without, its end. */
function periodOf(period: Budget['period'], atMs: number): { start: number; end: number } {
  const at = new Date(atMs);
  const [year, month, day, hour] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  if (period === 'month') return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) };
  if (period === 'day') return { start: Date.UTC(year, month, day), end: Date.UTC(year, month, day + 1) };
  return { start: Date.UTC(year, month, day, hour), end: Date.UTC(year, month, day, hour + 1) };
}
