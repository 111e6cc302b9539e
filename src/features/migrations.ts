import type { Migration } from '../store/migrations.ts';

export const featureMigrations: Migration[] = [
  {
    name: '0030_features',
    sql: `
      create table feature_views (
        id int generated always as identity primary key,
        name text not null,
        version int not null,
        status text not null default 'building',
        joined bigint[] not null,
        built bigint[] not null,
        retired_at timestamptz,
        unique (name, version)
      );
      comment on column feature_views.joined is 'Per log partition: the offset from which the stream keeps the view; what lies before is built from the log.';
      create table feature_contributions (
        view int not null,
        entity text not null,
        time_ms bigint not null,
        partition smallint not null,
        log_offset bigint not null,
        item int not null,
        feature_values json not null,
        primary key (view, entity, time_ms, log_offset, partition, item)
      );
      create table feature_tiles (
        view int not null,
        entity text not null,
        start_ms bigint not null,
        count bigint not null,
        counts float8[] not null,
        sums float8[] not null,
        mins float8[] not null,
        maxs float8[] not null,
        primary key (view, entity, start_ms)
      ) with (fillfactor = 70);`,
  },
];
