import { AiosError } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import { type Lane, type Write, write } from '../store/lane.ts';
import { timestamp } from '../store/rows.ts';
import type { Period } from './quality.ts';
import type { Queues } from './queues.ts';
import { outcomeOf } from './review-rules.ts';

/** A version of something that stood behind a suggestion. */
interface Pin {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
  readonly digest?: string;
}

/** A person's answer as an example to learn from. Times are milliseconds since the epoch. */
export interface Label {
  /** Of the task that was answered. */
  readonly id: string;
  readonly queue: string;
  readonly queueVersion: number;
  readonly runId: string;
  readonly atMs: number;
  /** The same word for the same person; it does not say who it is. */
  readonly reviewer: string;
  readonly role: string;
  /** How the case was answered: `plain`, or the form of its review. */
  readonly form: string;
  /** Whether the person answered without seeing the suggestion. */
  readonly blind: boolean;
  /** Of exactly what was shown. */
  readonly shownDigest: string;
  readonly confidence: number | null;
  readonly route: string | null;
  readonly minutes: number | null;
  /** Versions behind the suggestion: model, feature service, decision table. */
  readonly madeWith: readonly Pin[];
  /** What is below is absent then. */
  readonly erased: boolean;
  readonly outcome: string | null;
  readonly answer: Json;
  readonly suggestion: Json;
  readonly features: Json;
  readonly shown: JsonObject | null;
}

interface Stored {
  id: string;
  queue: string;
  queue_version: number;
  run_id: string;
  ended_at: number;
  decided_by: string;
  role: string | null;
  form: string | null;
  blind: boolean | null;
  context_digest: string;
  confidence: number | null;
  route: string | null;
  minutes: number | null;
  erased_at: number | null;
  result: Json;
  suggestion: Json;
  features: Json;
  context: JsonObject;
}

interface Dependencies {
  readonly db: Database;
  readonly queues: Queues;
  /** A keyed hash: without the key nobody finds out who it is. */
  pseudonym(personId: string): string;
  pinsOf(runIds: readonly string[]): Promise<ReadonlyMap<string, readonly Pin[]>>;
}

export interface LabelPage {
  readonly items: readonly Label[];
  readonly nextCursor: string | null;
}

const PAGE_COUNT = 500;
/** What a model was not told is no feature of it. */
const BEHIND_SUGGESTIONS = new Set(['feature-view', 'feature-service', 'model', 'decision']);

/** What a subject's erasure takes out of the tasks that have ended; what was shown stays known by its digest. */
const erasureLane: Lane<string> = {
  name: 'erasures of tasks',
  order: 43,
  async write(tx, subjects) {
    const ended = `select id from tasks where subject = any($1::text[]) and status not in ('open', 'claimed')`;
    await tx.query(`update task_history set detail = '{}' where task_id in (${ended})`, [subjects]);
    await tx.query(`delete from task_attachments where task_id in (${ended})`, [subjects]);
    await tx.query(
      'delete from task_files f where not exists (select from task_attachments a where a.digest = f.digest)',
      [],
    );
    await tx.query(
      `update tasks set context = '{}', suggestion = null, result = null, title = '', erased_at = now()
       where subject = any($1::text[]) and status not in ('open', 'claimed')`,
      [subjects],
    );
    await tx.query(
      `update task_review_tasks m set answers = null from task_reviews r where r.id = m.review_id and r.subject = any($1::text[])
         and r.status not in ('waiting', 'adjudicating')`,
      [subjects],
    );
    await tx.query(
      `update task_reviews set suggestion = null, features = null, result = null where subject = any($1::text[]) and status not in ('waiting', 'adjudicating')`,
      [subjects],
    );
    return undefined;
  },
};

/**
 * Answers as labelled examples, oldest first.
 *
 * @example for await (const label of labels.all('return-review', { fromMs: 0, toMs: Date.now() })) console.log(JSON.stringify(label))
 */
