import { limit } from './limit-row.ts';

/** Limits of the log of events, and of who reads it or fills it: consumers, webhooks, bridges. */
export const EVENT_LIMITS = {
  eventBytesMax: limit(1024 * 1024, 'one CloudEvent; larger data goes by reference'),
  eventFutureMs: limit(
    366 * 86_400_000,
    'how far after its arrival the `time` of an event may lie; one further off is refused, as by `message.timestamp.after.max.ms` of Kafka',
  ),
  eventBatchCountMax: limit(10_000, 'events in one HTTP batch'),
  eventIntakeBytesMax: limit(
    64 * 1024 * 1024,
    'bytes of events that are read or wait for their commit in one process; producers are asked to come again past it',
  ),
  eventTailCountMax: limit(20_000, 'newest events kept in memory for the consumers beside the producer'),
  eventTailBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of JSON of those events; read, they take about three times as much',
  ),
  eventReadBytesMax: limit(
    2 * 1024 * 1024,
    'bytes of events that are read of one partition at once, one event at the least: a batch of 500 of a megabyte each would be all the memory of a process',
  ),
  consumerBatchMax: limit(500, 'events that a consumer handles in one transaction'),
  consumerPauseMs: limit(
    50,
    'the least time between two batches of a consumer that nobody waits for: batches grow in it',
  ),
  consumerPollMs: limit(250, 'how often a consumer looks for events of other processes'),
  consumerLeaseMs: limit(
    10_000,
    'how long a process that stands still keeps its partitions of a consumer group; renewed every third of it. Those of a process that was killed are free at once',
  ),
  eventRetentionMs: limit(
    365 * 86_400_000,
    'how long events are kept that every consumer group has passed; the log is dropped by sixteenths of it',
  ),
  eventLogBytesMax: limit(
    64 * 1024 * 1024 * 1024,
    'bytes of the log with its indexes: past it the oldest events that every group has passed are dropped before their time',
  ),
  eventDedupeMs: limit(
    30 * 86_400_000,
    'how long an event that comes again is known by its source and id, at least; twice as long at most. It outlives the event itself',
  ),
  eventKeysRecentMax: limit(
    500_000,
    'events of the last while that each process knows by memory, at 56 bytes each; what those before were known by is looked up in the database',
  ),
  eventKeysBytesMax: limit(
    32 * 1024 * 1024 * 1024,
    'bytes of what events are known by, at about 150 an event: past it the older half is forgotten before its time',
  ),
  eventRetentionPassMs: limit(60_000, 'how often the retention of the log is looked at'),
  eventDropWaitMs: limit(
    500,
    'how long dropping a part of the log waits for readers of the log, who wait behind it meanwhile; then it is tried at the next look',
  ),
  webhookAnswerMs: limit(15_000, 'how long a receiver of a webhook may take to answer'),
  webhookBatchMax: limit(64, 'events that one webhook is sent between two commits of its place in the log'),
  webhookPollMs: limit(
    1_000,
    'how often a process looks for webhooks that changed and deliveries that are due',
  ),
  bridgeBatchMax: limit(
    2_000,
    'events that a bridge hands over at once, and that may come again when that fails',
  ),
  bridgeBatchBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of the events that a bridge hands over at once, as far as those of the batch before tell',
  ),
  bridgeReadBytesMax: limit(
    2 * 1024 * 1024,
    'bytes of messages that a source of a bridge holds before they are in the log, and one message more: a batch of 500 of a megabyte each would be all the memory of a process',
  ),
  bridgeDeadLettersMax: limit(
    10_000,
    'dead letters of a bridge that nobody has dealt with: with so many it stops; its definition may say fewer',
  ),
  bridgeAnswerMs: limit(
    30_000,
    'how long a broker may leave a batch of a bridge unanswered before that is told; it is waited for all the same',
  ),
  bridgeStopMs: limit(
    2_000,
    'how long a bridge that ends waits for its batch; then its connection is cut, and the batch comes again',
  ),
  bridgePollMs: limit(
    1_000,
    'how often a process looks for bridges that changed, and renews what it holds of them',
  ),
  bridgeSchemasMax: limit(1_000, 'schemas of values that a bridge keeps at hand, by their ids'),
  bridgeSchemaLatestMs: limit(
    60_000,
    'how long a bridge goes by the newest schema of a subject before it asks again',
  ),
  webhookDisableMs: limit(
    5 * 86_400_000,
    'how long every delivery of a webhook has failed before it is disabled',
  ),
  webhookSecretMs: limit(86_400_000, 'how long messages are signed with the secret before a rotation, too'),
  replayPollMs: limit(1_000, 'how often a process looks for replays that another one began'),
  eventScanMax: limit(
    100_000,
    'events that one question with a filter in CEL reads of the log, at about 10 µs each; its answer says when it was not all',
  ),
  consumerAttemptsMax: limit(5, 'tries of an event by a consumer before it becomes a dead letter'),
};
