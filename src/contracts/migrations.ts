import type { Migration } from '../store/migrations.ts';

export const contractMigrations: Migration[] = [
  {
    name: '0025_contracts',
    sql: `
      create table contract_deprecations (
        contract text not null,
        version text not null,
        deprecated_at timestamptz not null,
        sunset_at timestamptz,
        message text not null,
        primary key (contract, version)
      );
      comment on table contract_deprecations is 'Versions that producers should leave. They stay usable: deprecation refuses nothing.';
      create table contract_settings (
        only_row bool primary key check (only_row),
        default_compatibility text not null
      );
      comment on table contract_settings is 'One row at most: what contracts that name no mode are held to.';
      create table contract_schema_ids (
        id int primary key,
        contract text not null,
        version text not null,
        unique (contract, version)
      );
      comment on table contract_schema_ids is 'The number of a version in the messages of Confluent''s serializers: given once, never to another.';
      create table contract_registry_deletions (
        contract text not null,
        version text not null,
        is_permanent bool not null,
        primary key (contract, version)
      );
      comment on table contract_registry_deletions is 'Versions that clients of the schema registry have deleted there: it does not list them. The contracts stay.';
      create table contract_registry_modes (
        subject text primary key,
        mode text not null
      );
      comment on table contract_registry_modes is 'Whether clients of the schema registry may change a subject there: READWRITE or READONLY.';
      comment on column contract_registry_modes.subject is 'A contract; empty for all that have no mode of their own.';
      create table quarantined_events (
        id text primary key,
        arrival bigint generated always as identity,
        contract text not null,
        version text not null,
        event json not null,
        problem json not null,
        arrived_at timestamptz not null,
        status text not null,
        resolved_at timestamptz,
        resolved_by text,
        reason text
      );
      comment on table quarantined_events is 'Events that their contract keeps apart: never in the log unless they were released.';
      comment on column quarantined_events.arrival is 'The order in which they came: those of one request have one time.';
      create index quarantined_events_arrived on quarantined_events (arrived_at, id);
      create unique index quarantined_events_arrival on quarantined_events (arrival);
      create index quarantined_events_open on quarantined_events (contract, arrival) where status = 'open';
      create table contract_quality_windows (
        contract text not null,
        rule text not null,
        window_start timestamptz not null,
        window_end timestamptz not null,
        counters json not null,
        late int not null default 0,
        value float8,
        status text not null default 'open',
        primary key (contract, rule, window_start)
      );
      create table contract_quality_rules (
        contract text not null,
        rule text not null,
        window_ms bigint not null,
        begun_at timestamptz not null,
        judged_until timestamptz not null,
        newest_at timestamptz,
        status text not null,
        untold json,
        primary key (contract, rule)
      );
      comment on column contract_quality_rules.begun_at is 'Since when the rule is measured: of the window before it too little is known to miss events in it.';
      comment on column contract_quality_rules.untold is 'Events that tell of a change and are not in the log yet: a process that dies between the two leaves them to the next look.';`,
  },
];
