import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { leafHash, splitBundle, verifyInclusion } from '../kernel/merkle.ts';
import { openCheckpoint } from '../kernel/signed-note.ts';
import type { Queryable } from '../store/database.ts';
import { GroupCommit } from '../store/group-commit.ts';
import { write } from '../store/lane.ts';
import { writeInTransaction } from '../store/write-in-transaction.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { AuditLog } from './audit.ts';
import { AuditReader } from './audit-reader.ts';
import { Costs } from './costs.ts';
import { openIdentity } from './identity.ts';
import { openLedgerKeys } from './key-files.ts';
import { Lineage } from './lineage.ts';
import { ledgerMigrations } from './migrations.ts';
import { Sequencer } from './sequencer.ts';
import { SubjectKeys } from './subject-keys.ts';

const actor = { kind: 'key', id: 'key_1' };
/** All databases of a server count their transactions together: one that another test holds open holds up the order of entries here, too. */
const PATIENT = 'auditDrainMs=100000';

describe('the audit log', () => {
  let database: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-ledger-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const open = async () => {
    const keys = await openLedgerKeys(folder);
    const subjects = new SubjectKeys(keys.master);
    const origin = 'aios.test/audit';
    const sequencer = new Sequencer({
      db: database.db,
      origin,
      privateKey: keys.privateKey,
      limits: database.limits,
    });
    return {
      subjects,
      sequencer,
      audit: new AuditLog(subjects, () => sequencer.notice()),
      reader: new AuditReader({ db: database.db, keys: subjects, origin, publicKey: keys.publicKey }),
    };
  };
  const record = (object: string, subject?: string) => ({
    kind: 'decision',
    action: 'decided',
    actor,
    object,
    subject,
    at: 0,
    payload: { about: object, secret: `of ${subject}` },
  });

  describe('with 600 entries from two writers', () => {
    beforeAll(async () => {
      database = await createTestDatabase(ledgerMigrations, `auditBatchMax=150,${PATIENT}`);
      const { audit, sequencer } = await open();
      const second = new GroupCommit(database.db, database.limits);
      const commits = Array.from({ length: 600 }, (_, i) =>
        (i % 2 ? database.commit : second).commit([audit.entry(record(`run:${i}`, `person-${i % 50}`))]),
      );
      await Promise.all([...commits, sequencer.drain()]);
      await sequencer.drain();
      await second.close();
    });

    it('stays in order when transaction numbers get a digit more', async () => {
      const { audit, reader, sequencer } = await open();
      const [{ xid } = { xid: 0 }] = await database.db.query<{ xid: number }>(
        'select pg_current_xact_id()::text::int as xid',
      );
      // Two entries per transaction around the next power of ten that is near, and a step of the sequencer between them.
      const before = await reader.size();
      for (let i = 0; i < 12; i++)
        await database.commit.commit([audit.entry(record(`digit:${i}`)), audit.entry(record(`digit:${i}b`))]);
      const wide = 10 ** String(xid).length - xid;
      if (wide < 20_000)
        await database.db.queryDynamic(
          `do $$ begin for i in 1..${wide} loop perform pg_current_xact_id(); commit; end loop; end $$`,
        );
      for (let i = 0; i < 12; i++) await database.commit.commit([audit.entry(record(`digit:${i}c`))]);
      await sequencer.drain();
      expect(await reader.verify()).toMatchObject({ valid: true, size: before + 36, problems: [] });
      await database.db.query("delete from audit_entries where object like 'digit:%'");
      await database.db.query('truncate audit_tree, audit_hashes, audit_bundles');
      await sequencer.drain();
    });
    afterAll(() => database.close());

    it('has each entry once, under a signed checkpoint', async () => {
      const { reader } = await open();
      const { size, root } = openCheckpoint((await reader.checkpoint())!, reader.verifier);
      expect(size).toBe(600);
      const entries = (
        await Promise.all([0, 1, 2].map((number) => reader.bundle(number, number === 2 ? 88 : 256)))
      ).flatMap(splitBundle);
      expect(new Set(entries.map((entry) => JSON.parse(entry.toString()).object)).size).toBe(600);
      for (const index of [0, 255, 256, 599]) {
        const proof = await reader.inclusionProof(index);
        const hashes = proof.hashes.map((hash) => Buffer.from(hash, 'base64'));
        expect(verifyInclusion(leafHash(entries[index]!), index, size, hashes, root)).toBe(true);
      }
      expect((await reader.tile(0, 1, 3)).toString('hex')).toBe(
        Buffer.concat(entries.slice(256, 259).map(leafHash)).toString('hex'),
      );
      expect(await reader.verify()).toEqual({
        valid: true,
        size: 600,
        payloads: 600,
        erased: 0,
        problems: [],
      });
    });

    it('finds entries by place and by object, newest first in lists', async () => {
      const { reader } = await open();
      const [newest] = await reader.list({ limit: 1 });
      expect(newest?.index).toBe(599);
      expect((await reader.list({ before: 300, limit: 2 })).map(({ index }) => index)).toEqual([299, 298]);
      const about = await reader.about('run:77');
      expect(about).toHaveLength(1);
      const entry = await reader.entry(about[0]!.index, true);
      expect(entry).toMatchObject({ object: 'run:77', payload: { about: 'run:77', secret: 'of person-27' } });
      expect(await reader.entry(about[0]!.index, false)).not.toHaveProperty('payload');
      await expect(reader.entry(600, true)).rejects.toMatchObject({ code: 'ledger.not_found' });
      await expect(reader.inclusionProof(600)).rejects.toMatchObject({ code: 'ledger.not_found' });
      await expect(reader.tile(0, 9)).rejects.toMatchObject({ code: 'ledger.not_found' });
    });

    it('holds no personal data in its entries, and forgets a person whose key is destroyed while every proof stays good', async () => {
      const { reader, subjects } = await open();
      expect((await reader.bundle(0)).toString()).not.toContain('person-');
      expect(await subjects.erase(database.db, 'person-7')).toBe(true);
      expect(await subjects.erase(database.db, 'person-7')).toBe(false);
      expect(await reader.verify()).toEqual({
        valid: true,
        size: 600,
        payloads: 588,
        erased: 12,
        problems: [],
      });
      const [about] = await reader.about('run:7');
      expect(await reader.entry(about!.index, true)).toMatchObject({ erased: true });
    });

    it.each([
      [
        'an entry that was changed',
        "update audit_entries set entry = replace(entry, 'decided', 'refused') where object = 'run:5'",
        /root/,
      ],
      [
        'an entry that was removed',
        "delete from audit_entries where object = 'run:599' or object = 'run:598'",
        /entries/,
      ],
    ])('notices %s', async (_, sql, problem) => {
      const { reader } = await open();
      await database.db
        .transaction(async (tx) => {
          await tx.query(sql);
          const inside = new AuditReader({
            ...(reader as never as { db: never }),
            db: { ...database.db, query: tx.query } as never,
            keys: (await open()).subjects,
            origin: reader.origin,
            publicKey: (await openLedgerKeys(folder)).publicKey,
          });
          const { valid, problems } = await inside.verify();
          expect([valid, problems.join()]).toEqual([false, expect.stringMatching(problem)]);
          throw new Error('undo');
        })
        .catch((error: Error) => {
          if (error.message !== 'undo') throw error;
        });
    });
  });

  describe('of a database that takes a change back', () => {
    beforeAll(async () => {
      database = await createTestDatabase(ledgerMigrations, PATIENT);
    });
    afterAll(() => database.close());

    it('opens what is written of a person whose key went with that change', async () => {
      const { audit, reader, sequencer } = await open();
      const fails = { name: 'fails', order: 99, write: (tx: Queryable) => tx.query('select 1 / 0') as never };
      const entry = (object: string) => audit.entry(record(object, 'ann'));
      // The first flush has itself alone; the two behind it share one, and are tried again apart.
      const outcomes = await Promise.allSettled([
        database.commit.commit([audit.entry(record('run:before'))]),
        database.commit.commit([entry('run:good')]),
        database.commit.commit([audit.entry(record('run:bad', 'bob')), write(fails, undefined)]),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
      await database.db
        .transaction(async (tx) => {
          await writeInTransaction(tx, [audit.entry(record('run:undone', 'cy'))]);
          throw new Error('undo');
        })
        .catch(() => {});
      for (const person of ['ann', 'bob', 'cy'])
        await database.commit.commit([audit.entry(record(`run:after-${person}`, person))]);
      await database.commit.commit([entry('run:good-again')]);
      await sequencer.drain();
      expect(await reader.verify()).toMatchObject({ valid: true, size: 6, payloads: 6, erased: 0 });
    });
  });

  it('refuses an entry that the format of the log cannot hold', async () => {
    const { audit } = await open();
    expect(() => audit.entry(record('x'.repeat(70_000)))).toThrow(
      expect.objectContaining({ code: 'ledger.entry_too_large' }),
    );
  });
});

describe('costs and lineage', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(ledgerMigrations);
  });
  afterAll(() => database.close());
  const pins = [
    { kind: 'model', name: 'risk', version: '3' },
    { kind: 'contract', name: 'order', version: '1.0.0' },
    { kind: 'workflow', name: 'returns', version: '2' },
  ];

  it('charge a step once, and sum by service, flow and day', async () => {
    const costs = new Costs(database.db);
    const lineage = new Lineage(database.db, systemClock);
    const charge = (runId: string, service: string, amountMicroUsd: number) =>
      costs.entry({
        runId,
        stepKey: '/do/0',
        service,
        resource: 'r',
        quantity: 1,
        unit: 'call',
        amountMicroUsd,
        at: Date.UTC(2026, 0, 1),
      });
    await database.commit.commit([
      charge('run_1', 'inference', 5),
      charge('run_1', 'people', 700),
      lineage.record({ runId: 'run_1', pins }),
    ]);
    await database.commit.commit([charge('run_1', 'inference', 5), charge('run_2', 'inference', 6)]);
    expect(await costs.groupBy('service', undefined, undefined)).toEqual([
      { key: 'people', amountMicroUsd: 700, count: 1 },
      { key: 'inference', amountMicroUsd: 11, count: 2 },
    ]);
    expect(await costs.groupBy('workflow', undefined, undefined)).toEqual([
      { key: 'returns', amountMicroUsd: 705, count: 2 },
      { key: 'none', amountMicroUsd: 6, count: 1 },
    ]);
    expect(await costs.groupBy('day', Date.UTC(2026, 0, 2), undefined)).toEqual([]);
    expect(await costs.ofRun('run_1')).toHaveLength(2);
    expect(await costs.sums(['run_1', 'run_2', 'run_3'])).toEqual(
      new Map([
        ['run_1', 705],
        ['run_2', 6],
      ]),
    );
  });

  it('lead from the event to the run, and from a version to its runs', async () => {
    const lineage = new Lineage(database.db, systemClock);
    await Promise.all(
      ['run_a', 'run_b'].map((runId) =>
        database.commit.commit([lineage.record({ runId, event: { source: 's', id: 'e' }, pins })]),
      ),
    );
    expect(await database.db.query('select digest from lineage_sets')).toHaveLength(1);
    const graph = await lineage.graph('run_a');
    expect(graph.nodes.map(({ kind }) => kind)).toEqual(['event', 'contract', 'model', 'workflow', 'run']);
    expect(graph.edges[0]).toEqual({ from: 'event:s/e', to: 'contract:order@1.0.0' });
    expect(graph.edges).toHaveLength(4);
    expect((await lineage.runsWith('model', 'risk', '3', 10)).sort()).toEqual(['run_1', 'run_a', 'run_b']);
    expect(await lineage.runsWith('model', 'risk', '4', 10)).toEqual([]);
    expect(await lineage.graph('run_unknown')).toEqual({
      nodes: [expect.objectContaining({ kind: 'run' })],
      edges: [],
    });
  });
});

it('a database belongs to the keys that it was begun with, and no others are made for it', async () => {
  const database = await createTestDatabase(ledgerMigrations);
  const [first, second, empty] = await Promise.all(
    [0, 1, 2].map(() => mkdtemp(join(tmpdir(), 'aios-ledger-'))),
  );
  const refused = (folder: string, detail: string) =>
    expect(openIdentity(database.db, folder)).rejects.toMatchObject({
      code: 'ledger.other_keys',
      message: expect.stringContaining(detail),
    });
  await openLedgerKeys(second!);
  await openIdentity(database.db, first!);
  await openIdentity(database.db, first!);
  await refused(second!, 'not those that this database was created with');
  await refused(empty!, 'has no ledger-master.key and no ledger-signing.pem');
  expect(await readdir(empty!)).toEqual([]);
  await rm(join(first!, 'ledger-master.key'));
  await refused(first!, 'has no ledger-master.key, and');
  expect(await readdir(first!)).toEqual(['ledger-signing.pem']);
  await database.close();
  await Promise.all([first, second, empty].map((folder) => rm(folder!, { recursive: true })));
});
