import { closestName } from './closest-name.ts';
import { AiosError } from './errors.ts';
import { type LimitRow, limit } from './limit-row.ts';
import { DOOR_LIMITS } from './limit-rows-doors.ts';
import { EVENT_LIMITS } from './limit-rows-events.ts';
import { FEATURE_LIMITS } from './limit-rows-features.ts';
import { RECORD_LIMITS } from './limit-rows-records.ts';
import { TRAINING_LIMITS } from './limit-rows-training.ts';
import { LINEAGE_LIMITS } from './limits-lineage.ts';

/**
 * Every limit of AIOS, in one place, the unit last in the name. `AIOS_LIMITS="eventBytesMax=2097152,…"` changes one
 * for a process. A test holds docs/limits.md to this table.
 */
export const LIMITS = {
  ...LINEAGE_LIMITS,
  requestBytesMax: limit(
    16 * 1024 * 1024,
    'size of one HTTP body; a batch of events or a model file must fit',
  ),
  changesPollMs: limit(
    5_000,
    'how often a process checks for changes that database notifications normally announce, in case one was missed',
  ),
  pageBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of the events on one page of dead letters, quarantined events or webhook deliveries; at least one event',
  ),
  jsonDepthMax: limit(
    200,
    'nesting depth of arrays and objects in the JSON of a request or event, and in a definition; schemas, expressions and mappings walk it recursively',
  ),
  definitionAliasesMax: limit(
    100,
    'how often a YAML anchor may be used in a definition, itself and its aliases, multiplied by those inside it: otherwise a file of a few lines could expand to gigabytes',
  ),
  streamsMax: limit(200, 'server-sent event streams open in one process; each reads its own events'),
  streamHeartbeatMs: limit(
    15_000,
    'how often a stream sends a heartbeat, below the 30 s timeout of common proxies, and checks that its reader still has permission',
  ),
  ...DOOR_LIMITS,
  ...RECORD_LIMITS,
  ...EVENT_LIMITS,
  ...FEATURE_LIMITS,
  auditBatchMax: limit(4_096, 'audit entries that are sequenced at once'),
  auditPauseMs: limit(100, 'the minimum time between two checkpoints, so that batches grow'),
  auditPollMs: limit(1_000, 'how often the audit log looks for entries of other processes'),
  auditDrainMs: limit(
    5_000,
    'how long a process that ends, or that verifies, waits for the place of the last audit entries behind an older transaction',
  ),
  commitRowsMax: limit(
    2_000,
    'writes in one group commit: a larger flush takes longer without being cheaper',
  ),
  commitQueueMax: limit(100_000, 'writes waiting for a group commit before callers are refused'),
  commitRetryMs: limit(30_000, 'how long a commit is retried while the database is away'),
  accessCacheMs: limit(
    5_000,
    'how long a key or session is cached: a revocation by another process takes effect within this time',
  ),
  keyNamesMax: limit(200, 'keys whose names one request may ask for'),
  loginTokenMs: limit(5 * 60_000, 'how long a one-time login link is valid'),
  sessionMs: limit(12 * 3_600_000, 'how long a console session lasts without a request'),
  connectionsMax: limit(16, 'Postgres connections of one process'),
  statementMs: limit(
    60_000,
    'how long a database statement other than a group commit may take, such as a search',
  ),
  modelBytesMax: limit(
    256 * 1024 * 1024,
    'size of one model file: Postgres holds it as one value, in hexadecimal on the wire',
  ),
  replicaStartMs: limit(30_000, 'how long a replica may take to load its model'),
  inferenceWaitMs: limit(
    30_000,
    'how long an inference may take, queue included, when its caller sets no deadline',
  ),
  quantizationWeightBytesMin: limit(
    128 * 1024,
    'smallest FP32 weights that are worth quantizing: a matrix of 128 × 128 gains nothing at 64 rows, one of 192 × 192 gains from 16 rows on',
  ),
  quantizationAgreementMin: limit(
    0.98,
    'share of rows on which a quantized model must agree with its parent to be kept',
  ),
  quantizationRowsMax: limit(10_000, 'rows on which a quantized model is compared with its parent'),
  quantizationMeasureMs: limit(
    120_000,
    'how long a quantized model and its parent may run for the comparison before both are stopped',
  ),
  ensembleCallsMax: limit(
    256,
    'concurrent requests of one version of an ensemble; more wait, up to its queueMax',
  ),
  ensembleDepthMax: limit(
    8,
    'how deep ensembles may call each other for one answer: more is taken for a cycle',
  ),
  ensembleStepsMax: limit(
    10_000,
    'steps of the flow of an ensemble for one inference: more is taken for an endless loop',
  ),
  ensembleWaitMs: limit(1_000, 'the longest `wait` in the flow of an ensemble: a longer one needs a run'),
  inferenceRowsMax: limit(
    100_000,
    'rows of one inference; more rows than a batch holds run in parts, interleaved with other requests',
  ),
  responseCacheCountMax: limit(
    10_000,
    'cached answers of one version of a model, unless its definition sets a number',
  ),
  responseCacheBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of those answers and their inputs, unless its definition sets a number',
  ),
  requestLogBytesMax: limit(
    16 * 1024,
    'bytes of JSON text kept of the input of a sampled request, and as many of its answer',
  ),
  requestLogPauseMs: limit(
    250,
    'how long sampled requests are collected before they are written in one commit',
  ),
  spanBatchCountMax: limit(
    128,
    'OpenTelemetry spans sent in one request: serializing them blocks the process',
  ),
  faultLogPauseMs: limit(
    10_000,
    'how often, at most, the process log reports a new reason of something that keeps failing',
  ),
  troubleSilenceMs: limit(
    120_000,
    'how long something that kept failing must not fail before the process log reports that it is over',
  ),
  requestLogQueueMax: limit(
    1_000,
    'sampled requests that may wait to be written; past it they are dropped and counted',
  ),
  requestLogRetentionMs: limit(30 * 86_400_000, 'how long a sampled request is kept; its audit entry stays'),
  rateLimitKeysMax: limit(10_000, 'keys whose calls of one model are counted, at about 100 bytes each'),
  modelMemoryBytesMax: limit(
    8 * 1024 * 1024 * 1024,
    'memory of all replicas of one process, at most 80 % of the memory available to the process; models that are not in use are unloaded to make room',
  ),
  replicaScaleMs: limit(
    500,
    'how often to check whether a model needs more or fewer replicas: two checks in a row add one',
  ),
  replicaIdleMs: limit(
    60_000,
    'how long a replica must be idle before it is stopped, if fewer replicas may run',
  ),
  remoteAnswerBytesMax: limit(
    64 * 1024 * 1024,
    'size of one answer of a remote model server, held in memory',
  ),
  modelIdleMs: limit(600_000, 'how long the replicas of an unused version are kept'),
  rolloutPollMs: limit(
    250,
    'how often a process looks for rollouts changed by another one: a rollback takes effect everywhere within this time',
  ),
  rolloutCountMs: limit(1_000, 'how often a process records the counts of its rollouts and evaluates them'),
  rolloutCopiesMax: limit(
    64,
    'concurrent request copies that one process sends to the other version of a rollout; more are left out and counted',
  ),
  taskBytesMax: limit(256 * 1024, 'size of the data that one task shows, as JSON text'),
  qualityAnswersMax: limit(
    100_000,
    'newest answers of a queue that one quality report reads, at about 300 bytes each',
  ),
  qualityCategoriesMax: limit(
    50,
    'answers that a table of a quality report shows, the most frequent ones; agreement is computed from all',
  ),
  taskMinutesMax: limit(
    60,
    'minutes of one answer that count as work: a claimed task may stay open overnight',
  ),
  taskPollMs: limit(1_000, 'how often a process looks for tasks to escalate'),
  taskAttachmentBytesMax: limit(
    10 * 1024 * 1024,
    'size of one file attached to a task: Postgres holds it as one value, below requestBytesMax',
  ),
  taskAttachmentsCountMax: limit(20, 'files attached to one task'),
  taskCommentCharsMax: limit(10_000, 'characters of one comment on a task'),
  taskHistoryCountMax: limit(1_000, 'entries in the history of one task; comments past it are refused'),
  calendarDaysMax: limit(
    3_660,
    'days ahead that working time is looked for: ten years without enough hours mean a mistake in the calendar',
  ),
  runsActiveMax: limit(2_000, 'runs in the memory of one process; waiting runs are not held in memory'),
  runsBackgroundMax: limit(
    256,
    'runs in memory that were started by events and that no caller waits for; further events stay in the log until there is room',
  ),
  runsYieldingMax: limit(
    4,
    'how many of those runs may start while callers wait for their own runs; the others follow when none do',
  ),
  runsQueuedMax: limit(10_000, 'starts that may wait for a slot before callers are refused'),
  runLeaseMs: limit(
    15_000,
    'how long runs stay with a process that died before others take them over; renewed every third of it',
  ),
  payloadInlineBytesMax: limit(
    64 * 1024,
    'size of a value in the journal of a run; larger values are stored separately, once, by digest',
  ),
  payloadSweepMs: limit(600_000, 'how often values that no run refers to any more are deleted'),
  runPollMs: limit(500, 'how often a process looks for runs handed over by other processes'),
  runParkMs: limit(
    1_000,
    'waits up to this long keep the run in memory: unloading and reloading it costs about 2 ms',
  ),
  runRetentionMs: limit(
    90 * 86_400_000,
    'how long an ended run and its journal are kept unless its flow sets a retention; its audit entries and costs stay',
  ),
  retentionPassMs: limit(3_600_000, 'how often to look for runs that are past their retention'),
  retentionRowsMax: limit(5_000, 'runs that one transaction of that pass checks, about 100 ms'),
  bulkRunsMax: limit(10_000, 'runs of one bulk operation: about a minute of work'),
  runStepsMax: limit(
    250_000,
    'steps of one run over its whole life, including loop iterations and skipped steps: a run that goes on after a wait is replayed through all of them, and more is taken for an endless loop',
  ),
  runTurnMs: limit(
    10,
    'how long a run, or the flow of an ensemble, may go on without waiting before other work of its process gets a turn',
  ),
  runCancelMs: limit(5_000, 'how long a canceled run waits for its current step'),
  stopMaxMs: limit(
    25_000,
    'how long a stopping process waits for its parts: supervisors commonly kill after 30 s. Unfinished work continues at the next start',
  ),
  heapGrowthPercent: limit(
    100,
    'how much the heap of a process may grow between two major garbage collections, in percent of the memory in use; V8 accepts 10 to 300',
  ),
  runDrainMs: limit(10_000, 'how long a stopping process lets its runs continue'),
  eventInlineMs: limit(250, 'how long the transaction of an event consumer waits for the runs it starts'),
  scheduleIntervalMs: limit(1_000, 'the shortest `every` and `after` of a schedule'),
  scheduleGraceMs: limit(
    60_000,
    'how long after its due time a run still counts as on time; later, the policy for missed times applies',
  ),
  scheduleFiredMax: limit(
    100,
    'due times of one schedule that are started in one pass; the others follow in the next',
  ),
  scheduleQueuedMax: limit(1_000, 'due times of one schedule that may wait for earlier runs'),
  scheduleBackfillMax: limit(1_000, 'runs that one back-fill may start'),
  runAnswerMs: limit(
    60_000,
    'the longest that a start waits for its run, whatever the caller asks: proxies give up then',
  ),
  scriptMs: limit(5_000, 'how long one script of a flow may run'),
  scriptBytesMax: limit(64 * 1024 * 1024, 'memory of one script of a flow'),
  scriptOutputBytesMax: limit(1024 * 1024, 'characters that one script of a flow may write'),
  processMs: limit(
    300_000,
    'how long a shell command or container of a flow may run, if the operator has enabled them',
  ),
  processOutputBytesMax: limit(1024 * 1024, 'bytes that such a process may write'),
  expressionMs: limit(2_000, 'how long one jq expression may compute: it blocks its process; most take 1 ms'),
  connectorResponseBytesMax: limit(
    4 * 1024 * 1024,
    'size of one answer of an outside system, held in memory',
  ),
  resourceBytesMax: limit(
    4 * 1024 * 1024,
    'size of one external document that a flow refers to, read when the flow is applied',
  ),
  httpCallMs: limit(30_000, 'how long an HTTP call without a connector may take'),
  subscriptionMs: limit(
    600_000,
    'how long a call subscribes to messages when it sets a number of messages but no duration',
  ),
  a2aCallMs: limit(300_000, 'how long a call of an agent may take, its stream included'),
  chatAnswerMs: limit(
    600_000,
    'how long one call of a language model may take, its retries and its stream included: long answers take minutes',
  ),
  chatAnswerBytesMax: limit(16 * 1024 * 1024, 'size of one answer of a language model, streamed or not'),
  chatEventBytesMax: limit(
    1024 * 1024,
    'size of one event of its stream: a chunk with log probabilities takes a few KiB',
  ),
  chatConnectionsMax: limit(256, 'connections to one server of language models: a stream holds one'),
  chatOutputTokensMax: limit(
    4_096,
    'tokens that a budget reserves for an answer when neither the call nor the definition limits it',
  ),
  chatSharedStreamMs: limit(
    10_000,
    'how long a streamed call waits for an identical one, whose caller may read slowly, before it asks the server itself',
  ),
  chatCacheMs: limit(
    600_000,
    'how long an answer at temperature 0 is cached, unless the definition says otherwise',
  ),
  chatCacheBytesMax: limit(64 * 1024 * 1024, 'bytes of cached language model answers in one process'),
  budgetReadMs: limit(
    1_000,
    'how often a process rereads the budgets: a change by another process takes effect within this time',
  ),
  contractQualityLatenessMs: limit(
    60_000,
    'how long after its end a window of a contract’s quality rule waits for late events before it is evaluated',
  ),
  contractQualityWindowMinMs: limit(
    1_000,
    'the shortest window of a contract’s quality rule, or of its promised frequency',
  ),
  contractQualityWindowMaxMs: limit(366 * 86_400_000, 'the longest such window (366 days)'),
  contractQualityWindowsMax: limit(
    1_000,
    'newest windows of one quality rule that are kept, and that are evaluated at most after a pause',
  ),
  schemaReferencesMax: limit(100, 'schemas that one registered schema may refer to'),
  contractQualityPauseMs: limit(5_000, 'how often to look for windows that have ended'),
  contractQuarantineRetentionMs: limit(
    7_776_000_000,
    'how long an event stays in quarantine: after it was released or discarded, or, while it is open, after it arrived (90 days)',
  ),
  contractQuarantinePruneMax: limit(1_000, 'expired events that one transaction removes from quarantine'),
  contractQuarantinePassMs: limit(
    3_600_000,
    'how often to look for events that have been in quarantine for too long',
  ),
  ...TRAINING_LIMITS,
  httpConnectionsMax: limit(64, 'connections of such calls to one host'),
  connectorQueueMax: limit(1_000, 'calls that may wait for one connector beyond its concurrencyMax'),
} as const satisfies Record<string, LimitRow>;

