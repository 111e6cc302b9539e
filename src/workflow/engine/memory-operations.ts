import { AiosError } from '../../kernel/errors.ts';
import { type Lane, Refused, write } from '../../store/lane.ts';
import { memoryDeletes } from './memory-deletes.ts';
import { entriesOf, type Row, withBarrier } from './memory-rows.ts';
import type { MemoryTables } from './memory-tables.ts';
import {
  forkOrigin,
  type OpenRuns,
  type OperationStore,
  originAgain,
  type RunAttempt,
  type RunFork,
  type RunRequest,
  type RunRewind,
  refusedRequest,
  refusedRewind,
} from './operation-store.ts';
import { ENDED, type RunStatus } from './stored-run.ts';

/** What operators do to runs that are kept in memory. */
export function memoryOperations(tables: MemoryTables): OperationStore {
  const { runs } = tables;
  const requests: Lane<RunRequest, RunStatus> = {
    name: 'workflow.requests',
    gate: true,
    order: 12,
    write: async (_tx, items) => items.map((item) => ask(runs, item)),
  };
  const actions: Lane<() => void> = {
    name: 'workflow.operations',
    order: 25,
    write: async (_tx, items) => {
      for (const action of items) action();
      return undefined;
    },
  };
  return {
    ...memoryRewinds(tables),
    openRuns: async (workflow) => openRuns([...runs.values()].filter((row) => row.workflow === workflow)),
    ...memoryDeletes(tables),
    attributes: (runId, { set, unset }) =>
      write(actions, () => {
        const row = runs.get(runId);
        if (!row) return;
        const kept = (row.attributes ?? []).filter(
          ({ name }) => !unset.includes(name) && !set.some((each) => each.name === name),
        );
        runs.set(runId, { ...row, attributes: [...kept, ...set] });
      }),
    attributesOf: async (runIds) => new Map(runIds.map((id) => [id, [...(runs.get(id)?.attributes ?? [])]])),
    request: (request) => write(requests, request),
    cancelChild: (runId, atMs) =>
      write(actions, () => void ask(runs, { runId, what: 'cancel', requestId: '', atMs })),
    acknowledge: (runId) =>
      write(actions, () => {
        const row = runs.get(runId);
        if (row) runs.set(runId, { ...row, requested: null });
      }),
  };
}

function ask(runs: Map<string, Row>, { runId, what, requestId, atMs }: RunRequest): RunStatus | Refused {
  const row = runs.get(runId);
  if (row && requestId !== '' && row.request === requestId) return row.status;
  if (
    !row ||
    ENDED.has(row.status) ||
    (what === 'resume' && row.status !== 'paused') ||
    (what === 'pause' && row.requested === 'cancel')
  )
    return new Refused(refusedRequest(runId, what, row?.status));
  const { status: before } = row;
  const running = before === 'running';
  const status = running ? 'running' : what === 'pause' ? 'paused' : 'waiting';
  const requested = what === 'resume' || (what === 'pause' && !running) ? null : what;
  const wakeAtMs = running || what === 'pause' ? row.wakeAtMs : atMs;
  runs.set(runId, { ...row, request: requestId, status, requested, wakeAtMs });
  return status;
}

