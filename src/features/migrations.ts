import { tells } from '../store/changes.ts';
import type { Migration } from '../store/migrations.ts';
import { datasetMigration } from './datasets/dataset-lanes.ts';

export const featureMigrations: Migration[] = [
  {
    name: '0030_features',
    sql: `
      create sequence feature_view_joins;
      create table feature_views (
        id int generated always as identity primary key,
        name text not null,
        version int not null,
        meaning text not null,
        generation int not null default 0,
        status text not null default 'building',
        joined bigint[] not null,
        built bigint[] not null,
        join_number bigint not null default nextval('feature_view_joins'),
        copied bigint[],
        range_from bigint,
        range_to bigint,
        include_late boolean,
        backfill text unique,
        requested_at timestamptz not null default now(),
        ready_at timestamptz,
        retired_at timestamptz,
        kept_from_ms bigint,
        kept_announced_ms bigint,
        dropped_to_ms bigint,
        dropping json,
        unique (name, meaning, generation)
      );
      comment on column feature_views.version is 'The newest version that it is the state of.';
      comment on column feature_views.meaning is 'The digest of what the state is made by: versions of which only words differ share it.';
      comment on column feature_views.generation is 'What is built anew in a range of event times is the next generation.';
      comment on column feature_views.copied is 'Per log partition: the offset before which a generation holds what lies outside of its range.';
      comment on column feature_views.kept_from_ms is 'Announced: state before it is dropped some time after, down to dropped_to_ms; dropping is where the pass is.';
      comment on column feature_views.joined is 'Per log partition: the offset from which the stream keeps the view; what lies before is built from the log.';
      create table feature_contributions (
        view int not null,
        entity text not null,
        time_ms bigint not null,
        partition smallint not null,
        log_offset bigint not null,
        item int not null,
        recorded_ms bigint not null,
        feature_values json not null,
        primary key (view, entity, time_ms, log_offset, partition, item)
      );
      create table feature_tiles (
        view int not null,
        entity text not null,
        start_ms bigint not null,
        count bigint not null,
        n0 float8, n1 float8, n2 float8, n3 float8, n4 float8, n5 float8, n6 float8, n7 float8,
        floats float8[],
        decimals numeric[],
        kept json,
        primary key (view, entity, start_ms)
      ) with (fillfactor = 70);
      comment on column feature_tiles.n0 is 'Per feature that needs them: counts of values, minima, maxima, sums (in units of 10^-6), sums of squares (10^-4); those after the eighth are in floats.';
      comment on column feature_tiles.decimals is 'Of sums, then of sums of squares: what whole units below 2^53 cannot hold, to be added to them; null while there is nothing.';
      comment on column feature_tiles.kept is 'Per feature: the first or last value with its place, or the different values (hashes, then HyperLogLog registers in base64).';
      create table feature_late_events (
        view int not null,
        partition smallint not null,
        log_offset bigint not null,
        time_ms bigint not null,
        late_ms bigint not null,
        primary key (view, partition, log_offset)
      );
      comment on table feature_late_events is 'Places of events that came later than a view bears and that it sets aside (late: dead-letter).';
      create table feature_online (
        view text not null,
        entity text not null,
        time_ms bigint not null,
        created_ms bigint not null,
        valid_to_ms bigint,
        feature_values json not null,
        pass bigint not null default 0,
        written xid8 not null default pg_current_xact_id(),
        primary key (view, entity)
      ) with (fillfactor = 70);
      comment on table feature_online is 'The newest row of each entity in the batch and push views. One that holds for no time (valid_to_ms is not after time_ms) was removed at created_ms.';
      comment on column feature_online.view is 'Of a batch view with the digest of what it means, which versions may share: prices@5d41402abc4b2a76.';
      comment on column feature_online.pass is 'The number of the pass that wrote it; 0 of what was pushed. What a later pass says counts, whatever the times of its row.';
      create index feature_online_written on feature_online (written);
      comment on column feature_online.written is 'The transaction that wrote it: other processes look here for what they keep in memory.';
      create table feature_online_epochs (
        slot int primary key,
        begun bigint not null default 1,
        space uuid not null default gen_random_uuid()
      ) with (fillfactor = 50);
      insert into feature_online_epochs (slot) values (-1);
      comment on table feature_online_epochs is 'How many writes of newest rows Redis could not be told of: what it holds from before is not read any more. Counted in 256 rows, so that writes at one time wait for each other seldom.';
      comment on column feature_online_epochs.space is 'Made anew with each count: a database that went back to an older state comes to no epoch that was there before.';
      create table feature_pushed (
        view text not null,
        entity text not null,
        time_ms bigint not null,
        created_ms bigint not null,
        feature_values json not null
      );
      comment on table feature_pushed is 'Every row that was pushed, for vectors of the past.';
      create unique index feature_pushed_rows on feature_pushed (view, entity, time_ms, created_ms, md5(feature_values::text));
      create table feature_pushed_expiry (
        view text primary key,
        kept_from_ms bigint,
        pass_ms bigint not null,
        is_passed bool not null,
        dropping json
      );
      comment on table feature_pushed_expiry is 'How far each push view was freed of rows that no vector may ask for. The lock of a row is held by the process that drops the next page.';
      comment on column feature_pushed_expiry.kept_from_ms is 'From when on what was pushed is whole; written with the rows that go.';
      create table feature_profiles (
        name text not null,
        version int not null,
        source json not null,
        profile json not null,
        created_at timestamptz not null,
        created_by text not null,
        primary key (name, version)
      );
      comment on table feature_profiles is 'How features lay when somebody saved it. Rows are never changed.';
      create table feature_freshness (
        view text primary key,
        newest_ms bigint not null
      );
      comment on table feature_freshness is 'The newest event or row of each view, as far as some process has written it down.';
      create sequence feature_pass_numbers;
      create table feature_materializations (
        id text primary key,
        view text not null,
        version int not null,
        kept text not null,
        number bigint,
        mode text not null,
        status text not null default 'running',
        from_ms bigint,
        to_ms bigint not null,
        cursor json,
        entities bigint not null default 0,
        total bigint,
        removed bigint not null default 0,
        removed_to text,
        newest_ms bigint,
        requested_by text not null,
        requested_at timestamptz not null,
        ended_at timestamptz,
        retired_at timestamptz,
        dropped_at timestamptz,
        problem json
      );
      comment on column feature_materializations.kept is 'What its rows are kept under in feature_online: versions that mean the same share them.';
      comment on column feature_materializations.number is 'Taken with its first page: of two passes over the same rows the later one has the greater.';
      comment on column feature_materializations.removed_to is 'Once all of the source was gone through: the entity up to which rows that it has no more went offline.';
      comment on column feature_materializations.retired_at is 'From when on the rows that it brought online are not read any more: they go some time after, and have gone at dropped_at.';
      comment on table feature_materializations is 'Passes over the tables of batch views; the lock of a running row is held by the process that writes its next page.';
      create unique index feature_materializations_running on feature_materializations (kept) where status = 'running';
      create index feature_materializations_requested on feature_materializations (requested_at desc, id desc);
      create table feature_joins (
        id text primary key,
        service text not null,
        entities text not null,
        out_file text not null,
        timestamp_column text,
        recorded_by_ms bigint,
        status text not null default 'running',
        owner text,
        lease_until timestamptz,
        attempts int not null default 0,
        done bigint not null default 0,
        total bigint,
        requested_by text not null,
        requested_at timestamptz not null,
        ended_at timestamptz,
        canceled_by text,
        problem json
      );
      comment on table feature_joins is 'Historical joins of files. The owner of a running one works on it until its lease has passed.';
      create index feature_joins_requested on feature_joins (requested_at desc, id desc);
      create unique index feature_joins_out on feature_joins (out_file) where status = 'running';
      create index feature_joins_running on feature_joins (requested_at, id) where status = 'running';
      ${tells('feature_views', 'insert or delete or update of status, version')}
      ${tells('feature_materializations', 'insert or update of status')}
      ${tells('feature_joins', 'insert or update of owner')}`,
  },
  datasetMigration,
];
