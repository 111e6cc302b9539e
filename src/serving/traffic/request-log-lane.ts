import { plannedLane } from '../../store/lane.ts';
import type { Migration } from '../../store/migrations.ts';
import { columns, timestamp } from '../../store/rows.ts';

export type RequestStatus = 'answered' | 'degraded' | 'failed';

/** A request that was sampled, as its row. */
export interface RequestRow {
  readonly id: string;
  /** What was asked for. */
  readonly model: string;
  readonly version: number;
  readonly status: RequestStatus;
  readonly callerId: string | undefined;
  readonly traceId: string | undefined;
  readonly runId: string | undefined;
  readonly at: number;
  /** JSON. */
  readonly body: string;
}

/** What is committed together. */
export interface RequestBatch {
  /** Of their audit entry. */
  readonly auditObject: string;
  readonly rows: readonly RequestRow[];
}

export const servingMigrations: Migration[] = [
  {
    name: '0042_inference_requests',
    sql: `
      create table inference_requests (
        id text primary key,
        model text not null,
        version int not null,
        status text not null,
        caller_id text,
        trace_id text,
        run_id text,
        at timestamptz not null,
        audit_object text not null,
        body json not null
      );
      -- Numbers hardly compress, and to try took Postgres longer than all the rest: a half of what a row cost.
      alter table inference_requests alter body set storage external;
      create index inference_requests_model on inference_requests (model, id);
      comment on table inference_requests is 'A sample of what models were asked and answered, kept for a while.';
      comment on column inference_requests.audit_object is 'Of the audit entry that holds the digests of body: one for all rows of a commit.';
      comment on column inference_requests.id is 'Begins with the time: a range of times is a range of ids.';`,
  },
];

export const requestLane = plannedLane<RequestBatch>({
  name: 'inference requests',
  order: 65,
  plan: (batches) => ({
    statements: [
      {
        text: `insert into inference_requests (id, model, version, status, caller_id, trace_id, run_id, at, audit_object, body)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::text[], $10::json[])
       on conflict do nothing`,
        values: columns(batches.flatMap(rowsOf), ({ auditObject, row }) => [
          row.id,
          row.model,
          row.version,
          row.status,
          row.callerId ?? null,
          row.traceId ?? null,
          row.runId ?? null,
          timestamp(row.at),
          auditObject,
          row.body,
        ]),
      },
    ],
  }),
});

function rowsOf({ auditObject, rows }: RequestBatch) {
  return rows.map((row) => ({ auditObject, row }));
}
