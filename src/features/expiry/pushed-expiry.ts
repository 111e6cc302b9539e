import type { Database, Queryable } from '../../store/database.ts';

interface Progress {
  /** What the pass that is going on, or was last, holds for old. */
  passMs: number;
  isPassed: boolean;
  cursor: [entity: string, timeMs: number] | null;
}

interface Asked {
  view: string;
  nowMs: number;
  /** How long before now vectors of the past may be asked for. */
  retentionMs: number;
  rowsMax: number;
  /** A part of the retention: a new pass begins when so much more has become old. */
  stride: number;
}

/**
 * One page of a pass over what was pushed to a view, in one transaction. A row goes when another row of its entity comes before it in every vector that
 * may still be asked for: one that is newer in time (then in when it was pushed, then in its values as text, as history has it), and that was there
 * and known at the horizon. So the newest row before the horizon stays, of entities that were not seen since, too. The horizon is written down with the first rows that go.
 *
 * @returns how many rows went, and whether there is more to do at once
 */
export function dropPushed(db: Database, asked: Asked): Promise<{ dropped: number; more: boolean }> {
  const { view, nowMs, retentionMs, rowsMax, stride } = asked;
  return db.transaction(async (tx) => {
    const at = await begun(tx, view, nowMs - retentionMs, retentionMs * stride);
    if (!at) return { dropped: 0, more: false };
    const after = at.cursor ?? ['', Number.MIN_SAFE_INTEGER];
    const [last] = await tx.query<{ entity: string; timeMs: number }>(
      `select entity, time_ms as "timeMs" from feature_pushed where view = $1 and (entity, time_ms) > ($2, $3)
       order by entity, time_ms offset $4 limit 1`,
      [view, ...after, rowsMax - 1],
    );
    const until = last ? 'and (p.entity, p.time_ms) <= ($5, $6)' : '';
    const gone = await tx.query(
      `delete from feature_pushed p where p.view = $1 and (p.entity, p.time_ms) > ($2, $3) and p.time_ms <= $4 ${until}
         and exists (select from feature_pushed q
           where q.view = $1 and q.entity = p.entity and q.time_ms between p.time_ms and $4 and q.created_ms <= $4
             and (q.time_ms, q.created_ms, q.feature_values::text collate "C") > (p.time_ms, p.created_ms, p.feature_values::text collate "C"))
       returning 1`,
      [view, ...after, at.passMs, ...(last ? [last.entity, last.timeMs] : [])],
    );
    await tx.query(
      `update feature_pushed_expiry set dropping = $2, is_passed = $3, kept_from_ms = case when $4 then pass_ms else kept_from_ms end
       where view = $1`,
      [view, last ? JSON.stringify([last.entity, last.timeMs]) : null, !last, gone.length > 0],
    );
    return { dropped: gone.length, more: last !== undefined };
  });
}

/** The pass that is to go on, with its lock; nothing when it is too early for one, or another process has it. */
async function begun(
  tx: Queryable,
  view: string,
  passMs: number,
  strideMs: number,
): Promise<Progress | undefined> {
  const [at] = await tx.query<Progress>(
    `select pass_ms as "passMs", is_passed as "isPassed", dropping as cursor
     from feature_pushed_expiry where view = $1 for update skip locked`,
    [view],
  );
  if (at && !at.isPassed) return at;
  if (at && passMs - at.passMs < strideMs) return undefined;
  // A row that is not seen is that of another process, too: nothing is written then.
  const [next] = await tx.query<Progress>(
    `insert into feature_pushed_expiry (view, pass_ms, is_passed) values ($1, $2, false)
     on conflict (view) do update set pass_ms = excluded.pass_ms, is_passed = false, dropping = null where $3
     returning pass_ms as "passMs", is_passed as "isPassed", dropping as cursor`,
    [view, passMs, at !== undefined],
  );
  return next;
}
