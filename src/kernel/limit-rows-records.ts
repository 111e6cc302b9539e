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
    'how long replays of events and historical joins of files are listed after their end (90 days)',
  ),
  lineageRefusedRetentionMs: limit(
    2_592_000_000,
    'how long an OpenLineage event is kept that its sink will never take (30 days)',
  ),
  trainingLogRetentionMs: limit(DAYS_90, 'how long what a training wrote is kept (90 days)'),
  recordPassMs: limit(3_600_000, 'how often such records are looked for that have been kept for too long'),
  recordPruneMax: limit(1_000, 'records that one transaction deletes'),
};
