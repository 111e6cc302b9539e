import { readFile } from 'node:fs/promises';
import { leafHash, TreeFrontier, verifyInclusion } from '../kernel/merkle.ts';
import { openCheckpoint } from '../kernel/signed-note.ts';
import { entriesOf, folderLog, serverLog, verifierOf } from './audit-copy.ts';
import type { Action } from './command-row.ts';
import { PayloadCheck } from './evidence.ts';
import { EXIT, print } from './output.ts';
import { openClient } from './session.ts';

const SAMPLES = 20;

/**
 * Verifies the audit log on this machine, trusting nobody but the key: the checkpoint's signature, the root recomputed from every entry, and a
 * sample of inclusion proofs: the server's, or those of the tiles of a copy. Exit code 1 when anything does not hold.
 */
export const verify: Action = async (options) => {
  const { logKey: keyFile, from: folder, checkpoint } = options as Record<string, string | undefined>;
  const log = folder === undefined ? serverLog(await openClient(options)) : folderLog(folder);
  const verifier = await verifierOf(log, keyFile);
  const note = await log.checkpoint();
  const { origin, size, root } = openCheckpoint(note, verifier);
  const kept = checkpoint === undefined ? undefined : new Kept(await readFile(checkpoint, 'utf8'), verifier);
  const frontier = new TreeFrontier();
  const sampled: { index: number; hash: Buffer }[] = [];
  const payloads = folder === undefined ? undefined : await PayloadCheck.open(folder);
  for await (const entry of entriesOf(log, size)) {
    const hash = leafHash(entry);
    if (frontier.size % Math.max(1, Math.floor(size / SAMPLES)) === 0)
      sampled.push({ index: frontier.size, hash });
    payloads?.hold(frontier.size, entry);
    frontier.add(hash);
    kept?.look(frontier);
  }
  const problems: string[] = [...(payloads?.problems ?? []), ...(kept?.problems() ?? [])];
  if (frontier.size !== size) problems.push(`the checkpoint says ${size} entries; ${frontier.size} came`);
  if (Buffer.compare(frontier.root(), root) !== 0)
    problems.push('the root of the entries is not the one that was signed');
  for (const { index, hash } of sampled) {
    const proof = await log.proof(index, size);
    if (!verifyInclusion(hash, index, size, proof, root))
      problems.push(`the proof of entry ${index} does not hold`);
  }
  const answer = {
    valid: problems.length === 0,
    origin,
    size,
    root: Buffer.from(root).toString('base64'),
    proofsChecked: sampled.length,
    ...(kept && { continues: kept.size }),
    ...(payloads && { payloads: payloads.agreeing, erased: payloads.erased }),
    key: verifier,
    problems,
  };
  print(answer, options.json, () =>
    answer.valid
      ? `The log ${origin} holds: ${size} entries, root ${answer.root}, signature good, ${sampled.length} proofs checked.${kept ? `\nIt goes on from the ${kept.size} entries of ${checkpoint}.` : ''}${payloads ? `\n${payloads.agreeing} payloads agree with their entries; ${payloads.erased} were erased.` : ''}\nKey: ${verifier}${keyFile ? '' : `  (told by the ${folder ? 'copy' : 'server'}; keep it, and give it next time with --log-key FILE)`}`
      : `The log does NOT hold:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
  );
  return answer.valid ? EXIT.ok : EXIT.failed;
};

/** A checkpoint that somebody took away earlier: the log of today must begin with what it counted. */
class Kept {
  readonly size: number;
  readonly #root: Uint8Array;
  #isSame = false;

  /** @throws Error for a note that the key did not sign */
  constructor(note: string, verifier: string) {
    const { size, root } = openCheckpoint(note, verifier);
    this.size = size;
    this.#root = root;
  }

  look(frontier: TreeFrontier): void {
    if (frontier.size === this.size) this.#isSame = Buffer.compare(frontier.root(), this.#root) === 0;
  }

  problems(): string[] {
    if (this.#isSame) return [];
    return [
      `it does not go on from the ${this.size} entries of the checkpoint that was kept: entries were changed or taken out, or a backup was restored`,
    ];
  }
}
