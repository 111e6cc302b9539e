import type { Json } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import {
  type ConfusionTable,
  cellsOf,
  cohenKappa,
  confusionTable,
  fleissKappa,
  type Kappa,
} from './agreement.ts';
import type { Queues } from './queues.ts';
import { outcomeOf, type ReviewRules } from './review-rules.ts';

/** Milliseconds since the epoch: from `fromMs`, until before `toMs`. */
export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Two raters of the same cases: `rows` says whose answers are the rows of the table. */
interface Comparison extends Kappa {
  readonly rows: string;
  readonly columns: string;
  readonly table: ConfusionTable;
}

/** How much the answers of a queue can be relied on. */
export interface QueueQuality {
  readonly queue: string;
  readonly answers: number;
  /** False when there were more answers than are looked at: the newest count. */
  readonly complete: boolean;
  /** Of those who answered the same case without seeing each other's answer. */
  readonly reviewers: {
    /** Cohen's kappa for two people in all, Fleiss' for more. */
    readonly method: 'cohen' | 'fleiss';
    readonly overall: Kappa;
    readonly pairs: readonly Comparison[];
    readonly adjudicated: number;
  };
  /** Of people with what AIOS suggested: when they did not see it, and when they did (then they tend to agree). */
  readonly suggestion: { readonly blind: Comparison; readonly shown: Comparison };
  /** Where confidence has led. */
  readonly routes: readonly Routed[];
}

interface Routed {
  /** Which band of the queue, from 0. */
  readonly band: number;
  readonly route: string;
  readonly cases: number;
  readonly sampled: number;
}

interface AnswerRow {
  queue_version: number;
  decided_by: string;
  decided_name: string | null;
  result: Json;
  suggestion: Json;
  review_id: string | null;
  round: number | null;
  role: string | null;
  form: string | null;
  blind: boolean | null;
}

/** An answer reduced to what it is compared by. */
interface Rating {
  readonly person: string;
  readonly name: string;
  readonly outcome: string;
  readonly suggested: string | undefined;
  readonly blind: boolean;
  /** The double review that it is part of. */
  readonly double: string | undefined;
  readonly isAdjudication: boolean;
}

interface Dependencies {
  readonly db: Database;
  readonly queues: Queues;
  readonly limits: Pick<Limits, 'qualityAnswersMax' | 'qualityCategoriesMax'>;
}

/**
 * Agreement of reviewers with each other and with what was suggested, per queue and period.
 *
 * @example (await quality.of('return-review', { fromMs, toMs })).reviewers.overall.kappa // 0.71
 */
export class QualityReader {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws AiosError `tasks.unknown_queue` */
  async of(queue: string, period: Period): Promise<QueueQuality> {
    const { queues, limits } = this.#dependencies;
    queues.current(queue);
    const [rows, routes] = await Promise.all([this.#answers(queue, period), this.#routes(queue, period)]);
    const counted = rows.slice(0, limits.qualityAnswersMax);
    const rulesOf = new Map<number, ReviewRules>();
    for (const { queue_version: queueVersion } of counted) {
      if (rulesOf.has(queueVersion)) continue;
      rulesOf.set(queueVersion, (await queues.of({ queue, queueVersion })).queue.rules);
    }
    const ratings = counted.map((row) => ratingOf(row, rulesOf.get(row.queue_version)!));
    return {
      queue,
      answers: ratings.length,
      complete: counted.length === rows.length,
      reviewers: reviewersOf(ratings, limits.qualityCategoriesMax),
      suggestion: {
        blind: withSuggestion(
          ratings.filter(({ blind }) => blind),
          limits.qualityCategoriesMax,
        ),
        shown: withSuggestion(
          ratings.filter(({ blind, isAdjudication }) => !blind && !isAdjudication),
          limits.qualityCategoriesMax,
        ),
      },
      routes,
    };
  }

  /** Newest first. A case that is still open is left out: nobody learns from figures what another has answered. */
  #answers(queue: string, { fromMs, toMs }: Period): Promise<AnswerRow[]> {
    return this.#dependencies.db.query<AnswerRow>(
      `select t.queue_version, t.decided_by, t.decided_name, t.result, coalesce(r.suggestion, t.suggestion) as suggestion, m.review_id, m.round, m.role,
         r.form, r.blind
       from tasks t left join task_review_tasks m on m.task_id = t.id left join task_reviews r on r.id = m.review_id
       where t.queue = $1 and t.status = 'completed' and t.ended_at >= $2 and t.ended_at < $3 and t.erased_at is null
         and (r.status is null or r.status not in ('waiting', 'adjudicating'))
       order by t.ended_at desc, t.id limit $4`,
      [queue, timestamp(fromMs), timestamp(toMs), this.#dependencies.limits.qualityAnswersMax + 1],
    );
  }

  #routes(queue: string, { fromMs, toMs }: Period): Promise<Routed[]> {
    return this.#dependencies.db.query<Routed & object>(
      `select band, route, count(*) as cases, count(*) filter (where sampled) as sampled
       from task_routings where queue = $1 and at >= $2 and at < $3 group by band, route order by band, route`,
      [queue, timestamp(fromMs), timestamp(toMs)],
    );
  }
}

