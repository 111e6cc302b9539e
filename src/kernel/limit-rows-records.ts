import { limit } from './limit-row.ts';

const DAYS_90 = 7_776_000_000;

/** How long what tells of work that is over is kept. */
export const RECORD_LIMITS = {
  webhookDeliveryRetentionMs: limit(
    2_592_000_000,
    'how long a delivery of a webhook is listed after it was last tried (30 days); one that is still tried stays',
  ),
  deadLetterRetentionMs: limit(
    DAYS_90,
    'how long a dead letter is listed after it was replayed or dismissed (90 days); an open one stays',
  ),
  passRetentionMs: limit(
    DAYS_90,
    'how long replays of events, historical joins of files, materializations, builds of datasets, trainings of deleted runs and bulk operations are listed after their end (90 days)',
  ),
  lineageRefusedRetentionMs: limit(
    2_592_000_000,
    'how long an OpenLineage event is kept that its sink will never take (30 days)',
  ),
  lineageToldMs: limit(
    2_592_000_000,
    'for how long after its end work beside its caller may be told to OpenLineage sinks (30 days), and a day more is known what was told',
  ),
  budgetUsageRetentionMs: limit(
    DAYS_90,
    'how long after its begin a period of a budget is kept (90 days): the longest is a month, and only that of now counts',
  ),
  rolloutOutcomeRetentionMs: limit(
    DAYS_90,
    'how long after the end of an A/B test the outcome of each key is kept (90 days); the sums of its arms stay',
  ),
  trainingLogRetentionMs: limit(DAYS_90, 'how long what a training wrote is kept (90 days)'),
  recordPassMs: limit(3_600_000, 'how often such records are looked for that have been kept for too long'),
  recordPruneMax: limit(1_000, 'records that one transaction deletes'),
};
