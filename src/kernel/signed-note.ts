import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/*
 * Signed notes (c2sp.org/signed-note) with Ed25519, and the checkpoints of a log (c2sp.org/tlog-checkpoint) that they sign.
 */

const ED25519 = Buffer.from([1]);
// An Ed25519 public key in SPKI form is this prefix and the 32 bytes (RFC 8410, section 4).
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export interface Checkpoint {
  origin: string;
  size: number;
  root: Uint8Array;
}

/** What verifiers are given: `<name>+<key id>+<base64 of type and key>`. */
export function verifierKey(name: string, publicKey: KeyObject): string {
  const raw = rawKey(publicKey);
  return `${name}+${keyId(name, raw).toString('hex')}+${Buffer.concat([ED25519, raw]).toString('base64')}`;
}

/** The checkpoint of a tree, signed. */
export function signCheckpoint({ origin, size, root }: Checkpoint, privateKey: KeyObject): string {
  const text = `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
  const raw = rawKey(createPublicKey(privateKey));
  const signature = Buffer.concat([keyId(origin, raw), sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n\u2014 ${origin} ${signature.toString('base64')}\n`;
}

/**
 * The checkpoint that a note holds, when a signature by the given key is good.
 *
 * @throws Error that says what is wrong with the note
 * @example openCheckpoint(note, 'aios.local/log+1a2b3c4d+AV…').size
 */
export function openCheckpoint(note: string, verifier: string): Checkpoint {
  const [name, id, encoded] = splitVerifier(verifier);
  const split = note.indexOf('\n\n');
  if (split === -1) throw new Error('the note has no signatures');
  const text = note.slice(0, split + 1);
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, Buffer.from(encoded, 'base64').subarray(1)]),
    format: 'der',
    type: 'spki',
  });
  const good = note
    .slice(split + 2)
    .split('\n')
    .some((line) => {
      const [dash, signer, base64 = ''] = line.split(' ');
      const signature = Buffer.from(base64, 'base64');
      return (
        dash === '\u2014' &&
        signer === name &&
        signature.subarray(0, 4).toString('hex') === id &&
        verify(null, Buffer.from(text), key, signature.subarray(4))
      );
    });
  if (!good) throw new Error(`no good signature by ${name} (${id})`);
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (!/^(0|[1-9]\d*)$/.test(size)) throw new Error(`“${size}” is not a tree size`);
  return { origin, size: Number(size), root: Buffer.from(root, 'base64') };
}

function splitVerifier(verifier: string): [string, string, string] {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(verifier);
  if (!match) throw new Error('not a verifier key of the form name+id+key');
  return [match[1]!, match[2]!, match[3]!];
}

function keyId(name: string, raw: Buffer): Buffer {
  return createHash('sha256').update(`${name}\n`).update(ED25519).update(raw).digest().subarray(0, 4);
}

function rawKey(publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}
