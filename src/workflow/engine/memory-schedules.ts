import { type Lane, type Write, write } from '../../store/lane.ts';
import type {
  LockedSchedule,
  ScheduleChange,
  ScheduleDefinition,
  ScheduleRow,
  ScheduleState,
  ScheduleStore,
} from './schedule-store.ts';
import type { RunChange, StoredRun } from './stored-run.ts';

const NEW: ScheduleState = {
  paused: false,
  dueMs: null,
  run: null,
  queued: [],
  skipped: 0,
  awaited: false,
  lookMs: null,
};

type Row = ScheduleRow & { readonly times: string | null };

/** What it needs of the runs beside it. */
interface Runs {
  find(id: string): Promise<StoredRun | undefined>;
  findByKey(workflow: string, key: string): Promise<StoredRun | undefined>;
  insert(runs: readonly RunChange[]): Promise<ReadonlySet<string>>;
  remove(ids: ReadonlySet<string>): void;
  write(writes: readonly Write[]): Promise<() => void>;
}

/** Schedules in the memory of this process; one change at a time, as a lock on the rows would have it. */
export class MemorySchedules implements ScheduleStore {
  readonly #rows = new Map<string, Row>();
  readonly #runs: Runs;
  #changing: Promise<unknown> = Promise.resolve();

  readonly #endedLane: Lane<RunChange> = {
    name: 'workflow.schedules',
    order: 27,
    write: async (_tx, changes) => {
      for (const { id, updatedAtMs } of changes)
        for (const row of this.#rows.values())
          if (row.run?.id === id && row.awaited)
            this.#rows.set(row.workflow, {
              ...row,
              lookMs: Math.min(row.lookMs ?? updatedAtMs, updatedAtMs),
            });
      return undefined;
    },
  };

  constructor(runs: Runs) {
    this.#runs = runs;
  }

  async put(definitions: readonly ScheduleDefinition[], nowMs: number): Promise<void> {
    for (const { workflow, version, times } of definitions) {
      const before = this.#rows.get(workflow);
      if (before ? before.version >= version : times === null) continue;
      const row = { ...(before ?? { ...NEW, workflow }), version, times };
      if (times === null)
        this.#rows.set(workflow, { ...row, dueMs: null, queued: [], awaited: false, lookMs: null });
      else if (before?.times === times) this.#rows.set(workflow, { ...row, lookMs: nowMs });
      else this.#rows.set(workflow, { ...row, dueMs: null, lookMs: nowMs });
    }
  }

  async list(): Promise<ScheduleRow[]> {
    return this.#inForce()
      .sort((a, b) => (a.workflow < b.workflow ? -1 : 1))
      .map(({ times: _, ...row }) => structuredClone(row));
  }

  async due(nowMs: number, limit: number): Promise<string[]> {
    return this.#byLook()
      .filter(({ lookMs }) => lookMs! <= nowMs)
      .slice(0, limit)
      .map(({ workflow }) => workflow);
  }

  get nextLookMs(): number | undefined {
    return this.#byLook()[0]?.lookMs ?? undefined;
  }

  #inForce(): Row[] {
    return [...this.#rows.values()].filter(({ times }) => times !== null);
  }

  #byLook(): Row[] {
    return this.#inForce()
      .filter(({ lookMs }) => lookMs !== null)
      .sort((a, b) => a.lookMs! - b.lookMs!);
  }

  change(
    workflow: string,
    _waits: boolean,
    change: (schedule: LockedSchedule) => Promise<ScheduleChange | undefined>,
  ): Promise<(() => void) | undefined> {
    const changed = this.#changing.then(() => this.#change(workflow, change));
    this.#changing = changed.catch(() => {});
    return changed;
  }

  async #change(
    workflow: string,
    change: (schedule: LockedSchedule) => Promise<ScheduleChange | undefined>,
  ): Promise<(() => void) | undefined> {
    const row = this.#rows.get(workflow);
    if (!row || row.times === null) return undefined;
    const lastRun = row.run ? await this.#runs.find(row.run.id) : undefined;
    const inserted = new Set<string>();
    try {
      const result = await change({
        row: structuredClone(row),
        lastRun,
        started: async (keys) => {
          const found = await Promise.all(keys.map((key) => this.#runs.findByKey(workflow, key)));
          return new Set(keys.filter((_key, index) => found[index]));
        },
        insert: async (runs) => {
          const ids = await this.#runs.insert(runs);
          for (const id of ids) inserted.add(id);
          return ids;
        },
      });
      if (!result) return () => {};
      const committed = await this.#runs.write(result.writes ?? []);
      this.#rows.set(workflow, { ...row, ...structuredClone(result.state) });
      return committed;
    } catch (error) {
      this.#runs.remove(inserted);
      throw error;
    }
  }

  ended(change: RunChange): Write[] {
    return change.result && change.origin.scheduledMs !== undefined ? [write(this.#endedLane, change)] : [];
  }
}
