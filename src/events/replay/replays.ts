import type { Clock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import { derivedId, newId } from '../../kernel/ids.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database, Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import { Poller } from '../../store/poller.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { ConsumerDefinition, OnRollback } from '../consumer-definition.ts';
import type { EventConsumers } from '../consumers.ts';
import { countEvents } from '../count.ts';
import { holdGroup } from '../group-offsets.ts';
import type { EventLog } from '../log.ts';
import { PARTITIONS } from '../partitions.ts';
import { compileSelection, type Selection } from '../selection.ts';
import { type Place, resolveRange } from './positions.ts';
import {
  completeReplays,
  countHandled,
  endReplay,
  insertReplay,
  type Replay,
  type ReplayTarget,
  readReplay,
  readReplays,
  readRunning,
  replayGroup,
  resetGroup,
} from './replay-store.ts';

interface Dependencies {
  db: Database;
  log: EventLog;
  consumers: EventConsumers;
  clock: Clock;
  limits: Pick<Limits, 'replayPollMs' | 'eventScanMax'>;
  changes?: Changes | undefined;
  /** False in a process that leaves the work to others. */
  takesPart: boolean;
  workflows: ReplayedWorkflows;
  onError: (error: unknown) => void;
}

/** How a replay starts runs: the engine, as this module sees it. */
interface ReplayedWorkflows {
  /** @throws AiosError `workflow.not_found` */
  require(workflow: string): void;
  room(): number;
  /** Those of the flows: another process may have applied a flow, or a version of it, that is not known here yet. */
  readonly definitions: NonNullable<ConsumerDefinition['definitions']>;
  /** Starts the runs of these events marked with the replay, in the consumer's transaction; each run once for a replay. */
  start(
    events: readonly LoggedEvent[],
    tx: Queryable,
    options: { into: { workflow: string; replayId: string }; onRollback: OnRollback },
  ): Promise<() => void>;
}

/** What to replay, for whom, as who asks says it. */
export interface ReplayRequest extends Selection {
  target: ReplayTarget;
  from?: Place | undefined;
  until?: Place | undefined;
  /** Moves the consumer group itself back (or on) to `from`, instead of giving it events beside its place. */
  resets?: boolean | undefined;
  /** The same key, the same replay. */
  idempotencyKey?: string | undefined;
  by: string;
}

/** What a request comes to before anything is done. */
export interface ReplayPlan {
  from: number[];
  until: number[];
  /** Events that are selected; of the range that was looked at, when `isExact` is false. */
  events: number;
  isExact: boolean;
}

/**
 * Gives parts of the log to consumers or to one flow again. A replay is a consumer group of its own with an end, shared among the processes and
 * kept over crashes as any other: each event of it is handled once.
 *
 * @example await replays.create({ target: { workflow: 'returns' }, from: { timeMs }, by: 'key_…' }, audit)
 */
export class Replays {
  readonly #dependencies: Dependencies;
  readonly #running = new Set<string>();
  readonly #poller: Poller;
  #looking: Promise<void> = Promise.resolve();
  /** While one is under way its end is looked for. */
  #isUnderWay = false;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { replayPollMs } = dependencies.limits;
    this.#poller = new Poller({
      look: async () => {
        await this.#look();
        return this.#isUnderWay ? replayPollMs : undefined;
      },
      pollMs: replayPollMs,
      changes: dependencies.changes,
      tables: ['event_replays'],
    });
    const others = dependencies.consumers.onUnknownGroup;
    dependencies.consumers.onUnknownGroup = async (group) => {
      if (!group.startsWith(replayGroup(''))) return others(group);
      const replay = await readReplay(dependencies.db, group.slice(replayGroup('').length));
      return replay && (await this.#consumerOf(replay));
    };
  }

  /**
   * How many events a request would hand over. With a filter at most `eventScanMax` of the range are read.
   *
   * @throws AiosError `events.unknown_consumer`, `events.position_invalid`, `expression.syntax`, `workflow.not_found`
   */
  async plan({ target, from, until, types, filter }: ReplayRequest): Promise<ReplayPlan> {
    await this.#requireTarget(target);
    const isSelected = compileSelection({ types, filter });
    const { db, log, limits } = this.#dependencies;
    const range = await resolveRange(db, from, until);
    const all = range.until.reduce((sum, offset, partition) => sum + offset - range.from[partition]!, 0);
    if (filter === undefined) {
      const events = types ? await countEvents(db, types, range) : all;
      return { ...range, events, isExact: true };
    }
    let events = 0;
    let read = 0;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      let offset = range.from[partition]!;
      while (offset < range.until[partition]! && read < limits.eventScanMax) {
        const batch = await log.read(partition, offset, Math.min(1000, range.until[partition]! - offset));
        if (batch.length === 0) break;
        read += batch.length;
        events += batch.filter(({ event }) => isSelected(event)).length;
        offset = batch.at(-1)!.offset + 1;
      }
    }
    return { ...range, events, isExact: read >= all };
  }

  /**
   * Begins a replay, or moves a group; `audit` makes the entry that is committed with it. Asked again with the same key, it answers what is there.
   *
   * @returns the id of the replay; nothing for a group that was moved
   * @throws AiosError as `plan`
   */
  async create(
    request: ReplayRequest,
    audit: (plan: ReplayPlan, payload: JsonObject) => Write,
  ): Promise<ReplayPlan & { id: string | undefined }> {
    const plan = await this.plan(request);
    const { db, clock } = this.#dependencies;
    const { target, types, filter, idempotencyKey, by, resets } = request;
    if (resets && !('consumer' in target))
      throw new AiosError('events.position_invalid', {
        detail: 'A flow has no place in the log to be moved.',
      });
    const id =
      idempotencyKey === undefined ? newId('rpl', clock.now()) : derivedId('rpl', by, idempotencyKey);
    const { from, until } = plan;
    let committed = () => {};
    await db.transaction(async (tx) => {
      const replay = {
        id,
        target,
        selection: { types, filter },
        from,
        until,
        createdBy: by,
        createdAt: clock.now(),
      };
      // One that ends meanwhile ends its replays: it must not miss this one.
      if ('consumer' in target && !(await holdGroup(tx, target.consumer)))
        throw unknownConsumer(target.consumer, 'it has just ended');
      if (resets) await resetGroup(tx, (target as { consumer: string }).consumer, from);
      else if (!(await insertReplay(tx, replay))) return;
      committed = await writeInTransaction(tx, [
        audit(plan, {
          ...target,
          from,
          until,
          ...(types ? { types: [...types] } : {}),
          ...(filter ? { filter } : {}),
        }),
      ]);
    });
    committed();
    if (!resets) await this.#look();
    return { ...plan, id: resets ? undefined : id };
  }

  async list(limit: number, before?: string): Promise<{ items: Replay[]; nextCursor: string | null }> {
    const items = await readReplays(this.#dependencies.db, limit + 1, before);
    const page = items.slice(0, limit);
    return { items: page, nextCursor: items.length > limit ? page.at(-1)!.id : null };
  }

  /** @throws AiosError `events.unknown_replay` */
  async get(id: string): Promise<Replay> {
    const replay = await readReplay(this.#dependencies.db, id);
    if (!replay) throw new AiosError('events.unknown_replay', { detail: `There is no replay “${id}”.` });
    return replay;
  }

  /** Ends a replay; what it has handed over stays. One that has ended is left as it is. @throws AiosError `events.unknown_replay` */
  async cancel(id: string, audit: () => Write): Promise<Replay> {
    await this.get(id);
    let committed = () => {};
    await this.#dependencies.db.transaction(async (tx) => {
      if (await endReplay(tx, id, 'canceled')) committed = await writeInTransaction(tx, [audit()]);
    });
    committed();
    return this.get(id);
  }

  async start(): Promise<void> {
    if (!this.#dependencies.takesPart) return;
    await this.#look();
    this.#poller.begin();
  }

  async stop(): Promise<void> {
    await this.#poller.stop();
    await this.#looking;
  }

  #look(): Promise<void> {
    if (!this.#dependencies.takesPart) return Promise.resolve();
    this.#looking = this.#looking
      .then(() => this.#follow())
      .catch((error: unknown) => {
        this.#isUnderWay = true; // not known: it looks again soon
        this.#dependencies.onError(error);
      });
    return this.#looking;
  }

  /** Takes part in what has begun, and ends what is done. */
  async #follow(): Promise<void> {
    const { db, consumers } = this.#dependencies;
    if (this.#running.size > 0) await completeReplays(db);
    const running = await readRunning(db);
    this.#isUnderWay = running.length > 0;
    for (const id of this.#running) {
      if (running.some((replay) => replay.id === id)) continue;
      this.#running.delete(id);
      await consumers.remove(replayGroup(id));
    }
    for (const replay of running) {
      if (this.#running.has(replay.id)) continue;
      const definition = await this.#consumerOf(replay);
      if (!definition) continue; // its consumer has ended since, and the replay with it
      await consumers.addRunning(definition);
      this.#running.add(replay.id); // not before: one that could not begin is begun at the next look
    }
  }

  async #consumerOf({ id, target, selection, until }: Replay): Promise<ConsumerDefinition | undefined> {
    const { consumers, workflows } = this.#dependencies;
    const consumer = 'consumer' in target ? await consumers.find(target.consumer) : undefined;
    if ('consumer' in target && !consumer?.isRepeatable) return undefined;
    const isSelected = compileSelection(selection);
    const deliver = consumer?.deliver?.bind(consumer);
    return {
      ...(deliver ? { deliver: deliverSelected(id, isSelected, deliver) } : {}),
      ...('workflow' in target ? { definitions: workflows.definitions } : {}),
      group: replayGroup(id),
      until,
      room: () =>
        'workflow' in target ? workflows.room() : (consumer?.room?.() ?? Number.POSITIVE_INFINITY),
      async handle(events, tx, onRollback) {
        const selected = events.filter(({ event }) => isSelected(event));
        if (selected.length === 0) return undefined;
        await countHandled(tx, id, selected.length);
        return consumer
          ? consumer.handle(selected, tx, onRollback)
          : workflows.start(selected, tx, {
              into: { ...(target as { workflow: string }), replayId: id },
              onRollback,
            });
      },
    };
  }

  async #requireTarget(target: ReplayTarget): Promise<void> {
    if ('workflow' in target) return this.#dependencies.workflows.require(target.workflow);
    const definition = await this.#dependencies.consumers.find(target.consumer);
    if (definition?.isRepeatable) return;
    const names = await this.#repeatable();
    const told = names === '' ? 'no group may be given events again' : `those that may are ${names}`;
    throw unknownConsumer(target.consumer, told);
  }

  /** The groups that may be given events again, whichever process works on them. */
  async #repeatable(): Promise<string> {
    const { consumers } = this.#dependencies;
    const names: string[] = [];
    for (const { group } of await consumers.groups())
      if ((await consumers.find(group))?.isRepeatable) names.push(group);
    return names.join(', ');
  }
}

function unknownConsumer(consumer: string, why: string): AiosError {
  return new AiosError('events.unknown_consumer', {
    detail: `“${consumer}” is not given events again: ${why}.`,
  });
}

type Deliver = NonNullable<ConsumerDefinition['deliver']>;

/** Into a sink: what it puts off is counted when it comes again. */
function deliverSelected(id: string, isSelected: (event: CloudEvent) => boolean, deliver: Deliver): Deliver {
  return async (events) => {
    const selected = events.filter(({ event }) => isSelected(event));
    if (selected.length === 0) return { undone: [], write: async () => {} };
    const delivery = await deliver(selected);
    return {
      undone: delivery.undone,
      async write(tx, passed) {
        const count = passed.filter(({ event }) => isSelected(event)).length;
        await countHandled(tx, id, count, selected.length - delivery.undone.length);
        await delivery.write(tx, passed);
      },
    };
  };
}
