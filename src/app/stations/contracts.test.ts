import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { contractMigrations } from '../../contracts/migrations.ts';
import { EventConsumers } from '../../events/consumers.ts';
import { EventLog } from '../../events/log.ts';
import { eventMigrations } from '../../events/migrations.ts';
import { ManualClock } from '../../kernel/clock.ts';
import { readDocument } from '../../kernel/document.ts';
import { Definitions, definitionMigrations } from '../../store/definitions.ts';
import { Troubles } from '../../telemetry/troubles.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { createContracts, measureQuality } from './contracts.ts';

const START_MS = Date.parse('2026-03-01T00:00:00Z');
const CONTRACT = `
name: order
version: 1.0.0
owner: shop
schema: {}
quality: [{ metric: nullValues, property: total, window: PT1M, severity: warning, message: totals are told }]
`;

let database: TestDatabase;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  database = await createTestDatabase(
    [...definitionMigrations, ...eventMigrations, ...contractMigrations],
    'contractQualityPauseMs=20,consumerPollMs=20',
  );
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await database.close();
});

it('events of the log are measured by what their contract says, and what fails is an event of the log', async () => {
  const { db, commit, limits } = database;
  const clock = new ManualClock(START_MS);
  const definitions = new Definitions(db);
  const log = new EventLog({ db, commit, clock, limits });
  const consumers = new EventConsumers({ db, log, limits });
  const others = new EventConsumers({ db, log, limits });
  const auditLog = { entry: () => expect.unreachable('nothing is resolved here') };
  const stations = createContracts({ db, commit, clock, limits }, { definitions, auditLog, log });
  const { name, body } = stations.contracts.kind.parse(
    readDocument(CONTRACT, 'contracts/order.yaml'),
    new Map(),
  );
  await commit.commit([
    definitions.put({ kind: 'contract', name, body, source: CONTRACT, createdBy: 'test' }),
  ]);
  await definitions.reload();
  measureQuality({ ...stations, consumers, limits, troubles: new Troubles(limits), closers });
  await consumers.register();
  await consumers.start();

  const eventsOf = (minute: number) =>
    [5, null, 7].map((total, index) => ({
      specversion: '1.0' as const,
      id: `${minute} ${index}`,
      source: 's',
      type: 'order',
      time: new Date(START_MS + minute * 60_000 + index * 1000).toISOString(),
      data: { total },
    }));
  await log.append(eventsOf(0));
  await consumers.idle();
  clock.advanceBy(60_000 + limits.contractQualityLatenessMs);
  await vi.waitFor(
    async () => {
      const { items } = await log.search({ type: 'aios.contract.quality.failed.v1', limit: 10 });
      expect(items.map(({ event }) => event)).toMatchObject([
        {
          subject: 'order',
          time: '2026-03-01T00:01:00.000Z',
          data: { rule: 'nullValues total', value: 1, severity: 'warning', message: 'totals are told' },
        },
      ]);
    },
    { timeout: 20_000 },
  );
  expect(await stations.qualityMonitor.windows('order', 10)).toMatchObject([
    { rule: 'nullValues total', rows: 3, value: 1, status: 'failed' },
  ]);

  // While nobody counts, nothing is judged: what is in the log is not late.
  await consumers.stop();
  await log.append(eventsOf(2));
  clock.advanceBy(60_000 + limits.contractQualityLatenessMs);
  await stations.qualityMonitor.judge();
  expect(await stations.qualityMonitor.windows('order', 1)).toMatchObject([{ startMs: START_MS }]);
  measureQuality({ ...stations, consumers: others, limits, troubles: new Troubles(limits), closers });
  await others.start();
  closers.push(() => others.stop());
  await vi.waitFor(async () =>
    expect(await stations.qualityMonitor.windows('order', 1)).toMatchObject([
      { startMs: START_MS + 120_000, rows: 3, late: 0, status: 'failed' },
    ]),
  );
}, 60_000);
