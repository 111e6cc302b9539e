import type { Migration } from '../store/migrations.ts';

/**
 * An audit entry is one row. Its key begins with the transaction that wrote it: the sequencer takes what is older than every transaction
 * still open, so it never steps over a row that commits late. Bundles are not kept twice: a row of `audit_bundles` says where one begins.
 */
export const ledgerMigrations: Migration[] = [
  {
    name: '0080_ledger',
    sql: `
      create sequence audit_entry_seq cache 1;
      create table audit_entries (
        xid xid8 not null default pg_current_xact_id(),
        seq bigint not null default nextval('audit_entry_seq'),
        id text not null,
        object text not null,
        entry text not null,
        subject text not null,
        payload bytea not null,
        primary key (xid, seq)
      );
      create index audit_entries_object on audit_entries (object);
      comment on column audit_entries.entry is 'Canonical JSON without personal data: the leaf of the tree.';
      comment on column audit_entries.payload is 'Encrypted with the key of its subject: nonce, ciphertext and tag of salt and payload.';
      create table audit_bundles (
        number bigint primary key,
        xid xid8 not null,
        seq bigint not null
      );
      create table audit_hashes (
        level smallint not null,
        number bigint not null,
        hashes bytea not null,
        primary key (level, number)
      );
      create table audit_tree (
        one boolean primary key default true check (one),
        size bigint not null,
        xid xid8 not null,
        seq bigint not null,
        checkpoint text not null,
        signed_at timestamptz not null
      );
      create table ledger_identity (
        one boolean primary key default true check (one),
        fingerprint text not null
      );
      comment on table ledger_identity is 'Of the keys in the data folder that this database belongs to.';
      create table audit_subjects (
        subject text primary key,
        wrapped bytea,
        created_at timestamptz not null default now(),
        erased_at timestamptz
      );
      comment on table audit_subjects is 'The data key of each subject, wrapped; erasing a subject destroys its key and leaves every proof valid.';
      create table cost_entries (
        run_id text not null,
        step_key text not null,
        service text not null,
        resource text not null,
        quantity float8 not null,
        unit text not null,
        amount_micro_usd bigint not null,
        at timestamptz not null,
        tags json,
        primary key (run_id, step_key, service, resource)
      );
      create index cost_entries_at on cost_entries using brin (at);
      create table lineage_sets (
        digest text primary key,
        pins json not null
      );
      create table lineage_runs (
        run_id text primary key,
        pins text not null,
        event_source text,
        event_id text,
        at timestamptz not null
      );`,
  },
];
