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
  requestBytesMax: limit(16 * 1024 * 1024, 'one HTTP body; a batch of events or a model file must fit'),
  changesPollMs: limit(
    5_000,
    'how often a process looks for what the database tells it of by itself, or nobody else could have left it: the safety net under the messages',
  ),
  pageBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of the events on one page of dead letters, of the quarantine or of deliveries of a webhook, one event at the least',
  ),
  jsonDepthMax: limit(
    200,
    'arrays and objects inside one another in the JSON of a request or an event, and in a definition; a schema, an expression or a mapping goes through it by recursion',
  ),
  streamsMax: limit(200, 'server-sent event streams open in one process; each reads what it tells'),
  streamHeartbeatMs: limit(
    15_000,
    'how often a stream says that it lives, below the 30 s of common proxies, and checks that its reader still may read',
  ),
  ...DOOR_LIMITS,
  ...RECORD_LIMITS,
  ...EVENT_LIMITS,
  ...FEATURE_LIMITS,
  auditBatchMax: limit(4_096, 'audit entries that are put in order at once'),
  auditPauseMs: limit(100, 'the least time between two checkpoints: batches grow in it'),
  auditPollMs: limit(1_000, 'how often the log looks for entries of other processes'),
  commitRowsMax: limit(2_000, 'writes in one group commit: past this a flush is longer, not cheaper'),
  commitQueueMax: limit(100_000, 'writes waiting for a group commit before callers are refused'),
  commitRetryMs: limit(30_000, 'how long a commit is retried while the database is away'),
  accessCacheMs: limit(
    5_000,
    'how long a key or session is believed without looking again: revocation elsewhere is seen within it',
  ),
  keyNamesMax: limit(200, 'keys whose names are asked for at once'),
  loginTokenMs: limit(5 * 60_000, 'a one-time login link'),
  sessionMs: limit(12 * 3_600_000, 'a console session without a request'),
  connectionsMax: limit(16, 'Postgres connections of one process'),
  statementMs: limit(
    60_000,
    'how long a statement outside the flushes may take, a search over everything among them',
  ),
  modelBytesMax: limit(
    256 * 1024 * 1024,
    'one model file: Postgres holds it as one value, in hexadecimal on the wire',
  ),
  replicaStartMs: limit(30_000, 'how long a replica may take to load its model'),
  inferenceWaitMs: limit(
    30_000,
    'how long an inference waits, queue included, when its caller names no deadline',
  ),
  quantizationWeightBytesMin: limit(
    128 * 1024,
    'weights of FP32 that are worth quantizing: a matrix of 128 × 128 gains nothing at 64 rows, one of 192 × 192 from 16 rows on',
  ),
  quantizationAgreementMin: limit(
    0.98,
    'share of rows on which a quantized model must agree with its parent to be kept',
  ),
  quantizationRowsMax: limit(10_000, 'rows that a quantized model is compared with its parent on'),
  quantizationMeasureMs: limit(
    120_000,
    'how long a quantized model and its parent may run side by side before both are ended',
  ),
  ensembleCallsMax: limit(
    256,
    'requests that one version of an ensemble answers at a time; more wait, up to its queueMax',
  ),
  ensembleDepthMax: limit(8, 'ensembles that ask each other for one answer: deeper is a circle'),
  ensembleStepsMax: limit(10_000, 'steps of the flow of an ensemble for one inference: more is a loop'),
  ensembleWaitMs: limit(1_000, 'the longest `wait` in the flow of an ensemble: a longer one needs a run'),
  inferenceRowsMax: limit(
    100_000,
    'rows of one inference; more than a batch holds run in parts between the requests of others',
  ),
  responseCacheCountMax: limit(
    10_000,
    'answers kept of one version of a model, where its definition names no number',
  ),
  responseCacheBytesMax: limit(
    16 * 1024 * 1024,
    'bytes of those answers and their inputs, where its definition names no number',
  ),
  requestLogBytesMax: limit(
    16 * 1024,
    'what a sampled request keeps of its input, and as much of its answer, as JSON text',
  ),
  requestLogPauseMs: limit(250, 'sampled requests of this time are written in one commit'),
  spanBatchCountMax: limit(
    128,
    'OpenTelemetry spans that leave in one request: everything else waits while they are written',
  ),
  faultLogPauseMs: limit(
    10_000,
    'in the log of the process, what fails again and again tells another reason at most once in this time',
  ),
  troubleSilenceMs: limit(
    120_000,
    'in that log, what failed again and again is over when it did not fail for this time',
  ),
  requestLogQueueMax: limit(
    1_000,
    'sampled requests that wait to be written; past it they are dropped and counted',
  ),
  requestLogRetentionMs: limit(30 * 86_400_000, 'how long a sampled request is kept; its audit entry stays'),
  rateLimitKeysMax: limit(10_000, 'keys whose calls of one model are counted, at about 100 bytes each'),
  modelMemoryBytesMax: limit(
    8 * 1024 * 1024 * 1024,
    'memory that all replicas of one process hold, and never more than 80 % of what the process may use; models that nobody uses make room',
  ),
  replicaScaleMs: limit(
    500,
    'how often it is looked at whether a model needs more replicas or fewer: two looks in a row add one',
  ),
  replicaIdleMs: limit(
    60_000,
    'how long a replica has had nothing to do before it is ended, where fewer may run',
  ),
  remoteAnswerBytesMax: limit(
    64 * 1024 * 1024,
    'one answer of another server that runs a model, held in memory',
  ),
  modelIdleMs: limit(600_000, 'how long the replicas of a version that nobody uses are kept'),
  rolloutPollMs: limit(
    250,
    'how often a process looks for rollouts that another one changed: a rollback counts everywhere within it',
  ),
  rolloutCountMs: limit(1_000, 'how often a process writes what it counted under rollouts, and judges it'),
  rolloutCopiesMax: limit(
    64,
    'copies of requests to the other version of a rollout under way at once in one process; more are left out and counted',
  ),
  taskBytesMax: limit(256 * 1024, 'what one task shows a person, as JSON text'),
  qualityAnswersMax: limit(
    100_000,
    'newest answers of a queue that one look at its quality reads, at about 300 bytes each',
  ),
  taskMinutesMax: limit(
    60,
    'minutes of one answer that are counted as work: a claim may lie open over a night',
  ),
  taskPollMs: limit(1_000, 'how often a process looks for tasks to escalate'),
  taskAttachmentBytesMax: limit(
    10 * 1024 * 1024,
    'one file attached to a task: Postgres holds it as one value, below requestBytesMax',
  ),
  taskAttachmentsCountMax: limit(20, 'files attached to one task'),
  taskCommentCharsMax: limit(10_000, 'characters of one comment on a task'),
  taskHistoryCountMax: limit(1_000, 'entries in the history of one task; comments past it are refused'),
  calendarDaysMax: limit(
    3_660,
    'days that a count of working time passes through: ten years without enough hours is a fault of the calendar',
  ),
  runsActiveMax: limit(2_000, 'runs in the memory of one process; waiting ones are in none'),
  runsBackgroundMax: limit(
    256,
    'runs in memory that events have begun and nobody waits for; further events stay in the log meanwhile',
  ),
  runsYieldingMax: limit(
    4,
    'as many of those are begun while callers wait for runs of theirs: the others follow when it is quiet',
  ),
  runsQueuedMax: limit(10_000, 'starts that wait for a place before callers are refused'),
  runLeaseMs: limit(15_000, 'how long the runs of a dead process stay with it; renewed every third of it'),
  payloadInlineBytesMax: limit(
    64 * 1024,
    'a value in the journal of a run; larger ones lie apart, once, by their digest',
  ),
  payloadSweepMs: limit(600_000, 'how often values are deleted that no run refers to any more'),
  runPollMs: limit(500, 'how often a process looks for what other processes left it'),
  runParkMs: limit(1_000, 'waits up to this stay in memory: putting a run away and back costs about 2 ms'),
  runRetentionMs: limit(
    90 * 86_400_000,
    'how long an ended run and its journal are kept when its flow names no retention; its audit entries and costs stay',
  ),
  retentionPassMs: limit(
    3_600_000,
    'how often the runs are gone through for those that are over their retention',
  ),
  retentionRowsMax: limit(5_000, 'runs that one transaction of that pass looks at, about 100 ms'),
  bulkRunsMax: limit(10_000, 'runs of one bulk operation: about a minute of work'),
  runCancelMs: limit(5_000, 'how long a canceled run waits for the step under way'),
  stopMaxMs: limit(
    25_000,
    'how long a process that is told to stop waits for its parts: supervisors kill after 30 s by habit. What is left goes on with the next start',
  ),
  heapGrowthPercent: limit(
    100,
    'how much the heap of a process grows between two major collections, in percent of what is in use; V8 takes 10 to 300',
  ),
  runDrainMs: limit(10_000, 'how long a stopping process lets its runs go on'),
  eventInlineMs: limit(250, 'how long the transaction of an event consumer waits for the runs it starts'),
  scheduleIntervalMs: limit(1_000, 'the least `every` and `after` of a schedule'),
  scheduleGraceMs: limit(
    60_000,
    'how long after its due time a run is still started as on time; later, the policy for missed times applies',
  ),
  scheduleFiredMax: limit(
    100,
    'due times of one schedule that are fired at one look; the others follow at the next',
  ),
  scheduleQueuedMax: limit(1_000, 'due times of one schedule that wait for the runs before them'),
  scheduleBackfillMax: limit(1_000, 'runs that one back-fill starts'),
  runAnswerMs: limit(
    60_000,
    'how long a start waits for its run, whatever its caller asks: proxies give up then',
  ),
  scriptMs: limit(5_000, 'how long one script of a flow may run'),
  scriptBytesMax: limit(64 * 1024 * 1024, 'memory of one script of a flow'),
  scriptOutputBytesMax: limit(1024 * 1024, 'characters that one script of a flow may write'),
  processMs: limit(
    300_000,
    'how long a shell or container of a flow may run, where an operator turned them on',
  ),
  processOutputBytesMax: limit(1024 * 1024, 'bytes that such a process may write'),
  expressionMs: limit(
    2_000,
    'how long one jq expression may compute: nothing else is done meanwhile in its process; most take 1 ms',
  ),
  connectorResponseBytesMax: limit(4 * 1024 * 1024, 'one answer of an outside system, held in memory'),
  resourceBytesMax: limit(
    4 * 1024 * 1024,
    'one document that a flow names from elsewhere, read when the flow is applied',
  ),
  httpCallMs: limit(30_000, 'an HTTP call that a flow writes out itself, without a connector'),
  subscriptionMs: limit(
    600_000,
    'how long a call subscribes to messages that says itself how many, and not for how long',
  ),
  a2aCallMs: limit(300_000, 'a call of an agent, its stream included: agents think'),
  chatAnswerMs: limit(
    600_000,
    'how long one call of a language model may take, its retries and its stream included: long answers take minutes',
  ),
  chatAnswerBytesMax: limit(16 * 1024 * 1024, 'one answer of a language model, streamed or not'),
  chatEventBytesMax: limit(
    1024 * 1024,
    'one event of its stream: a chunk with log probabilities takes some KiB',
  ),
  chatConnectionsMax: limit(256, 'connections to one server of language models: a stream holds one'),
  chatOutputTokensMax: limit(
    4_096,
    'tokens that a budget sets aside for an answer when neither the call nor the definition bounds it',
  ),
  chatSharedStreamMs: limit(
    10_000,
    'how long a stream waits for an equal one, whose caller may read it slowly; then the server is asked once more',
  ),
  chatCacheMs: limit(
    600_000,
    'how long an answer at temperature 0 is given again when the definition says nothing of it',
  ),
  chatCacheBytesMax: limit(
    64 * 1024 * 1024,
    'answers of language models that one process keeps to give again',
  ),
  budgetReadMs: limit(
    1_000,
    'how often a process reads the budgets again: one set elsewhere counts within it',
  ),
  contractQualityLatenessMs: limit(
    60_000,
    'how long after its end a window of a contract’s quality rule waits for late events before it is judged',
  ),
  contractQualityWindowMinMs: limit(
    1_000,
    'the shortest window of a quality rule of a contract that is applied, or of the frequency that it promises',
  ),
  contractQualityWindowMaxMs: limit(366 * 86_400_000, 'the longest such window (366 days)'),
  contractQualityWindowsMax: limit(
    1_000,
    'windows of one quality rule that are kept, and at most judged after a pause: the newest',
  ),
  schemaReferencesMax: limit(100, 'schemas that one schema which is registered may refer to'),
  contractQualityPauseMs: limit(5_000, 'how often windows that have ended are looked for'),
  contractQuarantineRetentionMs: limit(
    7_776_000_000,
    'how long an event is listed in quarantine: after it was resolved, or, while nobody has resolved it, after it came (90 days)',
  ),
  contractQuarantinePruneMax: limit(1_000, 'events that one transaction takes out of quarantine'),
  contractQuarantinePassMs: limit(
    3_600_000,
    'how often events are looked for that have been in quarantine for too long',
  ),
  ...TRAINING_LIMITS,
  httpConnectionsMax: limit(64, 'connections of such calls to one host'),
  connectorQueueMax: limit(1_000, 'calls that wait for one connector beyond its concurrencyMax'),
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
      const detail = `AIOS_LIMITS: ${name} takes a positive number, as in ${name}=${LIMITS[name as LimitName].value}; “${text}” is none.`;
      throw new AiosError('start.setting', { detail });
    }
    limits[name] = value;
  }
  return limits as Limits;
}