function memoryRewinds(
  tables: MemoryTables,
): Pick<OperationStore, 'rewind' | 'fork' | 'journal' | 'signalKeys' | 'attempts' | 'forksOf'> {
  const { runs, signals } = tables;
  const rewinds: Lane<RunRewind> = {
    name: 'workflow.rewinds',
    gate: true,
    order: 13,
    write: async (_tx, items) => items.map((item) => rewind(tables, item)) as Refused[],
  };
  const forks: Lane<RunFork> = {
    name: 'workflow.forks',
    gate: true,
    order: 14,
    write: async (_tx, items) => items.map((item) => fork(runs, item)) as Refused[],
  };
  return {
    rewind: (item) => write(rewinds, item),
    fork: (item) => write(forks, item),
    async journal(runId, attempt) {
      const row = runs.get(runId);
      if (attempt === undefined) return entriesOf(row);
      return [...(row?.earlier?.find(({ told }) => told.attempt === attempt)?.entries ?? [])];
    },
    signalKeys: async (runId) =>
      [...signals.values()].filter((signal) => signal.runId === runId).map(({ key }) => key),
    attempts: async (runId) => (runs.get(runId)?.earlier ?? []).map(({ told }) => structuredClone(told)),
    forksOf: async (runId, limit) =>
      [...runs.values()]
        .filter(({ origin }) => origin.fork?.runId === runId)
        .map(({ id }) => id)
        .sort()
        .reverse()
        .slice(0, limit),
  };
}

function rewind({ runs, signals, subscriptions }: MemoryTables, item: RunRewind): Refused | undefined {
  const { runId, epoch, requestId, atMs, entries, step, by } = item;
  const row = runs.get(runId);
  if (row?.request === requestId) return undefined;
  if (!row || row.epoch !== epoch || !ENDED.has(row.status))
    return new Refused(refusedRewind(item, row?.status));
  const { attempt, status, result, origin, updatedAtMs } = row;
  const next = { nextStep: step, nextBy: by, nextAtMs: atMs };
  const told: RunAttempt = { attempt, status, result, input: origin.input, endedAtMs: updatedAtMs, ...next };
  for (const [key, signal] of signals)
    if (signal.runId === runId && item.signals.includes(signal.key)) signals.delete(key);
  for (const [key, subscription] of subscriptions)
    if (subscription.runId === runId) subscriptions.delete(key);
  runs.set(runId, {
    ...row,
    earlier: [...(row.earlier ?? []), { told, entries: entriesOf(row) }],
    status: 'waiting',
    attempt: attempt + 1,
    epoch: epoch + 1,
    request: requestId,
    requested: null,
    wakeAtMs: atMs,
    waitingFor: null,
    updatedAtMs: atMs,
    result: null,
    outcome: null,
    origin: originAgain(origin, item),
    barriers: withBarrier(undefined, 0, structuredClone(entries)),
  });
  return undefined;
}

function fork(runs: Map<string, Row>, item: RunFork): Refused | undefined {
  const { id, from, entries, idempotencyKey, atMs } = item;
  if (runs.has(id)) return undefined;
  const { workflow, version, subject } = from;
  const taken = [...runs.values()].some(
    (row) => idempotencyKey !== null && row.workflow === workflow && row.idempotencyKey === idempotencyKey,
  );
  if (taken) return new Refused(new AiosError('workflow.exists', { detail: id }));
  runs.set(id, {
    id,
    workflow,
    version,
    subject,
    epoch: 1,
    attempt: 1,
    request: null,
    status: 'waiting',
    requested: null,
    worker: null,
    wakeAtMs: atMs,
    waitingFor: null,
    origin: forkOrigin(item, from.origin),
    idempotencyKey,
    startedAtMs: atMs,
    updatedAtMs: atMs,
    result: null,
    outcome: null,
    barriers: withBarrier(undefined, 0, structuredClone(entries)),
  });
  return undefined;
}

function openRuns(rows: readonly Row[]): OpenRuns[] {
  const open = rows.filter(({ status }) => !ENDED.has(status));
  const groups = Map.groupBy(open, ({ version, status, waitingFor }) => `${version} ${status} ${waitingFor}`);
  return [...groups.values()]
    .map((group): OpenRuns => {
      const { version, status, waitingFor } = group[0]!;
      const [oldest] = group.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      const { id: oldestRunId, startedAtMs: oldestStartedAtMs } = oldest!;
      return { version, status, waitingFor, runs: group.length, oldestStartedAtMs, oldestRunId };
    })
    .sort((a, b) => b.version - a.version || (a.status < b.status ? -1 : 1));
}
