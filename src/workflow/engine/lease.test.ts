import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { digestOf } from '../../kernel/canonical.ts';
import { systemClock } from '../../kernel/clock.ts';
import { readDocument } from '../../kernel/document.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { WorkflowEngine } from './engine.ts';
import type { Held } from './held.ts';
import { MemoryRunStore } from './memory-store.ts';
import { Worker } from './worker.ts';

const FLOW = `
document: { dsl: '1.0.3', namespace: test, name: acts, version: '1.0.0' }
do: [ { a: { wait: PT1H } } ]`;
const OTHER = 'wrk_other';

let store: MemoryRunStore;
let engine: WorkflowEngine;
let worker: Worker;
let held: Held;

/** The worker of an engine, and a run that it holds with everything written: its next step begins with no more than a look at the lease. */
beforeEach(async () => {
  const created = vi.spyOn(Worker.prototype, 'create');
  store = new MemoryRunStore();
  const body = readDocument(FLOW, 'acts.yaml').value;
  engine = new WorkflowEngine({
    store,
    catalog: catalogOf([]),
    clock: systemClock,
    // A run that waits for an hour stays in memory.
    limits: limitsFrom('runLeaseMs=90,runPollMs=10,runParkMs=7200000'),
    findDefinition: async () => undefined,
  });
  engine.put({ name: 'acts', version: 1, digest: digestOf(body), body });
  await engine.begin();
  await engine.start({ workflow: 'acts' });
  worker = created.mock.contexts[0] as Worker;
  held = created.mock.results[0]!.value as Held;
  await vi.waitFor(() => expect(held.execution.recorder.hasUnwritten).toBe(false));
});
afterEach(async () => {
  await engine.stop();
  vi.restoreAllMocks();
});

/** What a worker that was frozen past its lease finds: its run is another's. */
async function takenOver(): Promise<void> {
  await store.leave(engine.workerId);
  await store.renew(OTHER, 60_000);
  expect(await store.takeOver(OTHER, 10)).toHaveLength(1);
}

it('a worker whose lease had run out before it was renewed doubts its runs: the next effect of one that another has does not begin', async () => {
  const lapsed = vi.spyOn(worker, 'leaseLapsed');
  await takenOver();
  await vi.waitFor(() => expect(lapsed).toHaveBeenCalled());
  // The lease is its own again, and nothing waits to be written: only the doubt keeps the effect from beginning.
  worker.leaseUntilMs = Number.POSITIVE_INFINITY;
  expect([held.doubted, held.execution.recorder.hasUnwritten]).toEqual([true, false]);
  await expect(worker.barrier(held.execution)).rejects.toThrow();
  expect(held.gone).toBe(true);
});

it('when nobody has taken the run, one write shows that, and the next effect needs none', async () => {
  const commit = vi.spyOn(store.commit, 'commit');
  worker.leaseUntilMs = Number.POSITIVE_INFINITY;
  await worker.barrier(held.execution);
  expect(commit).not.toHaveBeenCalled();
  worker.leaseLapsed();
  await worker.barrier(held.execution);
  expect([held.doubted, held.gone, commit.mock.calls.length]).toEqual([false, false, 1]);
  await worker.barrier(held.execution);
  expect(commit.mock.calls).toHaveLength(1);
});

it('a worker that is not known any more has no lease', async () => {
  expect(await store.renew('wrk_new', 1_000)).toBe(false);
  expect(await store.renew('wrk_new', 1_000)).toBe(true);
  await store.leave('wrk_new');
  expect(await store.renew('wrk_new', 1_000)).toBe(false);
});
