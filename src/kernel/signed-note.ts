import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/*
 * Signed notes (c2sp.org/signed-note) with Ed25519, and the checkpoints of a log (c2sp.org/tlog-checkpoint) that they sign.
 */

const ED25519 = Buffer.from([1]);
const KEY_ID_BYTES = 4;
const KEY_BYTES = 32;
const ROOT_BYTES = 32;
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
 * The checkpoint that a note holds, when a signature by the given key is good. The name of the key must be the origin of the log: a key that is used
 * for two logs must not let one pass for the other. Signatures of other keys, such as those of witnesses, are passed over.
 *
 * @throws Error that says what is wrong with the note or with the key
 * @example openCheckpoint(note, 'aios.local/log+1a2b3c4d+AV…').size
 */
export function openCheckpoint(note: string, verifier: string): Checkpoint {
  const { name, id, key } = splitVerifier(verifier);
  const split = note.lastIndexOf('\n\n');
  if (split === -1) throw new Error('the note has no signatures');
  const text = note.slice(0, split + 1);
  const signatures = note.slice(split + 2);
  if (!/^(\u2014 [^+\s]+ [A-Za-z0-9+/]+={0,2}\n)+$/.test(signatures))
    throw new Error('the note has something else than signatures behind its text');
  const ours = signatures
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, signer]) => signer === name)
    .map(([, , base64 = '']) => Buffer.from(base64, 'base64'))
    .filter((signature) => signature.subarray(0, KEY_ID_BYTES).toString('hex') === id);
  const isGood = (signature: Buffer) =>
    verify(null, Buffer.from(text), key, signature.subarray(KEY_ID_BYTES));
  if (ours.length === 0 || !ours.every(isGood)) throw new Error(`no good signature by ${name} (${id})`);
  return readBody(text, name);
}

/** The three lines of c2sp.org/tlog-checkpoint; lines behind them are extensions. */
function readBody(text: string, name: string): Checkpoint {
  const [origin = '', size = '', encoded = ''] = text.split('\n');
  if (origin !== name) throw new Error(`the checkpoint is of the log “${origin}”, the key of “${name}”`);
  if (!/^(0|[1-9]\d*)$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw new Error(`“${size}” is not a tree size`);
  const root = Buffer.from(encoded, 'base64');
  if (root.length !== ROOT_BYTES || root.toString('base64') !== encoded)
    throw new Error(`“${encoded}” is not a root of a tree`);
  return { origin, size: Number(size), root };
}

function splitVerifier(verifier: string): { name: string; id: string; key: KeyObject } {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(verifier);
  if (!match) throw new Error('not a verifier key of the form name+id+key');
  const [, name = '', id = '', encoded = ''] = match;
  const typed = Buffer.from(encoded, 'base64');
  const raw = typed.subarray(1);
  if (typed[0] !== ED25519[0] || raw.length !== KEY_BYTES)
    throw new Error('the verifier key is not of the type Ed25519');
  if (keyId(name, raw).toString('hex') !== id)
    throw new Error(`the verifier key is not the one that ${name}+${id} stands for`);
  return {
    name,
    id,
    key: createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' }),
  };
}

function keyId(name: string, raw: Buffer): Buffer {
  return createHash('sha256')
    .update(`${name}\n`)
    .update(ED25519)
    .update(raw)
    .digest()
    .subarray(0, KEY_ID_BYTES);
}

function rawKey(publicKey: KeyObject): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}