export class Labels {
  readonly #dependencies: Dependencies;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * A page of labels. Answers of a case that is still open come when it is over.
   *
   * @throws AiosError `tasks.unknown_queue`, `request.invalid` for a cursor that no page gave
   */
  async page(
    queue: string,
    { fromMs, toMs }: Period,
    cursor?: string,
    limit = PAGE_COUNT,
  ): Promise<LabelPage> {
    const { db, queues } = this.#dependencies;
    queues.current(queue);
    const [afterMs, afterId] = cursor === undefined ? [fromMs, ''] : fromCursor(cursor);
    const rows = await db.query<Stored>(
      `select t.id, t.queue, t.queue_version, t.run_id, t.ended_at, t.decided_by, m.role, r.form, r.blind, t.context_digest, o.confidence, o.route,
         t.minutes, t.erased_at, t.result, coalesce(r.suggestion, t.suggestion) as suggestion, r.features, t.context
       from tasks t left join task_review_tasks m on m.task_id = t.id left join task_reviews r on r.id = m.review_id
         left join task_routings o on o.id = coalesce(m.review_id, t.id)
       where t.queue = $1 and t.status = 'completed' and t.ended_at < $2 and (t.ended_at, t.id) > ($3::timestamptz, $4::text)
         and (r.status is null or r.status not in ('waiting', 'adjudicating'))
       order by t.ended_at, t.id limit $5`,
      [queue, timestamp(toMs), timestamp(afterMs), afterId, limit + 1],
    );
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    return {
      items: await this.#labelsOf(shown),
      nextCursor: rows.length > limit && last ? toCursor(last) : null,
    };
  }

  /** All labels of a period, read page by page. */
  async *all(queue: string, period: Period): AsyncGenerator<Label> {
    let cursor: string | undefined;
    do {
      const page = await this.page(queue, period, cursor);
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** The write that takes a person's data out of their tasks that have ended, to be committed with the erasure of their key. */
  erasure(subject: string): Write {
    return write(erasureLane, subject);
  }

  async #labelsOf(rows: readonly Stored[]): Promise<Label[]> {
    const { pinsOf, queues } = this.#dependencies;
    const pins = await pinsOf([...new Set(rows.map(({ run_id }) => run_id))]);
    return await Promise.all(
      rows.map(async (row) => {
        const { rules } = (await queues.of({ queue: row.queue, queueVersion: row.queue_version })).queue;
        const erased = row.erased_at !== null;
        return {
          id: row.id,
          queue: row.queue,
          queueVersion: row.queue_version,
          runId: row.run_id,
          atMs: row.ended_at,
          reviewer: this.#dependencies.pseudonym(row.decided_by),
          role: row.role ?? 'reviewer',
          form: row.form ?? 'plain',
          blind: row.blind ?? false,
          shownDigest: row.context_digest,
          confidence: row.confidence,
          route: row.route,
          minutes: row.minutes,
          madeWith: (pins.get(row.run_id) ?? []).filter(({ kind }) => BEHIND_SUGGESTIONS.has(kind)),
          erased,
          outcome: erased ? null : outcomeOf(row.result, rules),
          answer: row.result,
          suggestion: row.suggestion,
          features: row.features,
          shown: erased ? null : row.context,
        };
      }),
    );
  }
}

function toCursor({ ended_at, id }: Stored): string {
  return Buffer.from(JSON.stringify([ended_at, id])).toString('base64url');
}

function fromCursor(cursor: string): [number, string] {
  try {
    const [atMs, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [number, string];
    if (
      Number.isInteger(atMs) &&
      Math.abs(atMs) < Date.UTC(10_000, 0) &&
      typeof id === 'string' &&
      !id.includes('\0')
    )
      return [atMs, id];
  } catch {
    // told below
  }
  throw new AiosError('request.invalid', {
    issues: [{ path: '/cursor', message: 'not a cursor that a page of labels gave', found: cursor }],
  });
}
