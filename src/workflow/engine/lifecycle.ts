import type { CloudEvent } from '../../kernel/cloudevent.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/group-commit.ts';
import type { Flows } from './flows.ts';
import type { Held, Patch } from './held.ts';
import { isoTime, lifecycleEvent, outputOf } from './lifecycle-events.ts';
import { taskEventsOf } from './lifecycle-steps.ts';
import type { RunRequest } from './operation-store.ts';
import type { Unwritten } from './recorder.ts';
import type { RunStore } from './run-store.ts';

/** What a barrier tells: that the run began, with the first; what it listens for; how it ended, with the last. `first` stands before what the steps emitted. */
export function lifecycleOf(
  held: Held,
  patch: Patch,
  { entries, subscriptions, unsubscribed }: Unwritten,
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
  if (flow.lifecycle === 'all') then.push(...taskEventsOf(told, entries, outputBytesMax));
  for (const key of new Set(subscriptions.map((subscription) => subscription.key)))
    then.push(lifecycleEvent(told, 'correlation-started', key, nowMs, { startedAt: now }));
  // A subscription that ends without a result was given up: its run was canceled or took another way.
  const listened = new Set(entries.map(({ k }) => k));
  for (const key of unsubscribed.filter((each) => listened.has(each)))
    then.push(lifecycleEvent(told, 'correlation-completed', key, nowMs, { completedAt: now }));
  if (!patch.result) return { first, then };
  const { error, output } = patch.result;
  if (patch.status === 'canceled') {
    then.push(lifecycleEvent(told, 'cancelled', '', nowMs, { cancelledAt: now }));
  } else if (error) {
    const data = { faultedAt: now, error: error as unknown as JsonObject };
    then.push(lifecycleEvent(told, 'faulted', '', nowMs, data));
  } else {
    const data = { completedAt: now, ...outputOf(output, outputBytesMax) };
    then.push(lifecycleEvent(told, 'completed', '', nowMs, data));
  }
  return { first, then };
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
  if (flow.lifecycle === 'none') return [];
  const data = { [`${change}At`]: isoTime(atMs) };
  return [emit(lifecycleEvent({ runId, attempt: run.attempt, flow }, change, requestId, atMs, data))];
}
