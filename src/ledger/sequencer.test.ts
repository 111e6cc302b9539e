import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { AuditLog } from './audit.ts';
import { AuditReader } from './audit-reader.ts';
import { openLedgerKeys } from './key-files.ts';
import { ledgerMigrations } from './migrations.ts';
import { Sequencer } from './sequencer.ts';
import { SubjectKeys } from './subject-keys.ts';

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-sequencer-'));
  database = await createTestDatabase(ledgerMigrations);
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

it.each([
  ['another process is at it', 'select pg_advisory_xact_lock(7700080)'],
  ['an older transaction is open', 'select pg_current_xact_id()'],
])('waits while %s, until all that was committed is in order', async (_, begin) => {
  const keys = await openLedgerKeys(folder);
  const subjects = new SubjectKeys(keys.master);
  const origin = 'aios.test/audit';
  const { db, limits, commit } = database;
  const sequencer = new Sequencer({ db, origin, privateKey: keys.privateKey, limits });
  const reader = new AuditReader({ db, keys: subjects, origin, publicKey: keys.publicKey });
  const audit = new AuditLog(subjects, () => {});
  await sequencer.drain();
  const before = await reader.size();

  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const other = db.transaction(async (tx) => {
    await tx.query(begin);
    begun.resolve();
    await end.promise;
  });
  await begun.promise;
  const actor = { kind: 'key', id: 'key_1' };
  const entry = { kind: 'decision', action: 'decided', actor, object: 'run:1', at: 0, payload: {} };
  await commit.commit([audit.entry(entry)]);
  let isDrained = false;
  const drained = sequencer.drain().then(() => {
    isDrained = true;
  });
  await db.query('select pg_sleep(0.2)'); // time for a look that gives up
  expect([isDrained, await reader.size()]).toEqual([false, before]);
  end.resolve();
  await Promise.all([other, drained]);
  expect(await reader.size()).toBe(before + 1);
});
