import type { Json } from '../kernel/json.ts';
import type { Database } from '../store/database.ts';
import type { Member, Review } from './review.ts';
import type { ReviewForm, ReviewStatus } from './review-lanes.ts';
import type { Vote } from './tally.ts';
import type { TaskStatus } from './task-states.ts';

interface Stored {
  task_id: string;
  role: 'reviewer' | 'adjudicator';
  task_round: number;
  answers: Json[] | null;
  id: string;
  form: ReviewForm;
  status: ReviewStatus;
  version: number;
  round: number;
  blind: boolean;
  requester: string | null;
  prepared_by: string[];
  result: Json;
  decided_by: string | null;
  reason: string | null;
}

interface StoredMember {
  review_id: string;
  task_id: string;
  role: 'reviewer' | 'adjudicator';
  status: TaskStatus;
  claimed_by: string | null;
  claimed_name: string | null;
  decided_by: string | null;
  decided_name: string | null;
  result: Json;
  context_digest: string;
  ended_at: number | null;
}

/** Reads reviews by their tasks. */
export class ReviewReader {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The reviews that these tasks belong to, by task; a task that stands alone has none. */
  async of(taskIds: readonly string[]): Promise<Map<string, Review>> {
    const found = await this.#db.query<Stored>(
      `select m.task_id, m.role, m.round as task_round, m.answers, r.id, r.form, r.status, r.version, r.round, r.blind, r.requester,
         r.prepared_by, r.result, r.decided_by, r.reason
       from task_review_tasks m join task_reviews r on r.id = m.review_id where m.task_id = any($1::text[])`,
      [taskIds],
    );
    if (found.length === 0) return new Map();
    const members = await this.#db.query<StoredMember>(
      `select m.review_id, m.task_id, m.role, t.status, t.claimed_by, t.claimed_name, t.decided_by, t.decided_name, t.result, t.context_digest, t.ended_at
       from task_review_tasks m join task_reviews r on r.id = m.review_id join tasks t on t.id = m.task_id
       where m.review_id = any($1::text[]) and m.round = r.round order by t.ended_at, m.task_id`,
      [[...new Set(found.map(({ id }) => id))]],
    );
    return new Map(
      found.map((row) => [
        row.task_id,
        fromStored(
          row,
          members.filter(({ review_id }) => review_id === row.id),
        ),
      ]),
    );
  }
}

function fromStored(row: Stored, members: readonly StoredMember[]): Review {
  const { id, form, status, version, round, blind, requester, role, answers } = row;
  const { decided_by: decidedBy, result, reason } = row;
  return {
    id,
    form,
    status,
    version,
    round,
    blind,
    requester,
    preparedBy: row.prepared_by,
    decision: decidedBy === null ? null : { result, decidedBy, reason: reason ?? '' },
    members: members.map(memberOf),
    role,
    taskRound: row.task_round,
    answers,
  };
}

function memberOf(row: StoredMember): Member {
  const { task_id: taskId, role, status, result } = row;
  const vote: Vote | null =
    status === 'completed' && row.decided_by !== null
      ? {
          taskId,
          by: { id: row.decided_by, name: row.decided_name ?? row.decided_by },
          result,
          contextDigest: row.context_digest,
          atMs: row.ended_at ?? 0,
          role,
        }
      : null;
  const claimedBy =
    row.claimed_by === null ? null : { id: row.claimed_by, name: row.claimed_name ?? row.claimed_by };
  return { taskId, role, status, claimedBy, vote };
}
