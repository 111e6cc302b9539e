import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError, toAiosError } from '../../kernel/errors.ts';
import { sortedId } from '../../kernel/ids.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { matchesEvent } from '../language/event-filter.ts';
import { ANY_TYPE, stepIdOf } from '../language/flow.ts';
import { RUNNING } from './barriers.ts';
import { eventSignalKey } from './event-stream.ts';
import { type LoadedFlow, listenFilters, startsFlow } from './flows.ts';
import type { Held, InlineStart, Patch } from './held.ts';
import type { NewRun } from './queue-places.ts';
import type { QueuedRun } from './queue-store.ts';
import { eventInput, type RunChange, type Signal } from './stored-run.ts';
import type { Worker, WorkerDeps } from './worker.ts';

/** The consumer group that starts flows by events. */
export const START_GROUP = 'workflows';

/** The id of the run that an event starts: known before the run is. */
export function eventRunId(
  workflow: string,
  { event, timeMs }: Pick<LoggedEvent, 'event' | 'timeMs'>,
): string {
  const { replayid } = event; // the same event in another replay is another run
  return sortedId(
    'run',
    timeMs,
    workflow,
    event.source,
    event.id,
    ...(typeof replayid === 'string' ? [replayid] : []),
  );
}

/** A replay of events into one flow: its runs are marked by the extension attribute `replayid` of their event. */
interface ReplayInto {
  readonly workflow: string;
  readonly replayId: string;
}

/** How the runs of events are started. */
export interface StartOptions {
  /** The one flow to start, by a replay; without it, all that begin with an event. */
  readonly into?: ReplayInto | undefined;
  /** Takes what lets the runs go that were begun, where their transaction is not committed: they would stand in the way of others, and of their own next try. */
  readonly onRollback?: ((undo: () => void) => void) | undefined;
}

interface Starting extends StartOptions {
  readonly onBegun?: (held: Held) => void;
}

interface Begun {
  readonly held: Held;
  readonly inline: Inline;
}

/**
 * Starts the run of an event that this process has just committed to the log, for a caller who waits: it neither waits for the consumer nor shares
 * its transaction. The consumer comes to the event later and finds the run; two that began it both are told apart by the key of the row.
 */
export function startAhead(worker: Worker, loaded: LoadedFlow, id: string, event: LoggedEvent): void {
  if (!worker.held.has(id)) void worker.perform(create(worker, loaded, id, event));
}

/**
 * Starts the runs of a batch of events inside the consumer's transaction. Each run goes on in memory until its first barrier; then all rows are
 * inserted at once, most of them already completed: a run of pure steps costs one row, written once. Runs that are not there yet after
 * `eventInlineMs` are inserted as running and go on by themselves. Runs that were begun ahead must be durable before the group passes their event.
 *
 * Answers with what to do after that transaction has committed; what to do where it has not goes to `onRollback`.
 */
export async function startFromEvents(
  worker: Worker,
  logged: readonly LoggedEvent[],
  tx: Queryable,
  { into, onBegun, onRollback }: Starting = {},
): Promise<() => void> {
  const { store, flows, limits } = worker.deps;
  const events = into
    ? logged.map((one) => ({ ...one, event: { ...one.event, replayid: into.replayId } }))
    : logged;
  const starts = events.flatMap((event) =>
    flows
      .startingOn(event.event.type)
      .filter((loaded) => into === undefined || loaded.name === into.workflow)
      .filter((loaded) => startsFlow(loaded, event.event as unknown as JsonObject))
      .map((loaded) => ({ loaded, event, id: eventRunId(loaded.name, event) })),
  );
  if (starts.length === 0) return () => {};
  const known = await store.existing(
    tx,
    starts.flatMap(({ id }) => (worker.held.has(id) ? [] : [id])),
  );
  const begun: Begun[] = [];
  const ahead: Held[] = [];
  const pending: { change: RunChange; queued: QueuedRun }[] = [];
  for (const { id, loaded, event } of starts) {
    if (worker.deps.places.isQueued(loaded)) {
      const waiting = known.has(id)
        ? undefined
        : worker.deps.places.pending(newRun(loaded, id, event), worker.nowMs());
      if (waiting) pending.push(waiting);
      continue;
    }
    const earlier = worker.held.get(id);
    if (earlier && !earlier.inline) ahead.push(earlier);
    else if (!known.has(id)) begun.push(begin(worker, loaded, id, event));
  }
  for (const { held } of begun) onBegun?.(held);
  onRollback?.(() => {
    for (const { held } of begun) worker.drop(held, new AiosError('workflow.exists'));
  });
  const reached = Promise.all(begun.map(({ inline }) => inline.reached));
  await Promise.all([begun.length > 0 && within(limits.eventInlineMs, reached), allDurable(worker, ahead)]);
  if (begun.length + pending.length === 0) return () => {};
  const changes: RunChange[] = [];
  const writesOf = new Map<string, Write[]>();
  for (const { held, inline } of begun) {
    const [, ...writes] = worker.collect(held, inline.include());
    changes.push(held.lastChange!);
    writesOf.set(held.id, writes);
  }
  for (const { change, queued } of pending) {
    changes.push(change);
    writesOf.set(change.id, [store.queues.enqueue(queued)]);
  }
  const inserted = await store.insert(tx, changes);
  const committed = await store.write(
    tx,
    [...inserted].flatMap((id) => writesOf.get(id) ?? []),
  );
  return () => {
    committed();
    for (const { change } of pending) if (inserted.has(change.id)) worker.onChange(change);
    for (const { held, inline } of begun) {
      if (inserted.has(held.id)) confirm(worker, held, inline);
      else worker.drop(held, new AiosError('workflow.exists'));
    }
  };
}

