import { limit } from './limit-row.ts';

const DAYS_90 = 7_776_000_000;

/** How long what tells of work that is over is kept. */
export const RECORD_LIMITS = {
  webhookDeliveryRetentionMs: limit(
    2_592_000_000,
    'how long a webhook delivery is listed after its last attempt (30 days); deliveries that are still retried stay',
  ),
  deadLetterRetentionMs: limit(
    DAYS_90,
    'how long a dead letter is listed after it was replayed or dismissed (90 days); open ones stay',
  ),
  passRetentionMs: limit(
    DAYS_90,
    'how long replays of events, historical joins of files, materializations, builds of datasets, trainings of deleted runs and bulk operations are listed after their end (90 days)',
  ),
  lineageRefusedRetentionMs: limit(
    2_592_000_000,
    'how long an OpenLineage event is kept that its sink refuses for good (30 days)',
  ),
  lineageToldMs: limit(
    2_592_000_000,
    'how long after its end background work may still be reported to OpenLineage sinks (30 days); what was reported is remembered for a day longer',
  ),
  budgetUsageRetentionMs: limit(
    DAYS_90,
    'how long after its start a budget period is kept (90 days): the longest period is a month, and only the current one counts',
  ),
  rolloutOutcomeRetentionMs: limit(
    DAYS_90,
    'how long after the end of an A/B test the outcome of each key is kept (90 days); the totals of its arms stay',
  ),
  trainingLogRetentionMs: limit(DAYS_90, 'how long the output of a training is kept (90 days)'),
  recordPassMs: limit(3_600_000, 'how often to look for such records that have expired'),
  recordPruneMax: limit(1_000, 'records that one transaction deletes'),
};
