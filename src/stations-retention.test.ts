import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventMigrations } from './events/migrations.ts';
import { featureMigrations } from './features/migrations.ts';
import { limitsFrom } from './kernel/limits.ts';
import { openLineageMigrations } from './ledger/openlineage/outbox.ts';
import { trainingMigrations } from './models/training/migrations.ts';
import { recordTables } from './stations-retention.ts';
import { definitionMigrations } from './store/definitions.ts';
import { write } from './store/group-commit.ts';
import { RecordRetention } from './store/record-retention.ts';
import { createTestDatabase, type TestDatabase } from './testing/database.ts';

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
  insert into openlineage_outbox (sink, told, refused, refused_at)
    values ('refused', '{}', 'no', ${OLD}), ('young stays', '{}', 'no', now()), ('waiting stays', '{}', null, null);
  insert into training_logs (run_id, step_key, training_run, stream, text, at)
    values ('old', 's', 't', 'stdout', '', ${OLD}), ('young stays', 's', 't', 'stdout', '', now());`;
const KEYS: Record<string, string> = { openlineage_outbox: 'sink', training_logs: 'run_id' };

describe('records of work that is over', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([
      ...definitionMigrations,
      ...eventMigrations,
      ...featureMigrations,
      ...openLineageMigrations,
      ...trainingMigrations,
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
      'openlineage_outbox 1',
      'training_logs 1',
    ]);
  });
});
