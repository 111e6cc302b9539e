import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { Flows } from './flows.ts';
import type { Held, Patch } from './held.ts';
import { isoTime, lifecycleEvent, outputOf, PHASE, statusEvent, type Told } from './lifecycle-events.ts';
import { stillSteps } from './lifecycle-steps.ts';
import type { RunRequest } from './operation-store.ts';
import type { Unwritten } from './recorder.ts';
import type { RunStore } from './run-store.ts';
import type { Entry, RunStatus } from './stored-run.ts';

/** The phases of the specification (dsl.md, "Status Phases"). */
const PHASES: { readonly [status in RunStatus]: string } = {
  pending: 'pending',
  running: 'running',
  waiting: 'waiting',
  paused: 'suspended',
  completed: 'completed',
  failed: 'faulted',
  canceled: 'cancelled',
};

/** What a barrier tells of its run: that the run began, with the first; what it listens for; how it ended, with the last. `first` stands before what the steps emitted. */
export function lifecycleOf(
  held: Held,
  patch: Patch,
  { entries, subscriptions, unsubscribed, correlations }: Unwritten,
  nowMs: number,
  outputBytesMax: number,
): { first: CloudEvent[]; then: CloudEvent[] } {
  const { flow, run, recorder } = held.execution;
  const told = { runId: run.id, attempt: run.attempt, flow };
  const now = isoTime(nowMs);
  const first: CloudEvent[] = [];
  const then: CloudEvent[] = [];
  // A fork begins with what another run had recorded. Told again by whoever takes it over, it is the same event.
  if (!held.startTold && (!recorder.isReplay || run.origin.fork)) {
    const { name, namespace, semver: version } = flow;
    const startedAt = isoTime(run.startedAtMs);
    const data = { definition: { name, namespace, version }, startedAt };
    first.push(lifecycleEvent(told, 'started', '', run.startedAtMs, data));
  }
  for (const key of new Set(subscriptions.map((subscription) => subscription.key)))
    then.push(lifecycleEvent(told, 'correlation-started', key, nowMs, { startedAt: now }));
  // A subscription that ends without a result was given up: its run was canceled or took another way.
  const listened = new Set(entries.map(({ k }) => k));
  for (const key of unsubscribed.filter((each) => listened.has(each))) {
    const correlationKeys = correlations?.get(key);
    const data = { completedAt: now, ...(correlationKeys ? { correlationKeys } : {}) };
    then.push(lifecycleEvent(told, 'correlation-completed', key, nowMs, data));
  }
  then.push(...endOf(told, patch, nowMs, outputBytesMax));
  if (flow.lifecycle?.statusChanged) {
    const { begins, ends } = phasesOf(held, told, patch, entries, nowMs);
    // With the start of the run, or else before its end: a run that was taken up again has told of its steps already.
    if (first.length > 0) first.push(...begins);
    else then.unshift(...begins);
    then.push(...ends);
  }
  return { first, then };
}

/** How the run ended, with its last barrier. */
function endOf(told: Told, { status, result }: Patch, nowMs: number, outputBytesMax: number): CloudEvent[] {
  if (!result) return [];
  const now = isoTime(nowMs);
  const { error, output } = result;
  if (status === 'canceled') return [lifecycleEvent(told, 'cancelled', '', nowMs, { cancelledAt: now })];
  if (error) {
    const data = { faultedAt: now, error: error as unknown as JsonObject };
    return [lifecycleEvent(told, 'faulted', '', nowMs, data)];
  }
  const data = { completedAt: now, ...outputOf(output, outputBytesMax) };
  return [lifecycleEvent(told, 'completed', '', nowMs, data)];
}

/**
 * The phases that a barrier brings the run into, told beside the other events where the flow asks for it; the journal keeps the last one, so that whoever takes the run up knows it. A
 * run that was waiting has been running when it waits again, but not when it is only stopped.
 */
function phasesOf(
  held: Held,
  told: Told,
  { status }: Patch,
  entries: Entry[],
  nowMs: number,
): { begins: CloudEvent[]; ends: CloudEvent[] } {
  const before = held.phaseTold ?? held.execution.recorder.find(PHASE)?.c;
  const event = (phase: string) => statusEvent(told, phase, String(held.seq), nowMs);
  const isStopped = before !== undefined && (status === 'paused' || status === 'canceled');
  const begins = before === 'running' || isStopped ? [] : [event('running')];
  const phase = PHASES[status];
  const ends = phase === 'running' ? [] : [event(phase)];
  if (begins.length + ends.length > 0) {
    held.phaseTold = phase;
    entries.push({ k: PHASE, c: phase });
  }
  return { begins, ends };
}

/** What the engine needs to tell what operators do. */
export interface LifecycleDeps {
  readonly store: RunStore;
  readonly flows: Flows;
  readonly emit: ((event: CloudEvent) => Write) | undefined;
}

/**
 * The write that tells a pause or its end, or that an ended run goes on again, for the commit of the request: it is then that the run is stopped for
 * whoever asks, though a step under way may still end. None for flows that do not tell.
 */
export async function tellRequest(
  { store, flows, emit }: LifecycleDeps,
  change: 'suspended' | 'resumed',
  { runId, requestId, atMs }: Omit<RunRequest, 'what'>,
): Promise<Write[]> {
  const run = emit && (await store.find(runId));
  if (!emit || !run) return [];
  const { flow } = await flows.version(run.workflow, run.version);
  if (!flow.lifecycle) return [];
  const told = { runId, attempt: run.attempt, flow };
  const data = { [`${change}At`]: isoTime(atMs) };
  const events = [lifecycleEvent(told, change, requestId, atMs, data)];
  const { steps, statusChanged } = flow.lifecycle;
  // A run in no memory is stopped by the request itself; of one that is performed its worker tells, with the barrier that puts it away.
  const isStill = run.status === (change === 'suspended' ? 'waiting' : 'paused');
  if (steps && isStill) {
    const entries = await store.operations.journal(runId);
    events.push(...stillSteps(told, change, entries, requestId, atMs));
  }
  if (statusChanged && isStill && change === 'suspended')
    events.push(statusEvent(told, change, requestId, atMs));
  return events.map(emit);
}
