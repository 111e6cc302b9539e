import type { LoggedEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { sortedId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Queryable } from '../store/database.ts';
import type { Write } from '../store/group-commit.ts';
import { RUNNING } from './barriers.ts';
import { stepIdOf } from './flow.ts';
import { type Flows, type LoadedFlow, listenFilters, matchesEvent, startsFlow } from './flows.ts';
import type { Held, InlineStart, Patch } from './held.ts';
import { eventInput, type RunChange, type RunStore, type Signal } from './run-store.ts';
import type { Worker } from './worker.ts';

/** The id of the run that an event starts: known before the run is. */
export function eventRunId(
  workflow: string,
  { event, timeMs }: Pick<LoggedEvent, 'event' | 'timeMs'>,
): string {
  return sortedId('run', timeMs, workflow, event.source, event.id);
}

interface Begun {
  readonly held: Held;
  readonly inline: Inline;
}

/**
 * Starts the runs of a batch of events inside the consumer's transaction. Each run goes on in memory until its first barrier; then all rows are
 * inserted at once, most of them already completed: a run of pure steps costs one row, written once. Runs that are not there yet after
 * `eventInlineMs` are inserted as running and go on by themselves.
 *
 * Answers with what to do after that transaction has committed.
 */
export async function startFromEvents(
  worker: Worker,
  events: readonly LoggedEvent[],
  tx: Queryable,
): Promise<() => void> {
  const { store, flows, limits } = worker.deps;
  const begun = events.flatMap((event) =>
    flows
      .startingOn(event.event.type)
      .filter((loaded) => startsFlow(loaded, event.event as unknown as JsonObject))
      .flatMap((loaded) => begin(worker, loaded, event) ?? []),
  );
  if (begun.length === 0) return () => {};
  await allReached(begun, limits.eventInlineMs);
  const changes: RunChange[] = [];
  const writesOf = new Map<string, Write[]>();
  for (const { held, inline } of begun) {
    const [, ...writes] = worker.collect(held, inline.include());
    changes.push(held.lastChange!);
    writesOf.set(held.id, writes);
  }
  const inserted = await store.insert(tx, changes);
  const committed = await store.write(
    tx,
    [...inserted].flatMap((id) => writesOf.get(id) ?? []),
  );
  return () => {
    committed();
    for (const { held, inline } of begun) {
      if (inserted.has(held.id)) confirm(worker, held, inline);
      else worker.drop(held, new AiosError('workflow.exists'));
    }
  };
}

function begin(worker: Worker, loaded: LoadedFlow, event: LoggedEvent): Begun | undefined {
  const id = eventRunId(loaded.name, event);
  const earlier = worker.held.get(id);
  if (earlier && !earlier.inline) return undefined; // it has its row: the event came a second time
  // The transaction of an earlier try was rolled back, and with it that run.
  if (earlier) worker.drop(earlier, new AiosError('workflow.exists'));
  const held = worker.create(loaded, id, { input: eventInput(event), event }, null, event.timeMs);
  const inline = new Inline(worker.monotonicMs());
  held.inline = inline;
  void worker.perform(held);
  return { held, inline };
}

function confirm(worker: Worker, held: Held, inline: Inline): void {
  held.durable = true;
  held.inline = undefined;
  inline.confirm();
  if (held.execution.recorder.hasUnwritten) worker.flushSoon(held.execution);
}

async function allReached(begun: readonly Begun[], limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([Promise.all(begun.map(({ inline }) => inline.reached)), limit]);
  clearTimeout(timer);
}

/** The first barrier of a run that begins inside a consumer's transaction. */
class Inline implements InlineStart {
  readonly begunAtMs: number;
  readonly reached: Promise<void>;
  #reach: () => void = () => {};
  #waiting: { patch: Patch; resolve: (included: boolean) => void } | undefined;
  #included = false;
  #taken = false;

  constructor(begunAtMs: number) {
    this.begunAtMs = begunAtMs;
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
 * Gives events to the `listen` steps that wait for them, inside the consumer's transaction; answers with what to do after its commit.
 */
export async function deliverEvents(
  store: RunStore,
  flows: Flows,
  events: readonly LoggedEvent[],
  tx: Queryable,
): Promise<() => void> {
  const types = [...new Set(events.map(({ event }) => event.type))];
  const subscriptions = await store.subscriptions(tx, types);
  const signals = new Map<string, Signal>();
  for (const subscription of subscriptions) {
    const { runId, key, workflow, version, stepId, filterIndex, attributes, correlate } = subscription;
    if (signals.has(`${runId}/${key}`)) continue;
    const filter = listenFilters(await flows.version(workflow, version), stepIdOf(stepId))[filterIndex];
    if (!filter) continue;
    const found = events.find(({ event }) =>
      matchesEvent(filter, event as unknown as JsonObject, attributes, correlate),
    );
    if (found) signals.set(`${runId}/${key}`, { runId, key, payload: found.event as unknown as JsonObject });
  }
  if (signals.size === 0) return () => {};
  return store.write(
    tx,
    [...signals.values()].map((signal) => store.signal(signal)),
  );
}
