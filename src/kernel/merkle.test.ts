import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_ROOT,
  joinBundle,
  leafHash,
  parseTileIndex,
  rootOfHashes,
  splitBundle,
  TILE_WIDTH,
  TiledTree,
  TreeFrontier,
  tilePath,
  verifyInclusion,
} from './merkle.ts';
import { openCheckpoint, signCheckpoint, verifierKey } from './signed-note.ts';

// The tree of the test vectors of RFC 6962's reference implementation (certificate-transparency, merkle_tree_test.cc).
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => leafHash(Buffer.from(hex, 'hex')));
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

function tiledTree(leaves: readonly Buffer[]): TiledTree {
  const tile = (level: number, index: number): Buffer[] => {
    const hashes =
      level === 0
        ? leaves
        : Array.from(
            { length: Math.floor(leaves.length / TILE_WIDTH ** level) },
            (_, i) => rootOfHashes(tile(level - 1, i)) as Buffer,
          );
    return hashes.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
  };
  return new TiledTree(async (level, index) => tile(level, index));
}

describe('the Merkle tree', () => {
  it.each(ROOTS.map((root, i) => [i + 1, root]))('has the known root over %i leaves', async (size, root) => {
    const frontier = new TreeFrontier();
    for (const leaf of LEAVES.slice(0, size as number)) frontier.add(leaf);
    expect(frontier.root().toString('hex')).toBe(root);
    expect(Buffer.from(await tiledTree(LEAVES).root(size as number)).toString('hex')).toBe(root);
  });

  it('over nothing is the hash of nothing', () => {
    expect(new TreeFrontier().root()).toEqual(EMPTY_ROOT);
    expect(EMPTY_ROOT.toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it('proves that a leaf is in it, and refuses another leaf or place', async () => {
    const leaves = Array.from({ length: 700 }, (_, i) => leafHash(`entry ${i}`));
    const tree = tiledTree(leaves);
    for (const size of [1, 2, 3, 255, 256, 257, 511, 512, 513, 700]) {
      const root = await tree.root(size);
      for (const index of [0, 1, 254, 255, 256, 300, 511, size - 1].filter((at) => at < size)) {
        const proof = await tree.inclusionProof(index, size);
        expect(verifyInclusion(leaves[index]!, index, size, proof, root)).toBe(true);
        expect(verifyInclusion(leafHash('forged'), index, size, proof, root)).toBe(false);
        if (size > 1)
          expect(verifyInclusion(leaves[index]!, (index + 1) % size, size, proof, root)).toBe(false);
      }
    }
  });

  it('names tiles as tlog-tiles does', () => {
    expect([tilePath(0, 0), tilePath(1, 1234), tilePath('entries', 1_234_067, 17)]).toEqual([
      'tile/0/000',
      'tile/1/x001/234',
      'tile/entries/x001/x234/067.p/17',
    ]);
    expect([
      parseTileIndex('000'),
      parseTileIndex('x001/x234/067'),
      parseTileIndex('1234'),
      parseTileIndex('x001'),
    ]).toEqual([0, 1_234_067, undefined, undefined]);
  });

  it('packs entries in bundles and refuses one that was cut', () => {
    const entries = ['', 'a', 'b'.repeat(65_535)].map((text) => Buffer.from(text));
    const bundle = joinBundle(entries);
    expect(splitBundle(bundle)).toEqual(entries);
    expect(() => splitBundle(bundle.subarray(0, -1))).toThrow(RangeError);
  });
});

describe('a signed checkpoint', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const origin = 'aios.test/log';
  const note = signCheckpoint({ origin, size: 7, root: EMPTY_ROOT }, privateKey);

  it('is opened with the key of its log', () => {
    expect(openCheckpoint(note, verifierKey(origin, publicKey))).toEqual({
      origin,
      size: 7,
      root: EMPTY_ROOT,
    });
  });

  it.each([
    ['with another key', note, verifierKey(origin, generateKeyPairSync('ed25519').publicKey)],
    ['under another name', note, verifierKey('aios.test/other', publicKey)],
    ['when its size was changed', note.replace('\n7\n', '\n8\n'), verifierKey(origin, publicKey)],
    ['without a signature', note.slice(0, note.indexOf('\n\n')), verifierKey(origin, publicKey)],
    ['with something behind its signatures', `${note}and more\n`, verifierKey(origin, publicKey)],
    ['with a line that is cut off', note.trimEnd(), verifierKey(origin, publicKey)],
  ])('is not opened %s', (_, text, key) => expect(() => openCheckpoint(text, key)).toThrow());

  /** Any text, signed by the key of the log under its name. */
  const signed = (text: string) => {
    const id = Buffer.from(verifierKey(origin, publicKey).split('+')[1]!, 'hex');
    const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]);
    return `${text}\n\u2014 ${origin} ${signature.toString('base64')}\n`;
  };
  const root = EMPTY_ROOT.toString('base64');

  it.each([
    ['of another log that has the same key', `aios.test/other\n7\n${root}\n`, /is of the log/],
    ['of a size that no number holds', `${origin}\n9007199254740993\n${root}\n`, /not a tree size/],
    ['of a root that is cut', `${origin}\n7\n${root.slice(0, 20)}\n`, /not a root/],
  ])('is not opened %s', (_, text, said) =>
    expect(() => openCheckpoint(signed(text), verifierKey(origin, publicKey))).toThrow(said),
  );

  it('is opened with extensions, and beside the signature of a witness', () => {
    const text = `${origin}\n7\n${root}\nextension\n`;
    const witnessed = `${signed(text)}\u2014 witness.test/w AAAAAAAA\n`;
    expect(openCheckpoint(witnessed, verifierKey(origin, publicKey)).size).toBe(7);
  });

  it('takes no key of another type, or with the id of another', () => {
    const [name, id, ...rest] = verifierKey(origin, publicKey).split('+');
    const encoded = rest.join('+');
    const other = Buffer.from(encoded, 'base64').with(0, 4);
    const witness = `${name}+${id}+${Buffer.from(other).toString('base64')}`;
    expect(() => openCheckpoint(note, witness)).toThrow('not of the type Ed25519');
    expect(() => openCheckpoint(note, `${name}+00000000+${encoded}`)).toThrow('is not the one that');
  });
});
