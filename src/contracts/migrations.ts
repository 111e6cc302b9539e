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
      comment on table contract_deprecations is 'Versions that producers should leave. They stay usable: deprecation refuses nothing.';`,
  },
];
