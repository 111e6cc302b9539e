import { AiosError } from '../kernel/errors.ts';
import { tells } from '../store/changes.ts';
import { type Lane, plannedLane, Refused } from '../store/lane.ts';
import type { Migration } from '../store/migrations.ts';
import { columns, timestamp } from '../store/rows.ts';
import type { Rollout } from './rollout.ts';
import type { BothCounts, Side } from './rollout-figures.ts';

export const rolloutMigration: Migration = {
  name: '0041_model_rollouts',
  sql: `
    alter table model_aliases add column before int;
    comment on column model_aliases.before is 'What the alias meant before its last promotion: where a rollback goes. Null after a rollback.';
    create table model_rollouts (
      id text primary key,
      model text not null,
      alias text not null,
      champion int not null,
      challenger int not null,
      status text not null,
      percent double precision not null,
      revision int not null,
      plan json not null,
      progress json not null,
      started_at timestamptz not null,
      ended_at timestamptz,
      foreign key (model, champion) references model_versions (name, version),
      foreign key (model, challenger) references model_versions (name, version)
    );
    comment on table model_rollouts is 'Another version tried under an alias; its changes are in the audit log.';
    create unique index model_rollouts_active on model_rollouts (model, alias) where ended_at is null;
    create index model_rollouts_of_model on model_rollouts (model, started_at desc);
    create table model_rollout_counts (
      rollout text not null references model_rollouts (id),
      process text not null,
      slot int not null,
      window_start timestamptz not null,
      counts json not null,
      primary key (rollout, process, slot)
    );
    comment on table model_rollout_counts is 'What each process counted, in a ring of windows (slot 0 and up) and in all (slot -1); each row has one writer, so that it may be written again.';
    create table model_rollout_outcomes (
      rollout text not null references model_rollouts (id),
      key_digest text not null,
      side text not null,
      value double precision not null,
      primary key (rollout, key_digest)
    );
    comment on table model_rollout_outcomes is 'The outcome of each key of an A/B test: the first that is reported.';
    create table model_rollout_arms (
      rollout text not null references model_rollouts (id),
      side text not null,
      count bigint not null,
      sum double precision not null,
      sum_of_squares double precision not null,
      primary key (rollout, side)
    );
    comment on table model_rollout_arms is 'The sums of model_rollout_outcomes, kept with them.';
    ${tells('model_rollouts')}`,
};

/** Outcomes by when their test ended: they keep a key from being counted twice, and none is reported to a test that has ended. */
export const rolloutOutcomeRecords = {
  table: 'model_rollout_outcomes',
  over: 'rollout in (select id from model_rollouts where ended_at < $1)',
};

const conflict = (detail: string): Refused => new Refused(new AiosError('store.conflict', { detail }));

/** A rollout as it becomes: new at revision 1, else a change of the revision before. */
export interface RolloutItem {
  readonly rollout: Rollout;
}

/** A gate: a rollout begins only where the alias stands as its maker saw it and no other is active, and changes only from the revision seen. */
export const rolloutLane: Lane<RolloutItem> = {
  name: 'model rollouts',
  order: 9,
  gate: true,
  async write(tx, items) {
    const results: (Refused | undefined)[] = [];
    for (const { rollout } of items) {
      if (rollout.revision === 1) {
        // Held until the commit, so that the alias cannot move in between.
        await tx.query('select from model_aliases where name = $1 and alias = $2 for share', [
          rollout.model,
          rollout.alias,
        ]);
      }
      const text = rollout.revision === 1 ? START : CHANGE;
      const written = await tx.query(text, rolloutValues(rollout));
      if (rollout.endedAt !== null)
        await tx.query('delete from model_rollout_counts where rollout = $1', [rollout.id]);
      results.push(
        written.length > 0 ? undefined : conflict(`The rollout ${rollout.id} was changed by someone else.`),
      );
    }
    return results;
  },
};

const START = `
  with started as (
    insert into model_rollouts
      (id, model, alias, champion, challenger, status, percent, revision, plan, progress, started_at, ended_at)
    select $1, $2, $3, $4::int, $5::int, $6, $7::float8, $8::int, $9::json, $10::json, $11::timestamptz, $12::timestamptz
    where exists (select from model_aliases where name = $2 and alias = $3 and version = $4::int)
    on conflict do nothing returning id)
  select id from started union all select id from model_rollouts where id = $1`;
