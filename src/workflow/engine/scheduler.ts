import type { Clock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { newId } from '../../kernel/ids.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Write } from '../../store/lane.ts';
import { type Schedule, scheduledRunKey, timesOf } from '../language/schedule.ts';
import { backfillTimes, scheduledInput } from '../language/schedule-times.ts';
import type { Flows, LoadedFlow } from './flows.ts';
import type { QueuePlaces } from './queue-places.ts';
import type { RunStore } from './run-store.ts';
import { type Look, lookAt } from './schedule-state.ts';
import type {
  LockedSchedule,
  QueuedTime,
  ScheduleChange,
  ScheduleRow,
  ScheduleState,
} from './schedule-store.ts';
import type { RunChange } from './stored-run.ts';

/** Schedules that one look takes up; what is left is taken up at the next. */
const LOOK_MAX = 100;

/** A schedule as people see it. */
export interface ScheduleView extends Omit<ScheduleRow, 'awaited' | 'lookMs'> {
  readonly schedule: Schedule;
}

/** What a back-fill came to. */
export interface Backfill {
  /** Due times whose runs are started, now or one after the other. */
  readonly times: number;
  /** Due times of the range that have a run already. */
  readonly alreadyRun: number;
}

interface SchedulerOptions {
  readonly store: RunStore;
  readonly flows: Flows;
  readonly places: QueuePlaces;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Ends a run as canceled. */
  readonly cancel: (runId: string) => Promise<void>;
  readonly onError: (error: unknown, workflow: string) => void;
}

/**
 * Starts the runs of schedules by time. A due time becomes a run that waits and is due, in the transaction that moves its schedule on; the agenda of
 * any process takes it up as it takes up every run that is due. So a process that dies in between has done both or neither, and the run's key, made
 * from the due time, keeps it one for ever.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  /** Called when a person changed a schedule: it may be due at once. */
  onChange: () => void = () => {};
  /** The versions whose schedules the store knows, by flow. */
  readonly #told = new Map<string, number>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Tells the store the schedules of the versions in force. */
  async tell(): Promise<void> {
    const { store, flows, clock } = this.#options;
    const news = flows.all().filter(({ name, version }) => this.#told.get(name) !== version);
    if (news.length === 0) return;
    const definitions = news.map(({ name, version, flow: { schedule } }) => ({
      workflow: name,
      version,
      times: schedule ? timesOf(schedule) : null,
    }));
    await store.schedules.put(definitions, clock.now());
    for (const { name, version } of news) this.#told.set(name, version);
  }

  /** Looks at the schedules that are due. Those whose version this process does not have yet are left to one that has it. */
  async look(nowMs: number): Promise<void> {
    const { store, onError } = this.#options;
    for (const workflow of await store.schedules.due(nowMs, LOOK_MAX)) {
      try {
        await this.#change(workflow, false, async () => undefined);
      } catch (error) {
        // Applied by another process a moment ago.
        if (!(error instanceof AiosError && error.code === 'workflow.not_found')) onError(error, workflow);
      }
    }
  }

  /** Those in force, by name. */
  async list(): Promise<ScheduleView[]> {
    const rows = await this.#options.store.schedules.list();
    const views = await Promise.all(rows.map((row) => this.#view(row)));
    return views.filter((view) => view !== undefined);
  }

  /** @throws AiosError `workflow.not_found`, `workflow.not_scheduled` */
  async get(workflow: string): Promise<ScheduleView> {
    this.#options.flows.latest(workflow);
    const found = (await this.list()).find((view) => view.workflow === workflow);
    if (!found) throw new AiosError('workflow.not_scheduled', { detail: workflow });
    return found;
  }

  /**
   * Stops a schedule: nothing is started by it, queued times included, until it is resumed; runs under way go on. `discard` forgets the queued times.
   * A schedule that is paused stays so, and `writes` are left out when nothing changes.
   *
   * @throws AiosError `workflow.not_found`, `workflow.not_scheduled`
   */
  async pause(workflow: string, discard: boolean, writes: readonly Write[]): Promise<void> {
    await this.#change(workflow, true, async ({ row }) => {
      const queued = discard ? [] : row.queued;
      if (row.paused && queued.length === row.queued.length) return undefined;
      return { state: { ...row, paused: true, queued }, writes };
    });
  }

  /** Lets a paused schedule go on, from now: the times of the pause are not made up for. @throws AiosError as `pause` */
  async resume(workflow: string, writes: readonly Write[]): Promise<void> {
    await this.#change(workflow, true, async ({ row }, { flow }) => {
      if (!row.paused) return undefined;
      const dueMs = flow.schedule?.kind === 'after' ? row.dueMs : null;
      return { state: { ...row, paused: false, dueMs }, writes };
    });
  }

  /**
   * Starts the runs of a past range, `fromMs` included and `untilMs` not, once each: at once when runs may overlap (`parallel`), otherwise one after the other
   * in order. Times that have a run already are left out. A paused schedule starts them when it is resumed.
   *
   * @throws AiosError as `pause`; `request.invalid` when the range cannot be filled, `request.overloaded` when the queue has no room
   */
  async backfill(
    workflow: string,
    { fromMs, untilMs }: { fromMs: number; untilMs: number },
    writesOf: (backfill: Backfill) => readonly Write[],
  ): Promise<Backfill> {
    const { clock, limits } = this.#options;
    let backfill: Backfill = { times: 0, alreadyRun: 0 };
    if (untilMs > clock.now())
      throw new AiosError('request.invalid', { detail: 'The range of a back-fill ends in the future.' });
    await this.#change(workflow, true, async ({ row, started }, { flow }) => {
      const all = backfillTimes(flow.schedule!, fromMs, untilMs, limits.scheduleBackfillMax);
      const known = await started(all.map(scheduledRunKey));
      const queued = new Set(row.queued.map(({ dueMs }) => dueMs));
      const times = all.filter((dueMs) => !known.has(scheduledRunKey(dueMs)) && !queued.has(dueMs));
      backfill = { times: times.length, alreadyRun: known.size };
      if (times.length === 0) return undefined;
      if (row.queued.length + times.length > limits.scheduleQueuedMax)
        throw new AiosError('request.overloaded', {
          detail: `${row.queued.length} due times wait already; the range has ${times.length} more.`,
          extensions: { limitName: 'scheduleQueuedMax', limit: limits.scheduleQueuedMax },
        });
      const madeUp = times.map((dueMs): QueuedTime => ({ dueMs, madeUp: true }));
      return { state: { ...row, queued: [...row.queued, ...madeUp] }, writes: writesOf(backfill) };
    });
    return backfill;
  }

  /** A person's change, then a look, in one transaction. */
  async #change(
    workflow: string,
    asked: boolean,
    change: (schedule: LockedSchedule, loaded: LoadedFlow) => Promise<ScheduleChange | undefined>,
  ): Promise<void> {
    const { store, flows, cancel } = this.#options;
    const loaded = flows.latest(workflow);
    if (asked) await this.tell();
    let toCancel: string | undefined;
    const committed = await store.schedules.change(workflow, asked, async (locked) => {
      const { schedule } = loaded.flow;
      if (!schedule || locked.row.version !== loaded.version) {
        if (asked && schedule) throw new AiosError('store.conflict', { detail: workflow });
        return undefined;
      }
      const changed = await change(locked, loaded);
      const row = { ...locked.row, ...changed?.state };
      const { state, canceled } = await this.#advance({ ...locked, row }, loaded, schedule);
      toCancel = canceled;
      return { state, writes: changed?.writes ?? [] };
    });
    if (!committed && asked) throw new AiosError('workflow.not_scheduled', { detail: workflow });
    committed?.();
    if (asked) this.onChange();
    // Not waited for: it lets the step under way end, and other schedules and timers are due meanwhile. A look that comes later asks again.
    if (toCancel !== undefined) void cancel(toCancel).catch(() => {});
  }

  async #advance(
    locked: LockedSchedule,
    loaded: LoadedFlow,
    schedule: Schedule,
  ): Promise<{ state: ScheduleState; canceled: string | undefined }> {
    const { clock, limits } = this.#options;
    const nowMs = clock.now();
    let look: Look = lookAt(schedule, locked.row, locked.lastRun, nowMs, limits);
    let { state } = look;
    while (look.start.length > 0) {
      const runs = look.start.map((time) => this.#runOf(loaded, schedule, time, nowMs));
      const inserted = await locked.insert(runs);
      const last = runs.findLastIndex(({ id }) => inserted.has(id));
      if (last >= 0) {
        state = { ...state, run: { id: runs[last]!.id, ...look.start[last]! } };
        break;
      }
      // All of them had run, started by their keys: the next in the queue has its turn.
      look = lookAt(schedule, state, undefined, nowMs, limits);
      state = look.state;
    }
    return { state, canceled: look.cancel ? locked.row.run?.id : undefined };
  }

  async #view(row: ScheduleRow): Promise<ScheduleView | undefined> {
    const { awaited: _, lookMs: __, ...rest } = row;
    const { schedule } = (await this.#options.flows.version(row.workflow, row.version)).flow;
    return schedule && { ...rest, schedule };
  }

  /** The run of a due time: it waits and is due, so that the next process with room takes it up. */
  #runOf(loaded: LoadedFlow, schedule: Schedule, { dueMs }: QueuedTime, nowMs: number): RunChange {
    const origin = { input: scheduledInput(schedule, dueMs), scheduledMs: dueMs };
    return {
      insert: true,
      id: newId('run', nowMs),
      workflow: loaded.name,
      version: loaded.version,
      epoch: 0,
      status: 'waiting',
      worker: null,
      // In the order of due times: that is how runs which are due are taken up.
      wakeAtMs: dueMs,
      waitingFor: null,
      origin: this.#options.places.placed(loaded, origin, dueMs),
      idempotencyKey: scheduledRunKey(dueMs),
      startedAtMs: nowMs,
      updatedAtMs: nowMs,
      result: null,
      subject: null,
      outcome: null,
      entries: [],
      seq: 0,
    };
  }
}
