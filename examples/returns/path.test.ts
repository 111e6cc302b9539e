import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { App } from '../../src/app/app.ts';
import type { JsonObject } from '../../src/kernel/json.ts';
import type { TestDatabase } from '../../src/testing/database.ts';
import { openExample } from './example-under-test.ts';
import { Simulation } from './simulator.ts';
import { type OutsideSystem, startRefunds, startWarehouse } from './systems.ts';

let example: Awaited<ReturnType<typeof openExample>> | undefined;
let database: TestDatabase;
let dataDir: string;
let app: App;
const systems: OutsideSystem[] = [];
const decided = new Map<string, JsonObject>();
const settled: string[] = [];

beforeAll(async () => {
  example = await openExample();
  ({ app, database, dataDir } = example);
  app.stations.log.onCommitted((events) => {
    for (const { event } of events) {
      const data = event.data as JsonObject;
      if (event.type === 'return.decided') decided.set(String(data.returnId), data);
      if (event.type === 'return.settled') settled.push(String(data.returnId));
    }
  });
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all(systems.map((system) => system.stop()));
  await example?.close();
});

it('a request is decided while the refund system is away, and paid once when it comes', async () => {
  const simulation = new Simulation(7, Date.now);
  const events = simulation.first();
  const [ordinary, tooMany] = events
    .filter(({ type }) => type === 'return.requested')
    .map(({ data }) => String((data as JsonObject).returnId)) as [string, string];
  await app.publish(events);
  await vi.waitFor(() => expect(decided.has(ordinary)).toBe(true), 10_000);
  expect(decided.get(ordinary)).toMatchObject({ outcome: 'refund', decidedBy: 'policy' });
  expect(decided.has(tooMany)).toBe(false);

  const refunds = await startRefunds(join(dataDir, 'refunds.jsonl'));
  const warehouse = await startWarehouse(join(dataDir, 'warehouse.jsonl'));
  systems.push(refunds, warehouse);
  vi.stubEnv('AIOS_VAR_REFUNDS_URL', refunds.url);
  vi.stubEnv('AIOS_VAR_WAREHOUSE_URL', warehouse.url);
  await vi.waitFor(() => expect(settled).toEqual([ordinary]), 20_000);
  expect([...refunds.done.values()]).toMatchObject([{ returnId: ordinary }]);
  expect([...warehouse.done.values()]).toMatchObject([{ returnId: ordinary }]);

  // The same events again, as a client repeats them that got no answer.
  await app.publish(events);
  await app.stations.consumers.idle();
  expect(refunds.done.size).toBe(1);
});

it('what is recorded of an answer is kept under the key of the person whose data was shown', async () => {
  const { tasks } = app.stations;
  const { items } = await tasks.list({ statuses: ['open'], limit: 10 });
  const [task] = items as [(typeof items)[number]];
  const reviewer = { id: 'key_ada', name: 'Ada', roles: ['reviewer'] };
  const { contextDigest } = task;
  await tasks.complete({
    id: task.id,
    by: reviewer,
    result: { outcome: 'refuse', reason: 'more than bought' },
    contextDigest,
  });
  const entries = await database.db.query<{ entry: string; subject: string }>(
    'select entry, subject from audit_entries where object = $1',
    [`run:${task.runId}`],
  );
  const kinds = entries.map(({ entry, subject }) => [JSON.parse(entry).kind, subject !== 'nobody']);
  expect(kinds.sort()).toEqual([
    ['decision', true],
    ['task', true],
  ]);
  expect(new Set(entries.map(({ subject }) => subject)).size).toBe(1);
  expect(entries.some(({ entry }) => entry.includes(String(task.context.customer)))).toBe(false);
});

it('a guest is refused with a way back, without a person and without a refund', async () => {
  const simulation = new Simulation(9, Date.now);
  const guest = [...simulation.first(), ...Array.from({ length: 3000 }, () => simulation.next())].find(
    ({ type, data }) => type === 'return.requested' && (data as JsonObject).customerId === null,
  )!;
  await app.publish([guest]);
  const { returnId } = guest.data as JsonObject;
  await vi.waitFor(() => expect(decided.has(String(returnId))).toBe(true), 10_000);
  expect(decided.get(String(returnId))).toMatchObject({
    outcome: 'refuse',
    decidedBy: 'policy',
    reason: expect.stringContaining('can be made again'),
  });
  expect(settled).not.toContain(returnId);
});
