import type { Quantization } from './quantization.ts';

/** What the API answers with, as far as these pages read it. Times are RFC 3339 texts, amounts millionths of a dollar. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

export interface Me {
  id: string;
  name: string;
  roles: string[];
  groups: string[];
  permissions: string[];
}

export interface Kpis {
  runs: { total: number; byStatus: Record<string, number> };
  decisions: {
    total: number;
    automatic: number;
    review: number;
    refused: number;
    byOutcome: Record<string, number>;
  };
  costPerDecisionMicroUsd: number;
  tasksOpen: number;
  events: { total: number; deadLetters: number };
  latencyMs: { p50: number; p95: number; p99: number };
  series: { runsPerMinute: { at: string; count: number }[] };
}

export const RUN_STATUSES = [
  'pending',
  'running',
  'waiting',
  'paused',
  'completed',
  'failed',
  'canceled',
] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export interface RunSummary {
  id: string;
  workflow: string;
  version: number;
  status: RunStatus;
  startedAt?: string;
  endedAt?: string;
  updatedAt: string;
  outcome?: string;
  subject?: string;
  waitingFor?: string;
  /** What its flow says that it is found by. */
  attributes?: JsonObject;
  costMicroUsd?: number;
}

export const BULK_ACTIONS = ['pause', 'resume', 'cancel', 'retry', 'delete'] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

/** One action on many runs. */
export interface Bulk {
  id: string;
  action: BulkAction;
  status: 'prepared' | 'running' | 'completed';
  count: number;
  done: number;
  skipped: Record<string, number>;
  /** What starts it, told once with the count. */
  token?: string;
}

/** A version of a flow with the runs that are still on it. */
export interface VersionInUse {
  version: number;
  current: boolean;
  runs: number;
  oldestStartedAt?: string;
  oldestRunId?: string;
  stands: { status: RunStatus; waitingFor?: string; runs: number }[];
}

export interface PayloadRef {
  digest: string;
  bytes: number;
}

/** A queue of runs as it stands; without a body nobody defined it. */
export interface RunQueue {
  name: string;
  paused: boolean;
  pending: number;
  admitted: number;
  oldestAt?: string;
  body?: {
    concurrency?: number;
    perKey?: number;
    perWorker?: number;
    rate?: { limit: number; period: Json };
    fairness?: string;
    hold?: string;
  };
}

/** A flow that starts by time. */
export interface Schedule {
  workflow: string;
  version: number;
  kind: 'every' | 'cron' | 'after';
  expression: string;
  timezone: string;
  overlap: 'skip' | 'queue' | 'parallel' | 'cancel';
  paused: boolean;
  nextAt?: string;
  lastAt?: string;
  lastRunId?: string;
  queued: number;
  skipped: number;
}

export interface Step {
  key: string;
  id: string;
  name: string;
  kind: 'pure' | 'costly' | 'effect' | 'wait' | 'flow';
  primitive?: string;
  status: 'waiting' | 'completed' | 'failed' | 'canceled';
  startedAt: string;
  endedAt?: string;
  durationMs?: number;
  attempts: number;
  input?: Json;
  output?: Json;
  /** Instead of them, when they are large. */
  inputRef?: PayloadRef;
  outputRef?: PayloadRef;
  error?: { title?: string; type?: string; detail?: string };
  choice?: string;
  /** An operator gave it its input. */
  edited?: boolean;
}

interface GraphNode {
  id: string;
  label: string;
  kind: string;
  primitive?: string;
  parent?: string;
}

export interface Pin {
  kind: string;
  name: string;
  version: string;
  digest?: string;
}

interface CostEntry {
  stepKey?: string;
  service: string;
  resource: string;
  quantity: number;
  unit: string;
  amountMicroUsd: number;
  at: string;
}

export interface AuditEntry {
  index: number;
  id: string;
  kind: string;
  action: string;
  actor: { kind: string; id: string };
  object: string;
  at: string;
  payloadDigest: string;
  leafHash: string;
  payload?: Json;
}

export interface Run extends RunSummary {
  /** Its place in a queue; `ahead` while it waits there. */
  queue?: { name: string; key: string; ahead?: number };
  digest: string;
  input: Json;
  output?: Json;
  /** Instead of them, when they are large. */
  inputRef?: PayloadRef;
  outputRef?: PayloadRef;
  error?: { title?: string; type?: string; detail?: string; instance?: string };
  event?: JsonObject;
  parent?: { runId: string };
  attempt: number;
  /** Before the present one: how each ended, and where the next one began. */
  attempts: { attempt: number; status: RunStatus; endedAt: string; nextStep: string; nextBy: string }[];
  forkedFrom?: { runId: string; step: string };
  forks: string[];
  steps: Step[];
  graph: { nodes: GraphNode[]; edges: { from: string; to: string; label?: string }[] };
  pins: Pin[];
  costs: CostEntry[];
  audit: AuditEntry[];
}

