import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { newId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import { formatUsd, type MicroUsd } from '../kernel/money.ts';
import type { Quota } from '../kernel/quota.ts';
import type { Database, Queryable } from '../store/database.ts';
import { columns, timestamp } from '../store/rows.ts';
import { type Budget, SELECT_BUDGETS } from './budget-lanes.ts';

/** A budget that is over a call, and the key or model that it is counted under. */
export interface Over {
  readonly name: string;
  readonly subject: string;
}

/** What a call may use at most. */
interface Most {
  readonly tokens: number;
  readonly amountMicroUsd: MicroUsd;
}

/** What is held back for a call. */
export interface Hold {
  readonly id: string;
  /** Of the budgets over it, the one with the fewest tokens left; none where none counts tokens. */
  readonly quota?: Quota | undefined;
}

interface Waiting {
  readonly over: readonly Over[];
  readonly most: Most;
  resolve(held: Hold | undefined): void;
  reject(error: unknown): void;
}

interface Held extends Over, Most {
  readonly id: string;
  readonly start: string;
}

interface Sum {
  tokens: number;
  amountMicroUsd: MicroUsd;
}

const BATCH_MAX = 500;

/**
 * Holds back what calls may use. One transaction at a time, for all that have come while the one before it was under way: the row of a budget is a
 * lock, which 16 calls one after the other would wait for.
 */
export class Reservations {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #waiting: Waiting[] = [];
  #working = false;

  constructor(db: Database, clock: Clock, { chatAnswerMs }: Pick<Limits, 'chatAnswerMs'>) {
    this.#db = db;
    this.#clock = clock;
    this.#lifeMs = 2 * chatAnswerMs; // no call lives as long: what is older belongs to a process that died
  }

  /** @throws AiosError `budgets.exceeded` */
  hold(over: readonly Over[], most: Most): Promise<Hold | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ over, most, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX);
      try {
        const outcomes = await this.#db.transaction((tx) => this.#holdAll(tx, batch));
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome instanceof AiosError) batch[index]!.reject(outcome);
          else batch[index]!.resolve(outcome);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#working = false;
  }

  async #holdAll(tx: Queryable, batch: readonly Waiting[]) {
    const now = this.#clock.now();
    const names = [...new Set(batch.flatMap(({ over }) => over.map(({ name }) => name)))];
    // The rows are the lock of what is held back under them, in whichever process.
    const rows = await tx.query<Budget>(
      `${SELECT_BUDGETS} where name = any($1::text[]) order by name for update`,
      [names],
    );
    const budgets = new Map(rows.map((budget) => [budget.name, budget]));
    const sums = await this.#sums(tx, batch, budgets, now);
    const held: Held[] = [];
    const outcomes = batch.map(({ over, most }): Hold | AiosError | undefined => {
      const places = over.filter(({ name }) => budgets.has(name)); // one may have ended since
      if (places.length === 0) return undefined;
      for (const { name, subject } of places) {
        const exceeded = exceededBy(budgets.get(name)!, sums.get(`${name} ${subject}`), now);
        if (exceeded) return exceeded;
      }
      const id = newId('req');
      let quota: Quota | undefined;
      for (const place of places) {
        const key = `${place.name} ${place.subject}`;
        const { tokens, amountMicroUsd } = sums.get(key) ?? { tokens: 0, amountMicroUsd: 0 };
        const budget = budgets.get(place.name)!;
        const sum = { tokens: tokens + most.tokens, amountMicroUsd: amountMicroUsd + most.amountMicroUsd };
        sums.set(key, sum);
        quota = tighter(quota, quotaOf(budget, sum.tokens, now));
        held.push({ ...place, ...most, id, start: startOf(budget, now) });
      }
      return { id, quota };
    });
    if (held.length > 0) await this.#insert(tx, held, now);
    return outcomes;
  }

  /** What is used and held back by now, by budget and subject. */
  async #sums(
    tx: Queryable,
    batch: readonly Waiting[],
    budgets: ReadonlyMap<string, Budget>,
    now: number,
  ): Promise<Map<string, Sum>> {
    const places = new Map<string, [string, string, string]>();
    for (const { over } of batch)
      for (const { name, subject } of over) {
        const budget = budgets.get(name);
        if (budget) places.set(`${name} ${subject}`, [name, subject, startOf(budget, now)]);
      }
    if (places.size === 0) return new Map();
    const rows = await tx.query<Sum & Over>(
      `with h as (select * from unnest($1::text[], $2::text[], $3::timestamptz[]) as h(budget, subject, start)),
       gone as (delete from budget_reservations r using h where r.budget = h.budget and r.expires_at <= $4::timestamptz),
       used as (
         select u.budget, u.subject, u.tokens, u.amount_micro_usd as amount
           from h join budget_usage u on u.budget = h.budget and u.subject = h.subject and u.period_start = h.start
         union all
         select r.budget, r.subject, r.tokens, r.amount_micro_usd from h join budget_reservations r
           on r.budget = h.budget and r.subject = h.subject and r.period_start = h.start and r.expires_at > $4::timestamptz)
       select budget as name, subject, sum(tokens)::bigint as tokens, sum(amount)::bigint as "amountMicroUsd" from used group by 1, 2`,
      [...columns([...places.values()], (place) => place), timestamp(now)],
    );
    return new Map(
      rows.map(({ name, subject, tokens, amountMicroUsd }) => [
        `${name} ${subject}`,
        { tokens, amountMicroUsd },
      ]),
    );
  }

  async #insert(tx: Queryable, held: readonly Held[], now: number): Promise<void> {
    await tx.query(
      `insert into budget_reservations (id, budget, subject, period_start, tokens, amount_micro_usd, expires_at)
       select h.*, $7::timestamptz from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bigint[]) as h`,
      [
        ...columns(held, (each) => [
          each.id,
          each.name,
          each.subject,
          each.start,
          each.tokens,
          each.amountMicroUsd,
        ]),
        timestamp(now + this.#lifeMs),
      ],
    );
  }
}

