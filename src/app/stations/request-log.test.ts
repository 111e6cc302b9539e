import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { digestOf } from '../../kernel/canonical.ts';
import { ManualClock } from '../../kernel/clock.ts';
import type { Json } from '../../kernel/json.ts';
import { AuditLog } from '../../ledger/audit.ts';
import { openLedgerKeys } from '../../ledger/key-files.ts';
import { ledgerMigrations } from '../../ledger/migrations.ts';
import { SubjectKeys } from '../../ledger/subject-keys.ts';
import { servingMigrations } from '../../serving/traffic/request-log-lane.ts';
import { servingUnderTest } from '../../serving/traffic/traffic-under-test.ts';
import { POLLED } from '../../store/changes.ts';
import { Troubles } from '../../telemetry/troubles.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import type { Ground } from './ground.ts';
import { createRequestLog } from './request-log.ts';

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-requests-'));
  database = await createTestDatabase([...servingMigrations, ...ledgerMigrations]);
});
afterAll(async () => {
  await database?.close();
  await rm(folder, { recursive: true, force: true });
});

it('an audit entry proves what the rows of sampled requests keep', async () => {
  const keys = new SubjectKeys((await openLedgerKeys(folder)).master);
  const auditLog = new AuditLog(keys, () => {});
  const clock = new ManualClock(1_800_000_000_000);
  const closers: Ground['closers'] = [];
  const ground = {
    ...database,
    clock,
    troubles: new Troubles(database.limits),
    dataDir: folder,
    takesRuns: true,
    functions: [],
    featureFunctions: {},
    modelFunctions: {},
    changes: POLLED,
    closers,
  };
  const requestLog = createRequestLog(ground, auditLog);
  const options = { log: { sample: 1, redact: ['a'] } };
  const { serving } = servingUnderTest({ 'risk/1': { options } }, { requestLog });
  const caller = { kind: 'key', id: 'key_1' };
  await serving.score({ model: 'risk', features: { a: 2, b: 3 }, caller });
  await expect(serving.score({ model: 'risk', features: { a: 'x' } })).rejects.toThrow();
  await vi.waitFor(async () => expect(await requestLog.read({ model: 'risk' }, 10)).toHaveLength(2));
  const logged = await requestLog.read({ model: 'risk' }, 10);
  const entries = await database.db.query<{ entry: string; subject: string; payload: Buffer }>(
    'select entry, subject, payload from audit_entries',
  );
  expect(entries.length).toBeLessThanOrEqual(2); // those of one pause have one
  const recorded = new Map<string, Record<string, Json>>();
  for (const { entry, subject, payload } of entries) {
    const leaf = JSON.parse(entry) as { object: string };
    expect(leaf).toMatchObject({ kind: 'inference', action: 'sampled', actor: { id: 'serving' } });
    const plain = await keys.decrypt(database.db, subject, payload);
    const { requests } = JSON.parse(plain!.subarray(16).toString()) as { requests: Record<string, Json>[] };
    for (const request of requests) recorded.set(`${leaf.object} ${request.id}`, request);
  }
  expect(recorded.size).toBe(2);
  for (const row of logged)
    expect(recorded.get(`${row.auditObject} ${row.id}`)).toEqual({
      id: row.id,
      model: 'risk',
      version: 1,
      status: row.status,
      caller: row.caller ?? null,
      requestDigest: digestOf(row.request as Json),
      answerDigest: digestOf((row.answer ?? row.error) as Json),
    });
  serving.close();
  for (const close of closers) await close();
});