export interface FormSchema {
  type?: string;
  title?: string;
  description?: string;
  required?: string[];
  properties?: Record<string, FormSchema>;
  enum?: Json[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

export interface Task {
  id: string;
  queue: string;
  queueTitle: string;
  title: string;
  instructions?: string;
  status: 'open' | 'claimed' | 'completed' | 'returned' | 'expired' | 'canceled';
  priority: number;
  runId: string;
  context: JsonObject;
  contextDigest: string;
  form: FormSchema;
  suggestion?: Json;
  result?: JsonObject;
  createdAt: string;
  dueAt?: string;
  deadlineAt?: string;
  followUpAt?: string;
  candidateGroups?: string[];
  addedGroups: string[];
  addedRoles: string[];
  escalationLevel: number;
  continues?: string;
  mayReturn: boolean;
  owner?: string;
  ownerId?: string;
  claimedAt?: string;
  endedAt?: string;
  claimedBy?: string;
  claimedById?: string;
  decidedBy?: string;
  minutes?: number;
  review?: TaskReview;
}

/** What several people decide together, as one of them sees it. */
export interface TaskReview {
  id: string;
  form: 'single' | 'approvals' | 'double' | 'sample';
  status: 'waiting' | 'adjudicating' | 'decided' | 'returned' | 'expired' | 'canceled';
  role: 'reviewer' | 'adjudicator';
  round: number;
  blind: boolean;
  people: number;
  answered: number;
  needed?: number;
  amendable: boolean;
  requester?: string;
  votes?: { by: string; outcome: string; role: string; at: string }[];
  answers?: Json[];
  reason?: string;
}

export interface Agreement {
  count: number;
  agreement: number;
  kappa: number | null;
  interval: [low: number, high: number] | null;
}

export interface Comparison extends Agreement {
  rows: string;
  columns: string;
  table: { categories: string[]; counts: number[][]; omitted: number };
}

/** How far the answers of a queue can be relied on. */
export interface QueueQuality {
  queue: string;
  from: string;
  answers: number;
  complete: boolean;
  reviewers: { method: 'cohen' | 'fleiss'; overall: Agreement; pairs: Comparison[]; adjudicated: number };
  suggestion: { blind: Comparison; shown: Comparison };
  routes: { band: number; route: string; cases: number; sampled: number }[];
}

/** One thing that happened to a task. */
export interface Happening {
  id: string;
  taskId: string;
  kind: string;
  at: string;
  by?: string;
  byId?: string;
  detail: JsonObject;
}

export interface Attachment {
  id: string;
  name: string;
  mediaType: string;
  sizeBytes: number;
  at: string;
  by: string;
}

export interface Candidate {
  id: string;
  name: string;
  groups: string[];
}

interface Tensor {
  name: string;
  datatype: string;
  shape: number[];
}

interface ServingStatistics {
  requests: number;
  errors: number;
  refused: number;
  restarts: number;
  replicas: number;
  queued: number;
  meanBatch: number;
  /** Rows that batches grow to; 1: no batching. */
  bestBatch: number;
  residentBytes: number;
  queueP90Ms: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** Answers that a fallback gave. */
  degraded: number;
  rateLimited: number;
  cache: { hits: number; misses: number; shared: number } | null;
  circuit: {
    state: string;
    opened: number;
    openedAt: string | null;
    openedBy: string | null;
    closedAt: string | null;
  } | null;
}

export interface ModelVersion {
  version: number;
  runtime: string;
  endpoint?: { flow?: string; version?: number };
  digest: string;
  status: string;
  createdAt: string;
  createdBy: string;
  sizeBytes: number;
  signature: { inputs: Tensor[]; outputs: Tensor[]; features?: string[] };
  card: {
    markdown?: string;
    task?: string;
    license?: string;
    data?: string;
    metrics?: Record<string, number>;
    quantization?: Quantization;
  };
  serving: ServingStatistics | null;
  /** What it was trained on. */
  datasets: { name: string; version: number; digest: string }[];
}

export interface Model {
  name: string;
  aliases: Record<string, number>;
  versions: ModelVersion[];
  serving: ServingStatistics | null;
  /** Of one that is asked for by name: fallback chains whose steps could not answer. */
  warnings?: { path: string; message: string }[];
}