function tighter(one: Quota | undefined, other: Quota | undefined): Quota | undefined {
  return one && other ? (other.remaining < one.remaining ? other : one) : (one ?? other);
}

/** Nothing for a budget that does not count tokens. */
function quotaOf({ name, period, tokensMax }: Budget, tokens: number, now: number): Quota | undefined {
  if (tokensMax === null) return undefined;
  const { start, end } = periodOf(period, now);
  const remaining = Math.max(0, tokensMax - tokens);
  return { name, unit: 'tokens', limit: tokensMax, remaining, resetMs: end - now, windowMs: end - start };
}

function exceededBy(
  budget: Budget,
  { tokens, amountMicroUsd }: Sum = { tokens: 0, amountMicroUsd: 0 },
  now: number,
): AiosError | undefined {
  const { name, period, tokensMax, amountMicroUsdMax } = budget;
  const isOver =
    (tokensMax !== null && tokens >= tokensMax) ||
    (amountMicroUsdMax !== null && amountMicroUsd >= amountMicroUsdMax);
  if (!isOver) return undefined;
  const bounds = [
    ...(tokensMax === null ? [] : [`${tokens} of ${tokensMax} tokens`]),
    ...(amountMicroUsdMax === null
      ? []
      : [`${formatUsd(amountMicroUsd)} of ${formatUsd(amountMicroUsdMax)}`]),
  ];
  const quota = quotaOf(budget, tokens, now);
  return new AiosError('budgets.exceeded', {
    detail: `The budget “${name}” of this ${period} is used up: ${bounds.join(', ')}, calls under way included.`,
    extensions: {
      ...{ budget: name, retryAfterMs: periodOf(period, now).end - now },
      ...(quota ? { quota: { ...quota } } : {}),
    },
  });
}

function startOf({ period }: Budget, now: number): string {
  return timestamp(periodOf(period, now).start);
}

/**
 * The hour, day or month (UTC) that a time lies in: from its start up to, and without, its end.
 *
 * @example periodOf('hour', Date.UTC(2026, 0, 1, 5, 30)).start // Date.UTC(2026, 0, 1, 5)
 */
export function periodOf(period: Budget['period'], atMs: number): { start: number; end: number } {
  const at = new Date(atMs);
  const [year, month, day, hour] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours()];
  if (period === 'month') return { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) };
  if (period === 'day') return { start: Date.UTC(year, month, day), end: Date.UTC(year, month, day + 1) };
  return { start: Date.UTC(year, month, day, hour), end: Date.UTC(year, month, day, hour + 1) };
}