type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [Name in LimitName]: number };

/**
 * The limits in force: the table's, with the overrides given as `name=value,name=value`.
 *
 * @throws AiosError `start.setting` for a name that is no limit or a value that is no positive number
 * @example limitsFrom('eventBytesMax=2097152').eventBytesMax // 2097152
 */
export function limitsFrom(overrides = ''): Limits {
  const limits = Object.fromEntries(Object.entries(LIMITS).map(([name, { value }]) => [name, value]));
  for (const pair of overrides.split(',').filter(Boolean)) {
    const [name = '', text = ''] = pair.split('=').map((part) => part.trim());
    const value = Number(text);
    if (!Object.hasOwn(LIMITS, name)) {
      const meant = closestName(name, Object.keys(LIMITS));
      const advice = meant === undefined ? 'docs/limits.md lists them' : `did you mean ${meant}?`;
      throw new AiosError('start.setting', { detail: `AIOS_LIMITS: “${name}” is not a limit; ${advice}` });
    }
    if (!(value > 0)) {
      const detail = `AIOS_LIMITS: ${name} takes a positive number, as in ${name}=${LIMITS[name as LimitName].value}; “${text}” is not.`;
      throw new AiosError('start.setting', { detail });
    }
    limits[name] = value;
  }
  return limits as Limits;
}