// Written again after a lost answer it finds its own progress, which no other change has: it names who made it and when.
const CHANGE = `
  update model_rollouts set champion = $4::int, challenger = $5::int, status = $6, percent = $7::float8, revision = $8::int, plan = $9::json,
    progress = $10::json, started_at = $11::timestamptz, ended_at = $12::timestamptz
  where id = $1 and model = $2 and alias = $3
    and ((revision = $8::int - 1 and ended_at is null) or (revision = $8::int and progress::text = $10::text))
  returning id`;

function rolloutValues(rollout: Rollout): unknown[] {
  const {
    id,
    model,
    alias,
    champion,
    challenger,
    status,
    percent,
    revision,
    plan,
    startedAt,
    endedAt,
    ...progress
  } = rollout;
  return [
    id,
    model,
    alias,
    champion,
    challenger,
    status,
    percent,
    revision,
    JSON.stringify(plan),
    JSON.stringify(progress satisfies Progress),
    timestamp(startedAt),
    endedAt === null ? null : timestamp(endedAt),
  ];
}

type Progress = Pick<
  Rollout,
  | 'step'
  | 'stepStartedAt'
  | 'stepRequests'
  | 'startedBy'
  | 'isForced'
  | 'conclusion'
  | 'endedBy'
  | 'reason'
  | 'figures'
  | 'change'
>;

export interface RolloutRow
  extends Pick<
    Rollout,
    'id' | 'model' | 'alias' | 'champion' | 'challenger' | 'status' | 'percent' | 'revision' | 'plan'
  > {
  progress: Progress;
  started_at: number;
  ended_at: number | null;
}

export const ROLLOUT_COLUMNS =
  'id, model, alias, champion, challenger, status, percent, revision, plan, progress, started_at, ended_at';

export function rolloutFromRow({ progress, started_at, ended_at, ...rest }: RolloutRow): Rollout {
  return { ...rest, ...progress, startedAt: started_at, endedAt: ended_at };
}

export interface CountsItem {
  rollout: string;
  process: string;
  /** −1 for all that the process counted. */
  slot: number;
  windowStart: number;
  counts: BothCounts;
}

/** Counts of one process; those of a rollout that has ended are left out. */
export const countsLane: Lane<CountsItem> = plannedLane({
  name: 'model rollout counts',
  order: 65,
  plan: (items) => ({
    statements: [
      {
        text: `insert into model_rollout_counts (rollout, process, slot, window_start, counts)
          select item.* from unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::json[])
            as item (rollout, process, slot, window_start, counts)
          where exists (select from model_rollouts where id = item.rollout and ended_at is null)
          on conflict (rollout, process, slot) do update set window_start = excluded.window_start, counts = excluded.counts`,
        values: columns(items, (item) => [
          item.rollout,
          item.process,
          item.slot,
          timestamp(item.windowStart),
          JSON.stringify(item.counts),
        ]),
      },
    ],
  }),
});

export interface OutcomeItem {
  rollout: string;
  keyDigest: string;
  side: Side;
  value: number;
}

/** The first outcome of each key, and the sums of the arms with it; answers whether it was the first. */
export const outcomeLane: Lane<OutcomeItem, boolean> = {
  name: 'model rollout outcomes',
  order: 66,
  async write(tx, items) {
    const first = new Map<string, OutcomeItem>();
    for (const item of items) {
      const key = `${item.rollout} ${item.keyDigest}`;
      if (!first.has(key)) first.set(key, item);
    }
    const distinct = [...first.values()];
    const rows = await tx.query<{ rollout: string; key_digest: string }>(
      `with item as (
         select * from unnest($1::text[], $2::text[], $3::text[], $4::float8[]) as t (rollout, key_digest, side, value)),
       counted as (
         insert into model_rollout_outcomes (rollout, key_digest, side, value)
         select rollout, key_digest, side, value from item order by 1, 2
         on conflict do nothing returning rollout, key_digest, side, value),
       summed as (
         insert into model_rollout_arms (rollout, side, count, sum, sum_of_squares)
         select rollout, side, count(*), sum(value), sum(value * value) from counted group by rollout, side order by 1, 2
         on conflict (rollout, side) do update set count = model_rollout_arms.count + excluded.count,
           sum = model_rollout_arms.sum + excluded.sum, sum_of_squares = model_rollout_arms.sum_of_squares + excluded.sum_of_squares)
       select rollout, key_digest from counted`,
      columns(distinct, (item) => [item.rollout, item.keyDigest, item.side, item.value]),
    );
    const counted = new Set(rows.map(({ rollout, key_digest }) => `${rollout} ${key_digest}`));
    return items.map((item) => {
      const key = `${item.rollout} ${item.keyDigest}`;
      return first.get(key) === item && counted.has(key);
    });
  },
};
