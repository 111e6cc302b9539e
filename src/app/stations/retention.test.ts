import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessMigrations } from '../../access/migrations.ts';
import { eventMigrations } from '../../events/migrations.ts';
import { featureMigrations } from '../../features/migrations.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { budgetMigrations } from '../../ledger/budget-lanes.ts';
import { openLineageMigrations } from '../../ledger/openlineage/outbox.ts';
import { modelMigrations } from '../../models/lanes.ts';
import { trainingMigrations } from '../../models/training/migrations.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { write } from '../../store/lane.ts';
import { RecordRetention } from '../../store/record-retention.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { workflowMigrations } from '../../workflow/engine/migrations.ts';
import { recordTables } from './retention.ts';

const OLD = "now() - interval '91 days'";
/** A row for each sentence; those that say `stays` do. */
const ROWS = `
  insert into webhooks (id, url, description, selection, secrets, status, created_at, updated_at)
    select s, 'u', '', '{}', '[]', s, now(), now() from unnest(array['active', 'disabled']) s;
  insert into webhook_deliveries (id, webhook, partition, log_offset, event, attempts, next_at, status, detail, first_at, last_at)
    select id, webhook, 0, 0, '{}', 1, null, status, '', ${OLD}, case when id like '%young%' then now() else ${OLD} end
    from (values ('delivered', 'active', 'delivered'), ('failed', 'active', 'failed'), ('disabled', 'disabled', 'retrying'),
      ('young stays', 'active', 'failed'), ('retrying stays', 'active', 'retrying')) v(id, webhook, status);
  insert into dead_letters (id, consumer_group, event, problem, attempts, failed_at, status, handled_at)
    values ('dismissed', 'g', '{}', '{}', 1, ${OLD}, 'dismissed', ${OLD}), ('handled now stays', 'g', '{}', '{}', 1, ${OLD}, 'replayed', now()),
      ('open stays', 'g', '{}', '{}', 1, ${OLD}, 'open', null);
  insert into event_replays (id, target, selection, from_offsets, until_offsets, status, created_by, created_at, ended_at)
    values ('done', '{}', '{}', '{}', '{}', 'completed', 'x', ${OLD}, ${OLD}), ('running stays', '{}', '{}', '{}', '{}', 'running', 'x', ${OLD}, null);
  insert into feature_joins (id, service, entities, out_file, status, requested_by, requested_at, ended_at)
    values ('done', 's', 'e', 'o', 'done', 'x', ${OLD}, ${OLD}), ('running stays', 's', 'e', 'o', 'running', 'x', ${OLD}, null);
  insert into feature_materializations (id, view, version, kept, mode, status, to_ms, requested_by, requested_at, ended_at)
    values ('failed', 'v', 1, 'v@1', 'full', 'failed', 9, 'x', ${OLD}, ${OLD}), ('done before', 'v', 1, 'v@1', 'full', 'done', 1, 'x', ${OLD}, ${OLD}),
      ('newest done stays', 'v', 1, 'v@1', 'full', 'done', 2, 'x', ${OLD}, ${OLD}), ('of another version stays', 'v', 2, 'v@2', 'full', 'done', 1, 'x', ${OLD}, ${OLD}),
      ('running stays', 'v', 2, 'v@2', 'full', 'running', 3, 'x', ${OLD}, null);
  insert into dataset_builds (id, dataset, definition_version, status, requested_by, requested_kind, requested_at, ended_at)
    values ('done', 'd', 1, 'done', 'x', 'user', ${OLD}, ${OLD}), ('canceled', 'd', 1, 'canceled', 'x', 'user', ${OLD}, ${OLD}),
      ('young stays', 'd', 1, 'done', 'x', 'user', ${OLD}, now()), ('running stays', 'd', 1, 'running', 'x', 'user', ${OLD}, null);
  insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, entries)
    values ('kept', 'w', 1, 1, 'completed', '{}', ${OLD}, ${OLD}, '[]');
  insert into trainings (key, run_id, step_key, trainer, training_run, host, started_at, ended_at)
    values ('run is gone', 'gone', 's', 't', 'r', 'h', ${OLD}, ${OLD}), ('run is there, stays', 'kept', 's', 't', 'r', 'h', ${OLD}, ${OLD}),
      ('failed, of a run that is gone', 'gone', 's', 't', 'r', 'h', ${OLD}, null),
      ('under way stays', 'kept', 's', 't', 'r', 'h', ${OLD}, null);
  insert into access_keys (id, name, hash, roles, created_by, training, revoked_at, expires_at)
    values ('revoked', 'k', '1', '{}', 'x', '{}', ${OLD}, now()), ('expired', 'k', '2', '{}', 'x', '{}', null, ${OLD}),
      ('young stays', 'k', '3', '{}', 'x', '{}', null, now()), ('of a person stays', 'k', '4', '{}', 'x', null, ${OLD}, ${OLD});
  insert into workflow_bulks (id, operation, status, ended_at)
    values ('completed', '{}', 'completed', ${OLD}), ('young stays', '{}', 'completed', now()), ('running stays', '{}', 'running', null);
  insert into workflow_bulk_runs (bulk_id, run_id) values ('completed', 'r'), ('young stays', 'r');
  insert into openlineage_told (source, id, has_ended, told_at)
    values ('JOIN', 'ended', true, ${OLD}), ('JOIN', 'under way and not told of', false, ${OLD}), ('JOIN', 'young stays', true, now());
  insert into budget_usage (budget, subject, period_start, tokens, amount_micro_usd)
    values ('old', 's', ${OLD}, 1, 1), ('of this month stays', 's', now() - interval '31 days', 1, 1);
  alter table model_rollouts disable trigger all;
  insert into model_rollouts (id, model, alias, champion, challenger, status, percent, revision, plan, progress, started_at, ended_at)
    values ('ended', 'm', 'a', 1, 2, 'completed', 1, 1, '{}', '{}', ${OLD}, ${OLD}), ('open stays', 'm', 'a', 1, 2, 'running', 1, 1, '{}', '{}', ${OLD}, null);
  insert into model_rollout_outcomes (rollout, key_digest, side, value) values ('ended', 'k', 'champion', 1), ('open stays', 'k', 'champion', 1);
  insert into openlineage_outbox (sink, told, refused, refused_at)
    values ('refused', '{}', 'no', ${OLD}), ('young stays', '{}', 'no', now()), ('waiting stays', '{}', null, null);
  insert into training_logs (run_id, step_key, training_run, stream, text, at)
    values ('old', 's', 't', 'stdout', '', ${OLD}), ('young stays', 's', 't', 'stdout', '', now());`;
