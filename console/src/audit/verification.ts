import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import {
  type Bytes,
  bundlePath,
  equal,
  fromBase64,
  fullRoot,
  leafHash,
  Roots,
  splitBundle,
  TILE_WIDTH,
  toBase64,
  verifyInclusion,
} from './merkle.ts';

/** Where the log is read from; the server in the page, an array in a test. */
export interface LogSource {
  checkpoint(): Promise<string>;
  bundle(path: string): Promise<Bytes>;
  proof(index: number, size: number): Promise<{ leafHash: string; hashes: string[] }>;
}

/** What a browser saw the last time: the log must still begin with it. */
export interface Remembered {
  verifier: string;
  size: number;
  root: string;
  at: string;
}

export interface Finding {
  name: string;
  holds: boolean;
  detail: string;
}

export interface Verification {
  findings: Finding[];
  checkpoint: Checkpoint | undefined;
}

/** Told after each bundle: entries read, of how many. */
export type Progress = (read: number, size: number) => void;

/**
 * Verifies the whole log in this browser: the signature over the checkpoint, the root from every entry, and that the log still begins with what
 * was seen before. Nothing of it is taken from the server's word except the entries themselves.
 */
export async function verifyLog(
  source: LogSource,
  verifier: string,
  remembered: Remembered | undefined,
  progress: Progress,
): Promise<Verification> {
  const findings: Finding[] = [];
  if (remembered)
    findings.push({
      name: 'Same key as before',
      holds: remembered.verifier === verifier,
      detail:
        remembered.verifier === verifier
          ? 'The log is signed with the key that this browser saw before.'
          : `This browser knows the log by another key: ${remembered.verifier}`,
    });
  let checkpoint: Checkpoint;
  try {
    checkpoint = await openCheckpoint(await source.checkpoint(), verifier);
  } catch (error) {
    findings.push({ name: 'Signature', holds: false, detail: (error as Error).message });
    return { findings, checkpoint: undefined };
  }
  const { size, origin } = checkpoint;
  findings.push({ name: 'Signature', holds: true, detail: `${origin} signed a tree of ${size} entries.` });
  const early = remembered && remembered.size <= size ? remembered.size : undefined;
  const roots = await rootsOf(source, size, early, progress);
  findings.push(ofEntries(checkpoint, roots));
  if (remembered) findings.push(beginsWith(remembered, size, roots.early));
  return { findings, checkpoint };
}

function ofEntries({ size, root }: Checkpoint, found: { size: number; whole: Bytes }): Finding {
  const name = 'Entries';
  if (found.size !== size)
    return { name, holds: false, detail: `${size} entries were signed; the server sent ${found.size}.` };
  const holds = equal(found.whole, root);
  return {
    name,
    holds,
    detail: holds
      ? `The root computed from all ${size} entries is the one that was signed: ${toBase64(root)}`
      : `The entries give the root ${toBase64(found.whole)}; ${toBase64(root)} was signed.`,
  };
}

function beginsWith(remembered: Remembered, size: number, early: Bytes | undefined): Finding {
  const name = 'Nothing was changed since';
  if (remembered.size > size)
    return {
      name,
      holds: false,
      detail: `This browser saw ${remembered.size} entries; now there are ${size}.`,
    };
  const holds = early !== undefined && toBase64(early) === remembered.root;
  return {
    name,
    holds,
    detail: holds
      ? `The log still begins with the ${remembered.size} entries that this browser verified before.`
      : `The first ${remembered.size} entries are not those that this browser verified before.`,
  };
}

async function rootsOf(source: LogSource, size: number, early: number | undefined, progress: Progress) {
  const roots = new Roots();
  let earlyRoot = early === 0 ? await roots.root() : undefined;
  for (let number = 0; number * TILE_WIDTH < size; number++) {
    const from = number * TILE_WIDTH;
    const width = Math.min(TILE_WIDTH, size - from);
    const entries = splitBundle(await source.bundle(bundlePath(number, width)));
    const leaves = await Promise.all(entries.slice(0, width).map(leafHash));
    if (leaves.length === TILE_WIDTH && !(early !== undefined && early > from && early < from + width)) {
      await roots.addSubtree(TILE_WIDTH, await fullRoot(leaves));
      if (roots.size === early) earlyRoot = await roots.root();
    } else
      for (const leaf of leaves) {
        await roots.add(leaf);
        if (roots.size === early) earlyRoot = await roots.root();
      }
    progress(roots.size, size);
  }
  return { size: roots.size, whole: await roots.root(), early: earlyRoot };
}

/** Whether one entry is where the log says, under the signed root. */
export async function verifyEntry(source: LogSource, verifier: string, index: number): Promise<Finding> {
  const name = `Entry ${index}`;
  try {
    const { size, root } = await openCheckpoint(await source.checkpoint(), verifier);
    if (index >= size)
      return { name, holds: false, detail: `The signed tree has ${size} entries so far; wait a moment.` };
    const number = Math.floor(index / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, size - number * TILE_WIDTH);
    const entry = splitBundle(await source.bundle(bundlePath(number, width)))[index % TILE_WIDTH];
    if (!entry) return { name, holds: false, detail: 'The bundle does not hold the entry.' };
    const { hashes } = await source.proof(index, size);
    const leaf = await leafHash(entry);
    const holds = await verifyInclusion(leaf, index, size, hashes.map(fromBase64), root);
    return {
      name,
      holds,
      detail: holds
        ? `It is in the log, unchanged: its bytes hash to ${toBase64(leaf)}, and ${hashes.length} more hashes lead from there to the signed root of ${size} entries.`
        : 'Its hash and the proof do not lead to the signed root.',
    };
  } catch (error) {
    return { name, holds: false, detail: (error as Error).message };
  }
}
