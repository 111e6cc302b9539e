import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openExample } from '../examples/returns/example-under-test.ts';
import { Simulation } from '../examples/returns/simulator.ts';
import { openCheckpoint, signCheckpoint } from '../src/kernel/signed-note.ts';
import { openLedgerKeys } from '../src/ledger/key-files.ts';
import { runCommand } from './command-line.ts';

const run = promisify(execFile);
const BUILD_MS = 60_000; // with the download of one module
/** More than a whole tile of the lowest level (256), so that the level above has one, and less than two of them. */
const ENTRIES_MIN = 300;
/** They leave about 420 entries. */
const EVENTS = 1_000;

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
  `the audit log of a running example, held to the code of Go's checksum database${program ? '' : ' (skipped: no Go here, or no module golang.org/x/mod)'}`,
  () => {
    let example: Awaited<ReturnType<typeof openExample>>;
    const kept = join(work, 'kept');
    const log = join(work, 'log');
    let sizes: { kept: number; log: number };

    const aios = async (...args: string[]) => {
      const { code, said } = await runCommand([
        ...['--url', example.app.url, '--key', example.app.adminKey, '--json'],
        ...args,
      ]);
      expect([args, code, said]).toEqual([args, 0, expect.stringMatching(/^\{/)]);
      return JSON.parse(said);
    };
    const exported = async (folder: string, entriesMin: number): Promise<number> => {
      await vi.waitFor(async () => {
        const { items } = await aios('audit', '--limit', '1');
        expect(items[0]?.index ?? 0).toBeGreaterThanOrEqual(entriesMin);
      }, 30_000);
      return (await aios('audit', '--export', folder)).size;
    };
    const verify = (folder: string, checkpoint = join(kept, 'checkpoint')) =>
      run(program!, [folder, checkpoint]).then(({ stdout }) => stdout.trim());

    beforeAll(async () => {
      example = await openExample();
      const simulation = new Simulation(7, Date.now);
      await example.app.publish(simulation.first());
      sizes = { kept: await exported(kept, 1), log: 0 };
      await example.app.publish(Array.from({ length: EVENTS }, () => simulation.next()));
      sizes.log = await exported(log, Math.max(sizes.kept, ENTRIES_MIN));
      const proofs: Record<string, string[]> = {};
      for (const index of [0, 1, 255, 256, sizes.log - 1]) {
        const url = `${example.app.url}/api/v1/audit/proof?index=${index}&size=${sizes.log}`;
        const answer = await fetch(url, { headers: { authorization: `Bearer ${example.app.adminKey}` } });
        proofs[index] = ((await answer.json()) as { hashes: string[] }).hashes;
      }
      await writeFile(join(log, 'proofs.json'), JSON.stringify(proofs));
    }, 90_000);
    afterAll(async () => {
      await example?.close();
      await rm(work, { recursive: true, force: true });
    });

    it('holds: signature, root, every tile, the proofs of the server, and that it goes on from a checkpoint kept before', async () => {
      expect(sizes.kept).toBeLessThan(sizes.log);
      expect(await verify(log)).toBe(`${sizes.log} entries, 5 proofs, goes on from ${sizes.kept}`);
      expect(await verify(kept)).toBe(`${sizes.kept} entries, 0 proofs, goes on from ${sizes.kept}`);
    });

    it.each([
      ['an entry was changed', 'tile/entries/000', 40],
      ['the checkpoint was changed', 'checkpoint', 20],
      ['a tile was changed', 'tile/0/000', 40],
      ['a tile of the level above was changed', 'tile/1/000.p/1', 5],
      ['a proof was changed', 'proofs.json', 12],
    ])('does not hold when %s', async (_, path, offset) => {
      const copy = await mkdtemp(join(work, 'changed-'));
      await cp(log, copy, { recursive: true });
      const bytes = await readFile(join(copy, path));
      await writeFile(join(copy, path), bytes.with(offset, bytes[offset]! ^ 1));
      await expect(verify(copy)).rejects.toMatchObject({ code: 1 });
    });

    it('does not hold against a checkpoint of another history, though its signature is good', async () => {
      const note = await readFile(join(kept, 'checkpoint'), 'utf8');
      const verifier = await readFile(join(kept, 'log.vkey'), 'utf8');
      const { origin, size, root } = openCheckpoint(note, verifier.trim());
      const { privateKey } = await openLedgerKeys(example.dataDir, true);
      const other = join(work, 'other-checkpoint');
      await writeFile(other, signCheckpoint({ origin, size, root: root.with(0, root[0]! ^ 1) }, privateKey));
      await expect(verify(log, other)).rejects.toMatchObject({ code: 1 });
      await writeFile(other, signCheckpoint({ origin, size, root }, privateKey));
      expect(await verify(log, other)).toContain(`goes on from ${size}`);
    });
  },
);
