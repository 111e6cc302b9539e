import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError, type Problem, toAiosError } from '../kernel/errors.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database, Queryable } from '../store/database.ts';
import { plannedLane, type Write, write } from '../store/lane.ts';
import { type LargePage, largePage } from '../store/large-pages.ts';
import { columns, timestamp } from '../store/rows.ts';
import type { ConsumerDefinition } from './consumer-definition.ts';
import { UndoList } from './groups/undo-list.ts';

/** An event that a group could not handle, with the reason. */
interface DeadLetter {
  id: string;
  group: string;
  /** Nothing for what a bridge put aside: it was never in the log. */
  partition: number | null;
  offset: number | null;
  event: CloudEvent;
  problem: Problem;
  attempts: number;
  /** When the event was recorded in the log, or put aside where it never was: whether it came late is decided by it. */
  recordedAt: number;
  failedAt: number;
  status: 'open' | 'replayed' | 'dismissed';
}

const COLUMNS =
  'id, consumer_group as "group", partition, log_offset as "offset", event, problem, attempts, recorded_at as "recordedAt", failed_at as "failedAt", status';

/** Puts an event aside that a group could not handle. One that fails again after it was dealt with, as its group went back in the log, is open again. */
export async function buryEvent(
  tx: Queryable,
  group: string,
  { partition, offset, event, recordedAtMs }: LoggedEvent,
  error: AiosError,
  attempts: number,
): Promise<void> {
  const id = derivedId('dlq', group, String(partition), String(offset));
  await tx.query(
    `insert into dead_letters (id, consumer_group, partition, log_offset, event, problem, attempts, recorded_at, failed_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, now())
     on conflict (id) do update set status = 'open', handled_at = null, problem = excluded.problem,
       attempts = dead_letters.attempts + excluded.attempts, failed_at = excluded.failed_at
     where dead_letters.status <> 'open'`,
    [
      ...[id, group, partition, offset, JSON.stringify(event), JSON.stringify(error.toProblem()), attempts],
      timestamp(recordedAtMs),
    ],
  );
}

/** Dead letters of a group that nobody has dealt with, counted up to a bound. */
export async function countOpenLetters(db: Queryable, group: string, max: number): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `select count(*) as count from
       (select from dead_letters where consumer_group = $1 and status = 'open' limit $2) as open`,
    [group, max],
  );
  return row!.count;
}

/** Of each group that has any, in one look. */
export async function openLetters(db: Queryable, groups: readonly string[]): Promise<Map<string, number>> {
  const rows = await db.query<{ group: string; count: number }>(
    `select consumer_group as "group", count(*) as count from dead_letters
     where consumer_group = any($1::text[]) and status = 'open' group by 1`,
    [groups],
  );
  return new Map(rows.map(({ group, count }) => [group, count]));
}

interface RefusedEvent {
  readonly group: string;
  readonly event: CloudEvent;
  readonly error: AiosError;
}

/** What comes again is one letter; one that was replayed or dismissed is not opened again. */
const refusedLane = plannedLane<RefusedEvent>({
  name: 'dead letters',
  order: 31,
  plan: (items) => ({
    statements: [
      {
        text: `insert into dead_letters (id, consumer_group, event, problem, attempts, failed_at)
          select *, 1, now() from unnest($1::text[], $2::text[], $3::json[], $4::json[]) on conflict (id) do nothing`,
        values: columns(items, ({ group, event, error }) => [
          derivedId('dlq', group, event.source, event.id),
          group,
          JSON.stringify(event),
          JSON.stringify(error.toProblem()),
        ]),
      },
    ],
  }),
});

/** The write that puts aside what never was in the log. */
export function refusedEvent(item: RefusedEvent): Write {
  return write(refusedLane, item);
}

/** Dead letters that somebody has dealt with. */
export const deadLetterRecords = { table: 'dead_letters', over: 'handled_at < $1' };

/** The dead letters of all groups: listed, handed to their group again, or dismissed. */
export class DeadLetters {
  readonly #db: Database;
  readonly #definitionOf: (group: string) => Promise<ConsumerDefinition | undefined>;

  readonly #pageBytesMax: number;

  constructor(
    db: Database,
    definitionOf: (group: string) => Promise<ConsumerDefinition | undefined>,
    { pageBytesMax }: Pick<Limits, 'pageBytesMax'>,
  ) {
    this.#db = db;
    this.#definitionOf = definitionOf;
    this.#pageBytesMax = pageBytesMax;
  }

  /** Newest first; `before` is the cursor of the last page, which is shorter where events are large (`pageBytesMax`). */
  list(filter: {
    group?: string | undefined;
    status?: string | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<LargePage<DeadLetter>> {
    return largePage<DeadLetter>(this.#db, {
      select: `select ${COLUMNS} from dead_letters
       where ($1::text is null or consumer_group = $1) and ($2::text is null or status = $2)
         and ($3::text is null or (failed_at, id) < (select failed_at, id from dead_letters where id = $3))
       order by failed_at desc, id desc`,
      values: [filter.group ?? null, filter.status ?? null, filter.before ?? null],
      limit: filter.limit,
      bytesMax: this.#pageBytesMax,
    });
  }

  /**
   * Hands an event to its group again: handled, it is marked in the same transaction; failed, the new reason is kept.
   *
   * @throws AiosError `events.unknown_dead_letter`, or what the group's handler threw
   */
  async replay(id: string): Promise<void> {
    let failing: DeadLetter | undefined;
    const undoing = new UndoList();
    try {
      let after: (() => void) | undefined;
      await this.#db.transaction(async (tx) => {
        const [letter] = await tx.query<DeadLetter>(
          `select ${COLUMNS} from dead_letters where id = $1 and status = 'open' for update`,
          [id],
        );
        const definition = letter && (await this.#definitionOf(letter.group));
        if (!letter || !definition)
          throw new AiosError('events.unknown_dead_letter', {
            detail: `There is no open dead letter ${id}.`,
          });
        failing = letter;
        const { partition, offset, event, recordedAt } = letter;
        const logged: LoggedEvent = {
          partition: partition ?? -1,
          offset: offset ?? -1,
          event,
          timeMs: Date.parse(event.time),
          recordedAtMs: recordedAt,
        };
        after = (await definition.handle([logged], tx, undoing.add)) ?? undefined;
        await tx.query(
          "update dead_letters set status = 'replayed', handled_at = now(), attempts = attempts + 1 where id = $1",
          [id],
        );
      });
      after?.();
    } catch (error) {
      undoing.undo();
      if (failing) {
        const problem = JSON.stringify(toAiosError(error).toProblem());
        await this.#db.query(
          'update dead_letters set attempts = attempts + 1, problem = $2, failed_at = now() where id = $1',
          [id, problem],
        );
      }
      throw error;
    }
  }

  /** @throws AiosError `events.unknown_dead_letter` */
  async dismiss(id: string): Promise<void> {
    const rows = await this.#db.query(
      "update dead_letters set status = 'dismissed', handled_at = now() where id = $1 and status = 'open' returning id",
      [id],
    );
    if (rows.length === 0)
      throw new AiosError('events.unknown_dead_letter', { detail: `There is no open dead letter ${id}.` });
  }

  async countOpen(): Promise<number> {
    const [row] = await this.#db.query<{ count: number }>(
      "select count(*) as count from dead_letters where status = 'open'",
    );
    return row!.count;
  }
}
