import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitBundle, TILE_WIDTH, tilePath } from '../src/kernel/merkle.ts';
import { openCheckpoint } from '../src/kernel/signed-note.ts';
import { AuditLog } from '../src/ledger/audit.ts';
import { AuditReader } from '../src/ledger/audit-reader.ts';
import { openLedgerKeys } from '../src/ledger/key-files.ts';
import { ledgerMigrations } from '../src/ledger/migrations.ts';
import { Sequencer } from '../src/ledger/sequencer.ts';
import { SubjectKeys } from '../src/ledger/subject-keys.ts';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';

const run = promisify(execFile);
const ENTRIES = 1_000;
const BUILD_MS = 60_000; // with the download of one module

/** The verifier, built; undefined where there is no Go or its module cannot be had. */
async function buildVerifier(folder: string): Promise<string | undefined> {
  const program = join(folder, 'verifier');
  const source = join(import.meta.dirname, 'audit-verifier');
  const env = { ...process.env, GOTOOLCHAIN: 'local' };
  return run('go', ['build', '-o', program, '.'], { cwd: source, env, timeout: BUILD_MS }).then(
    () => program,
    () => undefined,
  );
}

const work = await mkdtemp(join(tmpdir(), 'aios-verifier-'));
const program = await buildVerifier(work);
if (!program) await rm(work, { recursive: true });

// Says in its name why it is skipped.
describe.skipIf(!program)(
  `the audit log, held to the code of Go's checksum database${program ? '' : ' (skipped: no Go here, or no module golang.org/x/mod)'}`,
  () => {
    let database: TestDatabase;
    const log = join(work, 'log');
    const verify = () => run(program!, [log]).then(({ stdout }) => stdout.trim());
    const put = async (path: string, bytes: string | Uint8Array) => {
      await mkdir(dirname(join(log, path)), { recursive: true });
      await writeFile(join(log, path), bytes);
    };

    beforeAll(async () => {
      database = await createTestDatabase(ledgerMigrations, 'auditBatchMax=130');
      const { master, privateKey, publicKey } = await openLedgerKeys(work);
      const keys = new SubjectKeys(master);
      const origin = 'aios.test/audit';
      const { db, commit, limits } = database;
      const sequencer = new Sequencer({ db, origin, privateKey, limits });
      const audit = new AuditLog(keys, () => sequencer.notice());
      const actor = { kind: 'workflow', id: 'returns' };
      await Promise.all(
        Array.from({ length: ENTRIES }, (_, i) =>
          commit.commit([
            audit.entry({
              kind: 'decision',
              action: 'decided',
              actor,
              object: `run:${i}`,
              at: i,
              payload: { i },
            }),
          ]),
        ),
      );
      await sequencer.drain();
      await exportLog(new AuditReader({ db, keys, origin, publicKey }), put);
    });
    afterAll(async () => {
      await database?.close();
      await rm(work, { recursive: true, force: true });
    });

    it('holds: signature, root, tiles, inclusion proofs, consistency with every earlier size', async () => {
      expect(await verify()).toBe(`${ENTRIES} entries, 7 proofs`);
    });

    it.each([
      ['an entry was changed', 'entries', 40],
      ['the checkpoint was changed', 'checkpoint', 20],
      ['a tile was changed', 'tile/0/001', 40],
    ])('does not hold when %s', async (_, path, offset) => {
      const before = await readFile(join(log, path));
      const changed = Buffer.from(before);
      changed[offset]! ^= 1;
      await put(path, changed);
      await expect(verify()).rejects.toMatchObject({ code: 1 });
      await put(path, before);
    });
  },
);

/** What a mirror of the log holds, as its readers get it. */
async function exportLog(
  reader: AuditReader,
  put: (path: string, bytes: string | Uint8Array) => Promise<void>,
): Promise<void> {
  const checkpoint = (await reader.checkpoint())!;
  const { size } = openCheckpoint(checkpoint, reader.verifier);
  await put('key', reader.verifier);
  await put('checkpoint', checkpoint);
  const bundles: Uint8Array[] = [];
  for (let number = 0; number * TILE_WIDTH < size; number++) {
    const width = Math.min(TILE_WIDTH, size - number * TILE_WIDTH);
    bundles.push(await reader.bundle(number, width));
    await put(tilePath(0, number, width), await reader.tile(0, number, width));
  }
  expect(bundles.flatMap(splitBundle)).toHaveLength(size);
  await put('entries', Buffer.concat(bundles));
  const above = Math.floor(size / TILE_WIDTH);
  await put(tilePath(1, 0, above), await reader.tile(1, 0, above));
  const proofs: Record<string, string[]> = {};
  for (const index of [0, 1, 255, 256, 511, 767, size - 1])
    proofs[index] = [...(await reader.inclusionProof(index)).hashes];
  await put('proofs.json', JSON.stringify(proofs));
}
