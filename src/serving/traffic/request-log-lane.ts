import type { JsonObject } from '../../kernel/json.ts';
import { plannedLane } from '../../store/group-commit.ts';
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
  readonly body: JsonObject;
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
        body json not null
      );
      create index inference_requests_model on inference_requests (model, id);
      comment on table inference_requests is 'A sample of what models were asked and answered, kept for a while.';
      comment on column inference_requests.id is 'Begins with the time: a range of times is a range of ids.';`,
  },
];

export const requestLane = plannedLane<RequestRow>({
  name: 'inference requests',
  order: 65,
  plan: (items) => ({
    statements: [
      {
        text: `insert into inference_requests (id, model, version, status, caller_id, trace_id, run_id, at, body)
       select * from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::json[])
       on conflict do nothing`,
        values: columns(items, (item) => [
          item.id,
          item.model,
          item.version,
          item.status,
          item.callerId ?? null,
          item.traceId ?? null,
          item.runId ?? null,
          timestamp(item.at),
          JSON.stringify(item.body),
        ]),
      },
    ],
  }),
});