const KEYS: Record<string, string> = {
  ...{ openlineage_outbox: 'sink', training_logs: 'run_id', trainings: 'key' },
  ...{ budget_usage: 'budget', model_rollout_outcomes: 'rollout' },
};

describe('records of work that is over', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([
      ...definitionMigrations,
      ...eventMigrations,
      ...featureMigrations,
      ...openLineageMigrations,
      ...accessMigrations,
      ...modelMigrations,
      ...trainingMigrations,
      ...budgetMigrations,
      ...workflowMigrations,
    ]);
    for (const statement of ROWS.split(';').filter((text) => text.trim() !== ''))
      await database.db.query(statement);
  });
  afterAll(() => database.close());

  it('go once they have been kept for long enough; what is open, tried or waits stays', async () => {
    const limits = limitsFrom();
    const recorded: string[] = [];
    await new RecordRetention({
      ...{ db: database.db, clock: { now: () => Date.now() }, limits },
      tables: recordTables(limits),
      record: ({ table, count }) =>
        write({ name: 'n', order: 1, write: async () => undefined }, recorded.push(`${table} ${count}`)),
      onError: (error) => {
        throw error;
      },
    }).pass();
    for (const { table } of recordTables(limits)) {
      const rows = await database.db.query<{ key: string }>(
        `select ${KEYS[table] ?? 'id'} as key from ${table}`,
      );
      expect(
        rows.filter(({ key }) => !key.includes('stays')),
        table,
      ).toEqual([]);
      expect(rows.length, table).toBeGreaterThan(0);
    }
    expect(recorded).toEqual([
      'webhook_deliveries 3',
      'dead_letters 1',
      'event_replays 1',
      'feature_joins 1',
      'feature_materializations 2',
      'dataset_builds 2',
      'trainings 2',
      'access_keys 2',
      'workflow_bulks 1',
      'openlineage_told 2',
      'budget_usage 1',
      'model_rollout_outcomes 1',
      'openlineage_outbox 1',
      'training_logs 1',
    ]);
  });
});
