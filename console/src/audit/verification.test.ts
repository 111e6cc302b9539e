import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, it } from 'vitest';
import {
  joinBundle,
  leafHash,
  rootOfHashes,
  TILE_WIDTH,
  TiledTree,
  tilePath,
} from '../../../src/kernel/merkle.ts';
import { signCheckpoint, verifierKey } from '../../../src/kernel/signed-note.ts';
import { toBase64 } from './merkle.ts';
import { type LogSource, type Remembered, verifyEntry, verifyLog } from './verification.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const origin = 'example.org/log';
const verifier = verifierKey(origin, publicKey);
const nothing = () => {};

/** A log as the server keeps it, made by the server's code; the browser's code has to come to the same. */
function logOf(size: number, change: (entry: Buffer, index: number) => Buffer = (entry) => entry) {
  const entries = Array.from({ length: size }, (_, index) => Buffer.from(`{"index":${index}}`));
  const hashes = entries.map(leafHash);
  const root = rootOfHashes(hashes);
  const tree = new TiledTree(async (level, index) => {
    if (level === 0) return hashes.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
    const full = Math.floor(hashes.length / TILE_WIDTH ** level);
    return Array.from({ length: Math.min(TILE_WIDTH, full - index * TILE_WIDTH) }, (_, at) =>
      rootOfHashes(
        hashes.slice((index * TILE_WIDTH + at) * TILE_WIDTH, (index * TILE_WIDTH + at + 1) * TILE_WIDTH),
      ),
    );
  });
  const source: LogSource = {
    checkpoint: async () => signCheckpoint({ origin, size, root }, privateKey),
    async bundle(path) {
      const number = Number(/^entries\/([x\d/]+?)(\.p|$)/.exec(path)![1]!.replace(/[x/]/g, ''));
      const width = Math.min(TILE_WIDTH, size - number * TILE_WIDTH);
      expect(`tile/${path}`).toBe(tilePath('entries', number, width));
      const from = number * TILE_WIDTH;
      return new Uint8Array(
        joinBundle(entries.slice(from, from + width).map((entry, at) => change(entry, from + at))),
      );
    },
    proof: async (index, at) => ({
      leafHash: hashes[index]!.toString('base64'),
      hashes: (await tree.inclusionProof(index, at)).map((hash) => Buffer.from(hash).toString('base64')),
    }),
  };
  return { source, root: toBase64(new Uint8Array(root)) };
}

const seen = (size: number): Remembered => ({
  verifier,
  size,
  root: logOf(size).root,
  at: '2026-01-01T00:00:00Z',
});
const holds = async (source: LogSource, remembered?: Remembered) =>
  Object.fromEntries(
    (await verifyLog(source, verifier, remembered, nothing)).findings.map((finding) => [
      finding.name,
      finding.holds,
    ]),
  );

it.each([1, 2, 3, 255, 256, 257, 511, 512, 700, 1_025])('a log of %d entries holds', async (size) => {
  expect(await holds(logOf(size).source)).toEqual({ Signature: true, Entries: true });
});

it.each([1, 100, 256, 300, 512, 600])('a log of 600 still begins with its first %d entries', async (size) => {
  expect(await holds(logOf(600).source, seen(size))).toEqual({
    'Same key as before': true,
    Signature: true,
    Entries: true,
    'Nothing was changed since': true,
  });
});

it('one changed byte in one entry is found', async () => {
  const { source } = logOf(600, (entry, index) => (index === 417 ? Buffer.from('{"index":418}') : entry));
  expect(await holds(source)).toEqual({ Signature: true, Entries: false });
});

it('a log that was written anew, or cut, is found by what was seen before', async () => {
  const other = { ...seen(300), root: logOf(299).root };
  expect((await holds(logOf(600).source, other))['Nothing was changed since']).toBe(false);
  expect((await holds(logOf(200).source, seen(300)))['Nothing was changed since']).toBe(false);
});

it('another key, a forged signature and a note without one are found', async () => {
  const stranger = generateKeyPairSync('ed25519');
  const forged = signCheckpoint({ origin, size: 3, root: new Uint8Array(32) }, stranger.privateKey);
  const { source } = logOf(3);
  expect(await holds({ ...source, checkpoint: async () => forged })).toEqual({ Signature: false });
  expect(await holds({ ...source, checkpoint: async () => 'aios\n3\nAAAA\n' })).toEqual({ Signature: false });
  const known = { ...seen(3), verifier: verifierKey(origin, stranger.publicKey) };
  expect((await holds(source, known))['Same key as before']).toBe(false);
});

it('a log of another name, a note with more behind it, and a size that is too large are found', async () => {
  const { source, root } = logOf(3);
  const note = await source.checkpoint();
  const text = `example.org/other\n3\n${root}\n`;
  const id = Buffer.from(verifier.split('+')[1]!, 'hex');
  const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString('base64');
  for (const other of [`${note}more\n`, `${text}\n— ${origin} ${signature}\n`])
    expect(await holds({ ...source, checkpoint: async () => other })).toEqual({ Signature: false });
  const more = signCheckpoint({ origin, size: 4, root: Buffer.from(root, 'base64') }, privateKey);
  const short = { checkpoint: async () => more, bundle: () => source.bundle('entries/000.p/3') };
  expect(await holds({ ...source, ...short })).toEqual({ Signature: true, Entries: false });
});

it.each([
  [0, 1],
  [5, 7],
  [256, 300],
  [599, 600],
])('entry %d of %d is proven', async (index, size) => {
  expect((await verifyEntry(logOf(size).source, verifier, index)).holds).toBe(true);
});

it('an entry that was changed, or is not there yet, is not proven', async () => {
  const changed = logOf(300, (entry, index) => (index === 5 ? Buffer.from('{}') : entry));
  expect((await verifyEntry(changed.source, verifier, 5)).holds).toBe(false);
  expect(await verifyEntry(logOf(3).source, verifier, 3)).toMatchObject({ holds: false });
});