function ratingOf(row: AnswerRow, rules: ReviewRules): Rating {
  const { suggestion, role, form } = row;
  const isAdjudication = role === 'adjudicator';
  return {
    person: row.decided_by,
    name: row.decided_name ?? row.decided_by,
    outcome: outcomeOf(row.result, rules),
    suggested: suggestion === null ? undefined : outcomeOf(suggestion, rules),
    blind: (row.blind ?? false) && !isAdjudication,
    double: form === 'double' && !isAdjudication ? `${row.review_id} ${row.round}` : undefined,
    isAdjudication,
  };
}

function reviewersOf(ratings: readonly Rating[], categoriesMax: number): QueueQuality['reviewers'] {
  const cases = new Map<string, Rating[]>();
  for (const rating of ratings) {
    if (rating.double === undefined) continue;
    cases.set(rating.double, [...(cases.get(rating.double) ?? []), rating]);
  }
  const doubles = [...cases.values()].filter(({ length }) => length === 2);
  const pairs = new Map<string, { rows: string; columns: string; outcomes: [string, string][] }>();
  for (const ratingsOfCase of doubles) {
    const [first, second] = [...ratingsOfCase].sort((a, b) => (a.person < b.person ? -1 : 1)) as [
      Rating,
      Rating,
    ];
    const key = `${first.person} ${second.person}`;
    const pair = pairs.get(key) ?? { rows: first.name, columns: second.name, outcomes: [] };
    pair.outcomes.push([first.outcome, second.outcome]);
    pairs.set(key, pair);
  }
  const compared = [...pairs.values()]
    .map(({ rows, columns, outcomes }) => compare(rows, columns, outcomes, categoriesMax))
    .sort((a, b) => b.count - a.count);
  const method = compared.length > 1 ? 'fleiss' : 'cohen';
  return {
    method,
    overall: method === 'fleiss' ? amongAll(doubles) : kappaOf(compared[0] ?? cohenKappa([])),
    pairs: compared,
    adjudicated: ratings.filter(({ isAdjudication }) => isAdjudication).length,
  };
}

function amongAll(doubles: readonly (readonly Rating[])[]): Kappa {
  return fleissKappa(doubles.map((ratings) => ratings.map(({ outcome }) => outcome)));
}

function withSuggestion(ratings: readonly Rating[], categoriesMax: number): Comparison {
  const outcomes = ratings.flatMap(({ outcome, suggested }): [string, string][] =>
    suggested === undefined ? [] : [[outcome, suggested]],
  );
  return compare('people', 'suggestion', outcomes, categoriesMax);
}

function compare(
  rows: string,
  columns: string,
  outcomes: readonly (readonly [string, string])[],
  categoriesMax: number,
): Comparison {
  const cells = cellsOf(outcomes);
  return { rows, columns, table: confusionTable(cells, categoriesMax), ...cohenKappa(cells) };
}

function kappaOf({ count, agreement, kappa, standardError, interval }: Kappa): Kappa {
  return { count, agreement, kappa, standardError, interval };
}
