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
  database = await createTestDatabase(ledgerMigrations, 'auditDrainMs=100000');
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const ENTRY = {
  ...{ kind: 'decision', action: 'decided', object: 'run:1', at: 0, payload: {} },
  actor: { kind: 'key', id: 'key_1' },
};

async function open(limits = database.limits) {
  const { db } = database;
  const { master, privateKey, publicKey } = await openLedgerKeys(folder);
  const keys = new SubjectKeys(master);
  const origin = 'aios.test/audit';
  return {
    sequencer: new Sequencer({ db, origin, privateKey, limits }),
    reader: new AuditReader({ db, keys, origin, publicKey }),
    audit: new AuditLog(keys, () => {}),
  };
}

it.each([
  ['another process is at it', 'select pg_advisory_xact_lock(7700080)'],
  ['an older transaction is open', 'select pg_current_xact_id()'],
])('waits while %s, until all that was committed is in order', async (_, begin) => {
  const { sequencer, reader, audit } = await open();
  const { db, commit } = database;
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
  await commit.commit([audit.entry(ENTRY)]);
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

it('waits no longer than auditDrainMs, and puts the rest in order later', async () => {
  const { db, limits, commit } = database;
  const { sequencer, reader, audit } = await open({ ...limits, auditDrainMs: 1 });
  const patient = (await open()).sequencer;
  await patient.drain();
  const before = await reader.size();
  await db.transaction(async (older) => {
    await older.query('select pg_current_xact_id()');
    await commit.commit([audit.entry(ENTRY)]);
    await sequencer.drain();
    expect(await reader.size()).toBe(before);
  });
  await patient.drain();
  expect(await reader.size()).toBe(before + 1);
});
