import { newId } from '../../kernel/ids.ts';
import type { Json } from '../../kernel/json.ts';
import { Abandoned } from '../catalog/flow-errors.ts';
import { RUNNING } from './barriers.ts';
import type { Execution } from './execution.ts';
import type { LoadedFlow } from './flows.ts';
import type { Origin } from './stored-run.ts';
import type { Worker } from './worker.ts';

/** Starts the run of another flow as part of the next barrier of its parent; answers with its id. */
export function startChild(
  worker: Worker,
  { run, recorder }: Execution,
  key: string,
  loaded: LoadedFlow,
  input: Json,
  wait: boolean,
): string {
  const { store, places } = worker.deps;
  const startedAtMs = worker.nowMs();
  const id = newId('run', startedAtMs);
  const { startedBy } = run.origin;
  const origin: Origin = {
    input,
    ...(wait && { parent: { runId: run.id, stepKey: key } }),
    ...(startedBy !== undefined && { startedBy }),
  };
  const waiting = places.pending({ loaded, id, origin, idempotencyKey: null, startedAtMs }, startedAtMs);
  if (waiting) {
    recorder.unwritten.writes.push(...store.save(waiting.change), store.queues.enqueue(waiting.queued));
    return id;
  }
  const child = worker.create(loaded, id, origin, null, startedAtMs);
  child.durable = true; // its row is part of the parent's barrier
  child.seq = 1;
  recorder.unwritten.writes.push(
    ...store.save({ ...child.change(RUNNING, [], worker.id, worker.nowMs()), insert: true, seq: 0 }),
  );
  worker.held.get(run.id)?.onceWritten(
    () => void worker.perform(child),
    () => worker.drop(child, new Abandoned()),
  );
  return id;
}