function begin(worker: Worker, loaded: LoadedFlow, id: string, event: LoggedEvent): Begun {
  const held = create(worker, loaded, id, event);
  const inline = new Inline();
  held.inline = inline;
  void worker.perform(held);
  return { held, inline };
}

function create(worker: Worker, loaded: LoadedFlow, id: string, event: LoggedEvent): Held {
  const { origin, startedAtMs } = newRun(loaded, id, event);
  return worker.create(loaded, id, origin, null, startedAtMs);
}

function newRun(loaded: LoadedFlow, id: string, event: LoggedEvent): NewRun {
  const { postedby } = event.event;
  const origin = { input: eventInput(event), event, ...(postedby !== undefined && { startedBy: postedby }) };
  return { loaded, id, origin, idempotencyKey: null, startedAtMs: event.timeMs };
}

/** @throws AiosError when a run that was begun ahead could not be written: the group comes again, and begins it itself. */
async function allDurable(worker: Worker, ahead: readonly Held[]): Promise<void> {
  const unwritten = ahead.filter(({ durable }) => !durable);
  if (unwritten.length === 0) return;
  // Most end at once; one that is still under way then is written as it stands.
  const written = unwritten.map((held) => new Promise<void>((done) => held.onceWritten(done, done)));
  await within(worker.deps.limits.eventInlineMs, Promise.all(written));
  for (const held of unwritten) {
    if (held.durable) continue;
    await (held.ending ? held.written : worker.barrier(held.execution).catch(() => {}));
    const reason = held.lostBy;
    if (!held.durable && !(reason instanceof AiosError && reason.code === 'workflow.exists'))
      throw reason instanceof Error ? reason : new AiosError('store.unavailable');
  }
}

function confirm(worker: Worker, held: Held, inline: Inline): void {
  held.durable = true;
  held.inline = undefined;
  inline.confirm();
  if (held.execution.recorder.hasUnwritten) worker.flushSoon(held.execution);
}

async function within(limitMs: number, all: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([all, limit]);
  clearTimeout(timer);
}

/** The first barrier of a run that begins inside a consumer's transaction. */
class Inline implements InlineStart {
  readonly reached: Promise<void>;
  #reach: () => void = () => {};
  #waiting: { patch: Patch; resolve: (included: boolean) => void } | undefined;
  #included = false;
  #taken = false;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve;
    });
  }

  barrier(patch: Patch): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting = { patch, resolve };
      this.#reach();
    });
  }

  /** The barrier to be written now: the one reached, or the state of a run that is still under way. */
  include(): Patch {
    this.#taken = true;
    this.#included = this.#waiting !== undefined;
    return this.#waiting?.patch ?? RUNNING;
  }

  confirm(): void {
    this.#waiting?.resolve(this.#included && this.#taken);
  }
}

/**
 * Gives events to the `listen` steps that wait for them, inside the consumer's transaction; answers with what to do after its commit. A run whose definition
 * cannot be used any more (it names what an operator has turned off since) is told of and left out: the others that listen get their event.
 */
export async function deliverEvents(
  { store, flows, onError }: Pick<WorkerDeps, 'store' | 'flows' | 'onError'>,
  events: readonly LoggedEvent[],
  tx: Queryable,
): Promise<() => void> {
  const types = [ANY_TYPE, ...new Set(events.map(({ event }) => event.type))];
  const subscriptions = await store.subscriptions(tx, types);
  const signals: Signal[] = [];
  for (const subscription of subscriptions) {
    const { runId, key, workflow, version, stepId, filterIndex, attributes, correlate } = subscription;
    const loaded = await flows.version(workflow, version).catch((error: unknown) => {
      if (toAiosError(error).retryable) throw error;
      onError(error, runId);
    });
    const filter = loaded && listenFilters(loaded, stepIdOf(stepId))[filterIndex];
    if (!filter) continue;
    for (const logged of events) {
      const payload = logged.event as unknown as JsonObject;
      if (!matchesEvent(filter, payload, attributes, correlate)) continue;
      signals.push({ runId, key: eventSignalKey(key, logged, filterIndex), payload });
    }
  }
  if (signals.length === 0) return () => {};
  return store.write(
    tx,
    signals.map((signal) => store.signal(signal)),
  );
}
