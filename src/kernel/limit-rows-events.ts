import { limit } from './limit-row.ts';

/** Limits of the log of events, and of who reads it or fills it: consumers, webhooks, bridges. */
export const EVENT_LIMITS = {
  eventBytesMax: limit(1024 * 1024, 'size of one CloudEvent; send larger data by reference'),
  eventFutureMs: limit(
    366 * 86_400_000,
    'how far after its arrival the `time` of an event may lie; later ones are refused, as with `message.timestamp.after.max.ms` in Kafka',
  ),
  eventBatchCountMax: limit(10_000, 'events in one HTTP batch'),
  eventIntakeBytesMax: limit(
    64 * 1024 * 1024,
    'bytes of incoming events that one process may hold until they are committed; past it producers get 429 with Retry-After',
  ),
  eventTailCountMax: limit(20_000, 'newest events kept in memory for consumers in the same process'),
  eventTailBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of those events as JSON; parsed, they take about three times as much memory',
  ),
  eventReadBytesMax: limit(
    2 * 1024 * 1024,
    'bytes of events read from one partition at once, or of the deliveries of one webhook that are tried again, always at least one event: a batch of 500 events of a megabyte each would fill the memory of a process',
  ),
  consumerBatchMax: limit(500, 'events that a consumer handles in one transaction'),
  consumerPauseMs: limit(
    50,
    'the minimum time between two batches of a consumer that nobody waits for, so that batches grow',
  ),
  consumerPollMs: limit(250, 'how often a consumer looks for events received by other processes'),
  consumerLeaseMs: limit(
    10_000,
    'how long a process that hangs keeps its partitions of a consumer group; renewed every third of it. The partitions of a killed process are free at once',
  ),
  eventRetentionMs: limit(
    365 * 86_400_000,
    'how long events are kept once every consumer group has read them; the log is dropped in steps of a sixteenth of this time',
  ),
  eventLogBytesMax: limit(
    64 * 1024 * 1024 * 1024,
    'bytes of the log with its indexes; past it the oldest events that every group has read are dropped early',
  ),
  eventDedupeMs: limit(
    30 * 86_400_000,
    'how long a repeated event is recognised by its source and id: at least this long, at most twice as long, also after the event itself was dropped',
  ),
  eventKeysRecentMax: limit(
    500_000,
    'newest events whose keys each process has in memory, at 56 bytes each; past it the older half is put away in the database, and costs each process 2 bytes an event',
  ),
  eventKeysBytesMax: limit(
    8 * 1024 * 1024 * 1024,
    'bytes of the keys of older events, at about 30 an event: past it the older half is forgotten before its time',
  ),
  eventRetentionPassMs: limit(60_000, 'how often the retention of the log is checked'),
  eventDropWaitMs: limit(
    500,
    'how long dropping a part of the log waits for its readers, while new readers wait behind it; after that it is tried again at the next check',
  ),
  webhookAnswerMs: limit(15_000, 'how long the receiver of a webhook may take to answer'),
  webhookBatchMax: limit(64, 'events sent to one webhook between two commits of its position in the log'),
  webhookPollMs: limit(
    1_000,
    'how often a process looks for webhooks that changed and deliveries that are due',
  ),
  bridgeBatchMax: limit(2_000, 'events that a bridge sends as one batch, which may be repeated if it fails'),
  bridgeBatchBytesMax: limit(16 * 1024 * 1024, 'bytes of such a batch, estimated from the batch before'),
  bridgeReadBytesMax: limit(
    2 * 1024 * 1024,
    'bytes of messages that a bridge source holds before they are in the log, plus one message: a batch of 500 messages of a megabyte each would fill the memory of a process',
  ),
  bridgeDeadLettersMax: limit(
    10_000,
    'open dead letters at which a bridge stops; its definition may set fewer',
  ),
  bridgeAnswerMs: limit(
    30_000,
    'how long a broker may leave a batch of a bridge unanswered before this is reported; the bridge keeps waiting',
  ),
  bridgeStopMs: limit(
    2_000,
    'how long a stopping bridge waits for its batch; then its connection is closed and the batch is repeated later',
  ),
  bridgePollMs: limit(1_000, 'how often a process looks for changed bridges and renews its leases on them'),
  bridgeSchemasMax: limit(1_000, 'value schemas that a bridge caches by id'),
  bridgeSchemaLatestMs: limit(
    60_000,
    'how long a bridge uses the newest schema of a subject before it asks the registry again',
  ),
  webhookDisableMs: limit(
    5 * 86_400_000,
    'how long every delivery of a webhook may fail before the webhook is disabled',
  ),
  webhookSecretMs: limit(
    86_400_000,
    'how long after a rotation messages are still signed with the old secret as well',
  ),
  replayPollMs: limit(1_000, 'how often a process looks for replays that another one began'),
  eventScanMax: limit(
    100_000,
    'events that one search with a CEL filter reads from the log, at about 10 µs each; the answer says if it stopped there',
  ),
  consumerAttemptsMax: limit(5, 'attempts of a consumer to handle an event before it becomes a dead letter'),
};
