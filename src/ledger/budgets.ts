import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import type { MicroUsd } from '../kernel/money.ts';
import type { Database } from '../store/database.ts';
import { type Write, write } from '../store/lane.ts';
import { timestamp } from '../store/rows.ts';
import { type Budget, budgetLane, SELECT_BUDGETS, settlementLane } from './budget-lanes.ts';
import { type Hold, periodOf, Reservations } from './budget-reservations.ts';

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
  readonly #reservations: Reservations;
  #known: readonly Budget[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(dependencies: BudgetsDependencies) {
    this.#deps = dependencies;
    this.#reservations = new Reservations(dependencies.db, dependencies.clock, dependencies.limits);
  }

  /**
   * Holds back what a call may use in every budget over it; undefined when there is none.
   *
   * @throws AiosError `budgets.exceeded` naming the budget
   */
  reserve(spending: Spending): Promise<Hold | undefined> | undefined {
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

  /** Makes this process see what was committed: a reading that is under way may have begun before. */
  async refresh(): Promise<void> {
    await this.#reading?.catch(() => {});
    await this.#read();
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

  #reserve(spending: Spending): Promise<Hold | undefined> | undefined {
    const over = this.#known.flatMap((budget) => {
      const subject = subjectOf(budget, spending);
      return subject === undefined ? [] : [{ name: budget.name, subject }];
    });
    return over.length === 0 ? undefined : this.#reservations.hold(over, spending);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#deps.db
      .query<Budget>(`${SELECT_BUDGETS} order by name`)
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

/** Which key or model a budget counts a call under; undefined when it is not over it. */
function subjectOf({ scope, subject }: Budget, { key, model }: Spending): string | undefined {
  if (scope === 'all') return '*';
  const own = scope === 'key' ? key : model;
  return subject === '*' || subject === own ? own : undefined;
}
