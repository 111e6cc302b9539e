import { type RunState, stateOf } from './run-state.ts';
import type { RunStore } from './run-store.ts';
import type { RunChange, RunStatus } from './stored-run.ts';
import { CHILD } from './waiters.ts';

const ACTIVE: ReadonlySet<RunStatus> = new Set(['pending', 'running']);

/** A run that goes on without anybody doing anything; one that waits for another run is as far as that is. */
export function goesOn({ status, waitingFor }: Pick<RunChange, 'status' | 'waitingFor'>): boolean {
  return ACTIVE.has(status) || (status === 'waiting' && waitingFor === CHILD);
}

/** After what time a run of another process is looked at first; each time after twice as long. */
const LOOK_MS = 10;

interface Dependencies {
  readonly store: Pick<RunStore, 'find'>;
  readonly pollMs: number;
  /** Whether a run is in the memory of this process. */
  readonly isHeld: (runId: string) => boolean;
  /** Whether this process performs runs. */
  readonly takesRuns: boolean;
}

/**
 * Who waits for runs in this process: told by its own commits, and by looks at the store of what others write.
 *
 * @example const watch = new RunWatch({ store, pollMs: 1000, isHeld, takesRuns: true }); await watch.waitFor(runId, 30_000, false)
 */
export class RunWatch {
  readonly #dependencies: Dependencies;
  readonly #listeners = new Set<(state: RunState) => void>();
  readonly #watchers = new Map<string, Set<(state: RunState) => void>>();

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  onRunChanged(listener: (state: RunState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** This process has committed a change. */
  changed(change: RunChange): void {
    const watchers = goesOn(change) ? undefined : this.#watchers.get(change.id);
    if (!watchers && this.#listeners.size === 0) return;
    const state = stateOf(change);
    for (const settle of watchers ?? []) settle(state);
    for (const listener of this.#listeners) listener(state);
  }

  /** Until the run has ended, waits (for more than another run) or is paused; `undefined` when that does not come within `waitMs`. A new one is not in the store yet. */
  async waitFor(runId: string, waitMs: number, isNew: boolean): Promise<RunState | undefined> {
    const { isHeld } = this.#dependencies;
    const { promise: settled, resolve: settle } = Promise.withResolvers<RunState | undefined>();
    const watchers = this.#watchers.get(runId) ?? new Set();
    this.#watchers.set(runId, watchers.add(settle));
    const timer = setTimeout(() => settle(undefined), waitMs);
    const stopLooking = this.#look(runId, isNew, settle);
    try {
      if (!isNew && !isHeld(runId)) await this.#find(runId, settle);
      return await settled;
    } finally {
      clearTimeout(timer);
      stopLooking();
      watchers.delete(settle);
      if (watchers.size === 0 && this.#watchers.get(runId) === watchers) this.#watchers.delete(runId);
    }
  }

  /** Another process may run it: its changes are not told here. Most runs are short, so the first looks come soon. */
  #look(runId: string, isNew: boolean, settle: (state: RunState) => void): () => void {
    const { isHeld, pollMs, takesRuns } = this.#dependencies;
    let pauseMs = (isNew && takesRuns) || isHeld(runId) ? pollMs : LOOK_MS;
    let poll: NodeJS.Timeout | undefined;
    const lookLater = () => {
      poll = setTimeout(async () => {
        await this.#find(runId, settle).catch(() => {});
        if (poll) lookLater();
      }, pauseMs);
      pauseMs = Math.min(pauseMs * 2, pollMs);
    };
    lookLater();
    return () => {
      clearTimeout(poll);
      poll = undefined;
    };
  }

  async #find(runId: string, settle: (state: RunState) => void): Promise<void> {
    const run = await this.#dependencies.store.find(runId);
    if (run && !goesOn(run)) settle(stateOf(run));
  }
}
