import { afterEach, beforeEach, expect, it, type MockInstance, vi } from 'vitest';
import { digestOf } from '../../kernel/canonical.ts';
import { readDocument } from '../../kernel/document.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { WorkflowEngine } from './engine.ts';
import { MemoryRunStore } from './memory-store.ts';

const FLOW = `
document: { dsl: '1.0.3', namespace: test, name: hourly, version: '1.0.0' }
schedule: { every: { hours: 1 } }
do: [ { a: { set: { b: 1 } } } ]`;
const POLL_MS = 500;
const LEASE_MS = 15_000;
const NEVER_MS = 3_600_000;

/** As far as the timers have come. */
let nowMs: number;
let engine: WorkflowEngine;
let looks: MockInstance;
let others: boolean;
let told: (() => void) | undefined;

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += POLL_MS) {
    nowMs += POLL_MS;
    await vi.advanceTimersByTimeAsync(POLL_MS);
  }
}

/** How often it looks in the time of ten polls. */
async function looksOfTen(): Promise<number> {
  looks.mockClear();
  await pass(10 * POLL_MS);
  return looks.mock.calls.length;
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  nowMs = 1_000_000;
  others = false;
  const store = new MemoryRunStore();
  looks = vi.spyOn(store, 'signaled');
  engine = new WorkflowEngine({
    store,
    catalog: catalogOf([]),
    clock: { now: () => nowMs, monotonicMs: () => nowMs },
    limits: limitsFrom(`runPollMs=${POLL_MS},runLeaseMs=${LEASE_MS}`),
    findDefinition: async () => undefined,
    changes: {
      follow(_, wake) {
        told = wake;
        return () => {};
      },
      pauseMs: ({ pollMs, isLeftByOthers }) => (others && isLeftByOthers ? pollMs : NEVER_MS),
    },
  });
  const body = readDocument(FLOW, 'hourly.yaml').value;
  engine.put({ name: 'hourly', version: 1, digest: digestOf(body), body });
  await engine.begin();
});
afterEach(async () => {
  vi.useRealTimers();
  await engine.stop();
  vi.restoreAllMocks();
});

it('a server that is alone looks at every poll for a lease after the last thing that happened, and then for its lease only', async () => {
  expect(await looksOfTen()).toBe(10);
  await pass(LEASE_MS);
  expect(await looksOfTen()).toBe(1); // the lease is renewed every third of it
});

it('what happens here brings the looks back', async () => {
  await pass(2 * LEASE_MS);
  await engine.schedules.pause('hourly', false, []);
  expect(await looksOfTen()).toBe(10);
  await pass(2 * LEASE_MS);
  expect(await looksOfTen()).toBe(1);
  engine.putQueue({ name: 'narrow', concurrency: 1 });
  expect(await looksOfTen()).toBe(10);
  await pass(2 * LEASE_MS);
  const { runId } = await engine.start({ workflow: 'hourly' });
  await engine.operations.pause(runId, { kind: 'key', id: 'ann' }).catch(() => {}); // it may have ended
  expect(await looksOfTen()).toBe(10);
});

it('with other processes there it looks as often as ever, and when one is gone at once', async () => {
  await pass(2 * LEASE_MS);
  others = true;
  told!();
  await pass(3 * LEASE_MS);
  expect(await looksOfTen()).toBe(10);
  others = false;
  told!();
  expect(await looksOfTen()).toBe(10);
  await pass(2 * LEASE_MS);
  expect(await looksOfTen()).toBe(1);
});
