import { type Lane, plannedLane } from '../store/lane.ts';
import type { Migration } from '../store/migrations.ts';
import { timestamp } from '../store/rows.ts';

export const approvalMigration: Migration = {
  name: '0041_model_approvals',
  sql: `
    create table model_approvals (
      model text not null,
      version int not null,
      alias text not null,
      person text not null,
      person_name text not null,
      memberships json not null,
      decision text not null,
      reason text,
      at timestamptz not null,
      primary key (model, version, alias, person),
      foreign key (model, version) references model_versions (name, version)
    );
    comment on table model_approvals is 'Who approves that a version gets the traffic of an alias; a rollback takes the rows away. What was is in the audit log.';
    create table model_promotions (
      model text not null,
      alias text not null,
      version int not null,
      requested_by json not null,
      requested_at timestamptz not null,
      is_forced boolean not null,
      primary key (model, alias)
    );
    comment on table model_promotions is 'Promotions that wait for approvals.';`,
};

export interface ApprovalItem {
  model: string;
  version: number;
  alias: string;
  person: string;
  personName: string;
  /** Groups and roles that the person was in. */
  memberships: readonly string[];
  decision: 'approve' | 'reject';
  reason: string | null;
  at: number;
}

/** What a person says last counts. Approvals are rare: a statement each. */
export const approvalLane: Lane<ApprovalItem> = plannedLane({
  name: 'model approvals',
  order: 67,
  plan: (items) => ({
    statements: items.map((item) => ({
      text: `insert into model_approvals (model, version, alias, person, person_name, memberships, decision, reason, at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (model, version, alias, person) do update set person_name = excluded.person_name,
          memberships = excluded.memberships, decision = excluded.decision, reason = excluded.reason, at = excluded.at`,
      values: [
        item.model,
        item.version,
        item.alias,
        item.person,
        item.personName,
        JSON.stringify(item.memberships),
        item.decision,
        item.reason,
        timestamp(item.at),
      ],
    })),
  }),
});

/** Takes the approvals of a version away: it was rolled back. */
export const withdrawalLane: Lane<Pick<ApprovalItem, 'model' | 'version' | 'alias'>> = plannedLane({
  name: 'model approvals withdrawn',
  order: 68,
  plan: (items) => ({
    statements: items.map(({ model, version, alias }) => ({
      text: 'delete from model_approvals where model = $1 and version = $2 and alias = $3',
      values: [model, version, alias],
    })),
  }),
});

export interface WaitingItem {
  model: string;
  alias: string;
  version: number;
  /** Nothing when it no longer waits. */
  waits: { requestedBy: object; requestedAt: number; isForced: boolean } | undefined;
}

/** The promotion that an alias waits for; one asked for later takes its place. */
export const waitingLane: Lane<WaitingItem> = plannedLane({
  name: 'model promotions',
  order: 69,
  plan: (items) => ({
    statements: items.map(({ model, alias, version, waits }) =>
      waits
        ? {
            text: `insert into model_promotions (model, alias, version, requested_by, requested_at, is_forced) values ($1, $2, $3, $4, $5, $6)
              on conflict (model, alias) do update set version = excluded.version, requested_by = excluded.requested_by,
                requested_at = excluded.requested_at, is_forced = excluded.is_forced`,
            values: [
              model,
              alias,
              version,
              JSON.stringify(waits.requestedBy),
              timestamp(waits.requestedAt),
              waits.isForced,
            ],
          }
        : {
            text: 'delete from model_promotions where model = $1 and alias = $2 and version = $3',
            values: [model, alias, version],
          },
    ),
  }),
});
