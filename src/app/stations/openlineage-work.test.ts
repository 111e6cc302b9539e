import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureMigrations } from '../../features/migrations.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { lineageMigrations } from '../../ledger/lineage-graph/migrations.ts';
import { openLineageMigrations } from '../../ledger/openlineage/outbox.ts';
import { modelMigrations } from '../../models/lanes.ts';
import { trackingMigrations } from '../../models/tracking/migrations.ts';
import { trainingMigrations } from '../../models/training/migrations.ts';
import { definitionMigrations } from '../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { workflowMigrations } from '../../workflow/engine/migrations.ts';
import { workToTell } from './openlineage-work.ts';

const ROWS = `
  insert into openlineage_sinks (sink, since) values ('s', now() - interval '100 days');
  insert into experiments (id, name, created_at, updated_at, created_by) values (77, 'e', now(), now(), 'u');
  insert into training_runs (id, experiment_id, name, user_id, status, ended_ms, created_by, inputs)
    select s, 77, s, 'u', s, case when s <> 'RUNNING' then extract(epoch from now()) * 1000 end, 'u',
      '[{"dataset":{"name":"d","source_type":"aios","source":"d@3"}},{"dataset":{"name":"x","source_type":"local","source":"x"}}]' from unnest(array['RUNNING', 'FAILED', 'KILLED']) s;
  insert into workflow_runs (id, workflow, version, epoch, status, origin, started_at, updated_at, entries)
    select s, 'w', 1, 1, s, '{}', now(), now(), '[]' from unnest(array['running', 'canceled']) s;
  insert into trainings (key, run_id, step_key, trainer, training_run, host, started_at, ended_at)
    select key, run, 's', 't', training_run, 'h', now() - interval '1 hour', ended_at from (values
      ('under way', 'running', 'RUNNING', null), ('failed', 'running', 'FAILED', null), ('left to be taken up', 'running', 'KILLED', null),
      ('of a canceled run', 'canceled', 'RUNNING', null), ('done', 'running', 'RUNNING', now()),
      ('done long ago', 'running', 'RUNNING', now() - interval '31 days')) v(key, run, training_run, ended_at);
  insert into feature_joins (id, service, entities, out_file, status, requested_by, requested_at, ended_at)
    values ('ended', 's', 'e', 'o', 'done', 'x', now(), now()),
      ('ended long ago', 's', 'e', 'o', 'done', 'x', now(), now() - interval '31 days'), ('running', 's', 'e', 'o', 'running', 'x', now(), null);`;

describe('work that OpenLineage sinks are told of', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase([
      ...definitionMigrations,
      ...featureMigrations,
      ...modelMigrations,
      ...trackingMigrations,
      ...trainingMigrations,
      ...workflowMigrations,
      ...lineageMigrations,
      ...openLineageMigrations,
    ]);
    for (const statement of ROWS.split(';').filter((text) => text.trim() !== ''))
      await database.db.query(statement);
  });
  afterAll(() => database.close());

  it('is what is under way, and what ended no longer ago than is remembered', async () => {
    const work = await workToTell(database.db, limitsFrom());
    const states = (type: string) =>
      Object.fromEntries(work.filter((one) => one.type === type).map(({ id, state }) => [id, state]));
    expect(states('JOIN')).toEqual({ running: 'RUNNING', ended: 'COMPLETE' });
    expect(states('TRAINING')).toEqual({
      'under way': 'RUNNING',
      failed: 'FAIL',
      'of a canceled run': 'ABORT',
      done: 'COMPLETE',
    });
    // Of each, also of one that has made no version.
    const inputs = work.filter(({ type }) => type === 'TRAINING').map((one) => one.inputs);
    expect(inputs).toEqual(Array(4).fill([{ node: 'dataset:d@3' }]));
  });
});
