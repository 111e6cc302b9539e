import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import { type LargePage, largePage } from '../../store/large-pages.ts';
import { columns, timestamp } from '../../store/rows.ts';
import { registerGroup } from '../group-offsets.ts';
import { cancelReplaysInto } from '../replay/replay-store.ts';
import type { Selection } from '../selection.ts';

/** A secret under seal; one that was replaced counts until its time is over. */
interface SealedSecret {
  readonly sealed: string;
  readonly untilMs: number | null;
}

/** Where events are sent, and which. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly selection: Selection;
  readonly secrets: readonly SealedSecret[];
  readonly status: 'active' | 'disabled';
  readonly disabledReason: string | null;
  /** Since when no delivery has succeeded; nothing while they do. */
  readonly failingSince: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A delivery that failed at first: tried again, made in the end, or given up. */
export interface WebhookDelivery {
  readonly id: string;
  readonly webhook: string;
  readonly partition: number;
  readonly offset: number;
  readonly event: CloudEvent;
  readonly attempts: number;
  readonly nextAt: number | null;
  readonly status: 'retrying' | 'delivered' | 'failed';
  /** The HTTP status of the last answer; nothing when none came. */
  readonly response: number | null;
  readonly detail: string;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** A first attempt that failed. */
export interface FailedDelivery {
  readonly id: string;
  readonly logged: LoggedEvent;
  readonly response: number | null;
  readonly detail: string;
}

/** The consumer group of a webhook. */
export const webhookGroup = (id: string) => `webhook:${id}`;

const WEBHOOK = `id, url, description, selection, secrets, status, disabled_reason as "disabledReason", failing_since as "failingSince",
  created_at as "createdAt", updated_at as "updatedAt"`;
const DELIVERY = `id, webhook, partition, log_offset as "offset", event, attempts, next_at as "nextAt", status, response, detail,
  first_at as "firstAt", last_at as "lastAt"`;

export function readWebhooks(db: Queryable): Promise<Webhook[]> {
  return db.query(`select ${WEBHOOK} from webhooks order by id`);
}

export async function readWebhook(db: Queryable, id: string): Promise<Webhook | undefined> {
  const [row] = await db.query<Webhook>(`select ${WEBHOOK} from webhooks where id = $1`, [id]);
  return row;
}

/** A webhook with its place in the log, from which on it is sent events, whenever a process comes to it; false when there is one of this id already. */
export async function insertWebhook(tx: Queryable, webhook: Webhook): Promise<boolean> {
  const { id, url, description, selection, secrets, createdAt } = webhook;
  const rows = await tx.query(
    `insert into webhooks (id, url, description, selection, secrets, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $6) on conflict do nothing returning id`,
    [id, url, description, JSON.stringify(selection), JSON.stringify(secrets), timestamp(createdAt)],
  );
  if (rows.length > 0) await registerGroup(tx, webhookGroup(id), 'latest');
  return rows.length > 0;
}

/**
 * A webhook that nobody else changes until the transaction ends, so that what is written is what was read with the change. By a lock of its own: who delivers
 * holds the place of the group when it comes to the row of the webhook, who disables needs the place last.
 */
export async function lockWebhook(tx: Queryable, id: string): Promise<Webhook | undefined> {
  await tx.query("select pg_advisory_xact_lock(hashtextextended('webhook ' || $1, 0))", [id]);
  return readWebhook(tx, id);
}

/**
 * Writes what may change of one that is locked; nothing when it was deleted. One that is disabled loses its place in the log, so that it holds nothing of it
 * back, and so do its replays; one that is enabled again begins where the log ends, and without failures, which deliveries alone note
 * otherwise.
 */
export async function updateWebhook(tx: Queryable, webhook: Webhook): Promise<Webhook | undefined> {
  const { id, url, description, selection, secrets, status, disabledReason, updatedAt } = webhook;
  // First: who delivers holds the place of the group when it comes to the row of the webhook.
  if (status === 'disabled') await leaveLog(tx, id);
  else await registerGroup(tx, webhookGroup(id), 'latest');
  const [row] = await tx.query<Webhook>(
    `update webhooks set url = $2, description = $3, selection = $4, secrets = $5, status = $6, disabled_reason = $7,
       failing_since = case when status = 'disabled' and $6 = 'active' then null else failing_since end, updated_at = $8
     where id = $1 returning ${WEBHOOK}`,
    [
      id,
      url,
      description,
      JSON.stringify(selection),
      JSON.stringify(secrets),
      status,
      disabledReason,
      timestamp(updatedAt),
    ],
  );
  return row;
}

export async function deleteWebhook(tx: Queryable, id: string): Promise<boolean> {
  await leaveLog(tx, id);
  const rows = await tx.query('delete from webhooks where id = $1 returning id', [id]);
  return rows.length > 0;
}

/** Its places in the log end, its own and those of its replays. */
async function leaveLog(tx: Queryable, id: string): Promise<void> {
  await tx.query('delete from event_consumers where consumer_group = $1', [webhookGroup(id)]);
  await cancelReplaysInto(tx, webhookGroup(id));
}

/** Notes when deliveries began to fail; nothing when they succeed. */
export async function markFailing(tx: Queryable, id: string, failingSince: number | null): Promise<void> {
  await tx.query(
    `update webhooks set failing_since = case when $2::timestamptz is null then null else coalesce(failing_since, $2) end
     where id = $1 and (failing_since is null) <> ($2::timestamptz is null)`,
    [id, failingSince === null ? null : timestamp(failingSince)],
  );
}

/** Puts deliveries aside that failed; one that waits for its next attempt already stays as it is, one that was over (before a replay) begins anew. */
export async function insertFailed(
  tx: Queryable,
  webhook: string,
  failed: readonly FailedDelivery[],
  nowMs: number,
  nextAtMs: number,
): Promise<void> {
  if (failed.length === 0) return;
  await tx.query(
    `insert into webhook_deliveries (id, webhook, partition, log_offset, event, attempts, next_at, status, response, detail, first_at, last_at)
     select distinct on (id) id, $1, partition, log_offset, event, 1, $2::timestamptz, 'retrying', response, detail, $3::timestamptz, $3
     from unnest($4::text[], $5::smallint[], $6::bigint[], $7::json[], $8::int[], $9::text[])
       as t(id, partition, log_offset, event, response, detail)
     where exists (select from webhooks where webhooks.id = $1)
     on conflict (webhook, id) do update set attempts = 1, next_at = excluded.next_at, status = 'retrying', response = excluded.response,
       detail = excluded.detail, last_at = excluded.last_at where webhook_deliveries.status <> 'retrying'`,
    [
      webhook,
      timestamp(nextAtMs),
      timestamp(nowMs),
      ...columns(failed, ({ id, logged: { partition, offset, event }, response, detail }) => [
        id,
        partition,
        offset,
        JSON.stringify(event),
        response,
        detail,
      ]),
    ],
  );
}

/** Deliveries that are tried no more: also those of a webhook that stays disabled. */
export const webhookDeliveryRecords = {
  table: 'webhook_deliveries',
  over: `last_at < $1 and (status <> 'retrying' or exists (select from webhooks w where w.id = webhook and w.status = 'disabled'))`,
};

/** What is taken of deliveries that are due. */
interface Claim {
  readonly nowMs: number;
  readonly holdMs: number;
  /** Of each webhook; in bytes of JSON the last one may go beyond, so that there is one. */
  readonly countMax: number;
  readonly bytesMax: number;
  readonly webhooks: readonly string[];
}

/** Takes deliveries of these webhooks that are due, so many of each, for `holdMs`: a process that dies with them gives them back by that. */
export function claimDue(
  db: Queryable,
  { nowMs, holdMs, countMax, bytesMax, webhooks }: Claim,
): Promise<WebhookDelivery[]> {
  return db.query(
    `update webhook_deliveries d set next_at = $2 from webhooks w cross join lateral (
       select id, sum(bytes) over (order by next_at, id) - bytes as before from (
         select id, next_at, octet_length(event::text) as bytes from webhook_deliveries
         where webhook = w.id and status = 'retrying' and next_at <= $1 order by next_at limit $3 for update skip locked) locked) due
     where w.id = any($4) and w.status = 'active' and d.webhook = w.id and d.id = due.id and due.before < $5
     returning d.id, d.webhook, d.partition, d.log_offset as "offset", d.event, d.attempts, d.next_at as "nextAt", d.status, d.response,
       d.detail, d.first_at as "firstAt", d.last_at as "lastAt"`,
    [timestamp(nowMs), timestamp(nowMs + holdMs), countMax, webhooks, bytesMax],
  );
}

/** In how many milliseconds the next delivery is to be tried again, but for those of some webhooks; nothing where none is. */
export async function dueInMs(
  db: Queryable,
  nowMs: number,
  without: readonly string[],
): Promise<number | undefined> {
  const [row] = await db.query<{ nextAt: number | null }>(
    `select min(next_at) as "nextAt" from webhook_deliveries where status = 'retrying' and webhook <> all($1)
     and exists (select from webhooks w where w.id = webhook and w.status = 'active')`,
    [without],
  );
  return row?.nextAt == null ? undefined : row.nextAt - nowMs;
}

export async function updateDelivery(tx: Queryable, delivery: WebhookDelivery): Promise<void> {
  const { webhook, id, attempts, nextAt, status, response, detail, lastAt } = delivery;
  await tx.query(
    `update webhook_deliveries set attempts = $3, next_at = $4, status = $5, response = $6, detail = $7, last_at = $8
     where webhook = $1 and id = $2`,
    [
      webhook,
      id,
      attempts,
      nextAt === null ? null : timestamp(nextAt),
      status,
      response,
      detail,
      timestamp(lastAt),
    ],
  );
}

export interface AskedDeliveries {
  readonly status?: string | undefined;
  /** Those behind this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** The deliveries of a webhook that did not succeed at once, the last tried first; a page is shorter where events are large. */
export function readDeliveries(
  db: Queryable,
  webhook: string,
  { status, after, limit }: AskedDeliveries,
  { pageBytesMax: bytesMax }: Pick<Limits, 'pageBytesMax'>,
): Promise<LargePage<WebhookDelivery>> {
  return largePage(db, {
    select: `select ${DELIVERY} from webhook_deliveries where webhook = $1 and ($2::text is null or status = $2) and ($3::text is null or exists (
       select from webhook_deliveries last where last.webhook = $1 and last.id = $3
         and (webhook_deliveries.last_at < last.last_at or (webhook_deliveries.last_at = last.last_at and webhook_deliveries.id > last.id))))
     order by last_at desc, id`,
    values: [webhook, status ?? null, after ?? null],
    ...{ limit, bytesMax },
  });
}

/** Makes a delivery due now; false when there is none. */
export async function retryNow(tx: Queryable, webhook: string, id: string, nowMs: number): Promise<boolean> {
  const rows = await tx.query(
    `update webhook_deliveries set status = 'retrying', next_at = $3 where webhook = $1 and id = $2 returning id`,
    [webhook, id, timestamp(nowMs)],
  );
  return rows.length > 0;
}
