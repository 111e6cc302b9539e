import type { Problem } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import type { Queryable } from '../../../store/database.ts';
import { columns } from '../../../store/rows.ts';

/** What is known of a bridge beside its definition. Times are milliseconds since the epoch. */
export interface BridgeRow {
  name: string;
  position: JsonObject | null;
  /** Events that a source brought, and that a sink sent. */
  passed: number;
  /** Messages and events of a source that were put aside. */
  rejected: number;
  movedAt: number | null;
  owner: string | null;
  /** Whether the process that reads it lives, as far as its lease says. */
  isHeld: boolean;
  isPaused: boolean;
  problem: Problem | null;
  problemAt: number | null;
  notice: Problem | null;
  noticeAt: number | null;
  /** What a source has still to take; null where that is not known. */
  behind: number | null;
  /** How often a restart was asked for. */
  restarts: number;
  /** What it leaves on the other side is known by. */
  space: string;
}

export function readBridges(db: Queryable): Promise<BridgeRow[]> {
  return db.query<BridgeRow>(
    `select name, position, passed, rejected, moved_at as "movedAt", owner, coalesce(lease_until > clock_timestamp(), false) as "isHeld",
       is_paused as "isPaused", problem, problem_at as "problemAt", notice, notice_at as "noticeAt", behind, restarts, space from bridges`,
  );
}

export async function registerBridges(db: Queryable, names: readonly string[]): Promise<void> {
  await db.query('insert into bridges (name) select unnest($1::text[]) on conflict do nothing', [names]);
}

/** What a bridge leaves on the other side is known by. */
export async function spaceOf(db: Queryable, name: string): Promise<string> {
  await registerBridges(db, [name]);
  const [row] = await db.query<{ space: string }>('select space from bridges where name = $1', [name]);
  return row!.space;
}

/** Lets a sink go on from the places of another space; null for a new one, which has none. @returns the space before, and the one from now on */
export async function setSpace(
  tx: Queryable,
  name: string,
  space: string | null,
): Promise<{ from: string; to: string }> {
  const [row] = await tx.query<{ from: string; to: string }>(
    `update bridges b set space = coalesce($2::uuid, gen_random_uuid())
     from (select space from bridges where name = $1 for update) as before
     where b.name = $1 returning before.space as "from", b.space as "to"`,
    [name, space],
  );
  return row!;
}

/** @returns whether that was not so before */
export async function setPaused(tx: Queryable, name: string, isPaused: boolean): Promise<boolean> {
  const rows = await tx.query(
    'update bridges set is_paused = $2 where name = $1 and is_paused <> $2 returning name',
    [name, isPaused],
  );
  return rows.length > 0;
}

/** Whoever runs it opens it anew at its next look. */
export async function addRestart(tx: Queryable, name: string): Promise<void> {
  await tx.query(
    'update bridges set restarts = restarts + 1, problem = null, problem_at = null where name = $1',
    [name],
  );
}

/** Moves the place of a source; the batch that a process is committing from the old one falls out by the revision. */
export async function setPosition(tx: Queryable, name: string, position: JsonObject | null): Promise<void> {
  await tx.query('update bridges set position = $2, revision = revision + 1 where name = $1', [
    name,
    position && JSON.stringify(position),
  ]);
}

export async function setProblem(db: Queryable, name: string, problem: Problem | null): Promise<void> {
  await db.query(
    `update bridges set problem = $2, problem_at = case when $2::json is null then null else clock_timestamp() end
     where name = $1 and (problem is not null or $2::json is not null)`,
    [name, problem && JSON.stringify(problem)],
  );
}

export async function setNotice(db: Queryable, name: string, notice: Problem): Promise<void> {
  await db.query('update bridges set notice = $2, notice_at = clock_timestamp() where name = $1', [
    name,
    JSON.stringify(notice),
  ]);
}

/** Tells what sources have still to take; null of one that this process reads no more. */
export async function setBehind(
  db: Queryable,
  sources: readonly { readonly name: string; readonly behind: number | null }[],
): Promise<void> {
  await db.query(
    `update bridges b set behind = t.behind from unnest($1::text[], $2::bigint[]) as t(name, behind) where b.name = t.name`,
    columns(sources, ({ name, behind }) => [name, behind]),
  );
}

/** Counts what a sink sent, in the transaction that moves its place. @param isStanding whether another event holds it up: that problem stays */
export async function countSent(
  tx: Queryable,
  name: string,
  count: number,
  isStanding: boolean,
): Promise<void> {
  await tx.query(
    `update bridges set passed = passed + $2, moved_at = clock_timestamp(), problem = case when $3 then problem end,
       problem_at = case when $3 then problem_at end where name = $1`,
    [name, count, isStanding],
  );
}
