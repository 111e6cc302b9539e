import { trainingKeyRecords } from '../../access/migrations.ts';
import { deadLetterRecords } from '../../events/dead-letters.ts';
import { replayRecords } from '../../events/replay/replay-store.ts';
import { webhookDeliveryRecords } from '../../events/webhooks/webhook-store.ts';
import { datasetBuildRecords } from '../../features/datasets/dataset-lanes.ts';
import { materializationRecords } from '../../features/materializations.ts';
import { fileJoinRecords } from '../../features/offline/file-joins.ts';
import type { Limits } from '../../kernel/limits.ts';
import { budgetUsageRecords } from '../../ledger/budget-lanes.ts';
import { refusedRecords, toldRecords } from '../../ledger/openlineage/outbox.ts';
import { rolloutOutcomeRecords } from '../../models/rollout-lanes.ts';
import { trainingRecords } from '../../models/training/migrations.ts';
import { trainingLogRecords } from '../../models/training/training-log.ts';
import { RecordRetention, type RecordTable } from '../../store/record-retention.ts';
import { bulkRecords } from '../../workflow/engine/postgres-bulk.ts';
import type { Stations } from './stations.ts';

const DAY_MS = 86_400_000;

/** What of these tables is over, and for how long it is kept. */
export function recordTables(limits: Limits): RecordTable[] {
  return [
    { ...webhookDeliveryRecords, keptMs: limits.webhookDeliveryRetentionMs },
    { ...deadLetterRecords, keptMs: limits.deadLetterRetentionMs },
    { ...replayRecords, keptMs: limits.passRetentionMs },
    { ...fileJoinRecords, keptMs: limits.passRetentionMs },
    { ...materializationRecords, keptMs: limits.passRetentionMs },
    { ...datasetBuildRecords, keptMs: limits.passRetentionMs },
    { ...trainingRecords, keptMs: limits.passRetentionMs },
    { ...trainingKeyRecords, keptMs: limits.passRetentionMs },
    { ...bulkRecords, keptMs: limits.passRetentionMs },
    // Work is looked for by the clock of the database: a day is more than clocks differ by.
    { ...toldRecords, keptMs: limits.lineageToldMs + DAY_MS },
    { ...budgetUsageRecords, keptMs: limits.budgetUsageRetentionMs },
    { ...rolloutOutcomeRecords, keptMs: limits.rolloutOutcomeRetentionMs },
    { ...refusedRecords, keptMs: limits.lineageRefusedRetentionMs },
    { ...trainingLogRecords, keptMs: limits.trainingLogRetentionMs },
  ];
}

/** Deletes records of work that is over once they have been kept for long enough; what went is in the audit log. */
export function expireRecords({ db, clock, limits, changes, auditLog, troubles, closers }: Stations): void {
  const retention = new RecordRetention({
    ...{ db, clock, limits, changes },
    tables: recordTables(limits),
    record: ({ table, count, beforeMs, at }) =>
      auditLog.entry({
        kind: 'records',
        action: 'expired',
        actor: { kind: 'system', id: 'aios' },
        object: `records:${table}`,
        at,
        payload: { table, count, before: new Date(beforeMs).toISOString() },
      }),
    onError: troubles.of('Records that have been kept for too long could not be deleted'),
  });
  retention.begin();
  closers.push(() => retention.stop());
}
