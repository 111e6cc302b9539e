import type { Migration } from '../store/migrations.ts';

/** Keys of trainings by when they ended: each training has one of its own, and no other is forgotten. */
export const trainingKeyRecords = {
  table: 'access_keys',
  over: `training is not null and least(revoked_at, expires_at) < $1 and not exists (select from access_secrets s where s.key_id = access_keys.id)`,
};

export const accessMigrations: Migration[] = [
  {
    name: '0090_access',
    sql: `
      create table access_keys (
        id text primary key,
        name text not null,
        hash text not null unique,
        roles text[] not null,
        groups text[] not null default '{}',
        created_at timestamptz not null default now(),
        created_by text not null,
        training json,
        last_used_at timestamptz,
        expires_at timestamptz,
        revoked_at timestamptz
      );
      comment on column access_keys.training is 'What the key of a training is for: its run, its model, who started it. Nothing for all other keys.';
      create table access_secrets (
        hash text primary key,
        kind text not null,
        key_id text not null references access_keys (id),
        expires_at timestamptz not null
      );
      comment on table access_secrets is 'One-time login tokens and console sessions, by the hash of their secret.';`,
  },
];
