import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Write } from '../../store/lane.ts';
import type { Execution } from './execution.ts';
import type { Flows, LoadedFlow } from './flows.ts';
import type { EventOutlet } from './lifecycle-steps.ts';
import type { PayloadRef } from './stored-run.ts';

/** Between two attempts while the store is away; an embedded Postgres is back within a second or two. */
export const AWAY_PAUSE_MS = 200;

export function isAway(error: unknown): boolean {
  return error instanceof AiosError && error.code === 'store.unavailable';
}

/** Whether a commit was not taken for reasons that go by: the run's row says what it said before. */
export function isPutOff(error: unknown): boolean {
  return isAway(error) || (error instanceof AiosError && error.code === 'request.overloaded');
}

/** Tries again while the store is away, as commits do. @throws what `work` threw when it stays away */
export async function whileAway<T>(
  host: Pick<ExecutionHost, 'storeAwayMs' | 'monotonicMs'>,
  work: () => Promise<T>,
): Promise<T> {
  const until = host.monotonicMs() + host.storeAwayMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAway(error) || host.monotonicMs() >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, AWAY_PAUSE_MS));
    }
  }
}

/** What an execution asks of the engine that holds it. */
export interface ExecutionHost {
  readonly deps: { readonly flows: Pick<Flows, 'referred'> };
  /** How long steps that change nothing are done again while the store is away, as commits are. */
  readonly storeAwayMs: number;
  /** Where flows tell of their steps; none without a log. */
  readonly outlet: EventOutlet | undefined;
  nowMs(): number;
  monotonicMs(): number;
  /** Commits what is not yet written; everything is durable, and the lease was checked, when it resolves. */
  barrier(execution: Execution): Promise<void>;
  /** Starts to write what is not yet written, without waiting. */
  flushSoon(execution: Execution): void;
  /** Something waits: the run may leave memory if nothing else goes on. */
  waits(execution: Execution): void;
  /** The event as it will stand in the log, and the write that puts it there. */
  emit(execution: Execution, key: string, event: JsonObject): { event: Json; write: Write };
  /** A large value that the run recorded. */
  payload(execution: Execution, ref: PayloadRef): Promise<Json>;
  /** The write that asks for a run to be canceled that nobody waits for any more. */
  cancelChild(runId: string): readonly Write[];
  /** The write that starts a run of another flow. */
  startChild(execution: Execution, key: string, flow: LoadedFlow, input: Json, wait: boolean): string;
}
