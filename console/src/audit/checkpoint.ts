import { type Bytes, equal, fromBase64 } from './merkle.ts';

export interface Checkpoint {
  origin: string;
  size: number;
  root: Bytes;
}

const ED25519 = 1;

/**
 * The checkpoint in a signed note (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), when the given key signed it.
 *
 * @param verifier `name+id+key`, as the log publishes it
 * @throws Error that says what does not hold
 */
export async function openCheckpoint(note: string, verifier: string): Promise<Checkpoint> {
  const match = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(verifier.trim());
  if (!match) throw new Error('This is no verifier key: it has the form name+id+key.');
  const [, name = '', id = '', encoded = ''] = match;
  const typed = fromBase64(encoded);
  if (typed[0] !== ED25519 || typed.length !== 33)
    throw new Error('The verifier key is not of the type Ed25519.');
  const split = note.lastIndexOf('\n\n');
  if (split < 0) throw new Error('The checkpoint carries no signature.');
  const text = note.slice(0, split + 1);
  const signatures = note.slice(split + 2);
  if (!/^(— [^+\s]+ [A-Za-z0-9+/]+={0,2}\n)+$/.test(signatures))
    throw new Error('The checkpoint has something else than signatures behind its text.');
  const key = await crypto.subtle.importKey('raw', typed.slice(1), 'Ed25519', false, ['verify']);
  const idBytes = Uint8Array.from(id.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  for (const line of signatures.trimEnd().split('\n')) {
    const [, signer, base64 = ''] = line.split(' ');
    if (signer !== name) continue;
    const signature = fromBase64(base64);
    if (!equal(signature.slice(0, 4), idBytes)) continue;
    if (await crypto.subtle.verify('Ed25519', key, signature.slice(4), new TextEncoder().encode(text)))
      return readBody(text, name);
  }
  throw new Error(`The checkpoint has no good signature by ${name} (${id}).`);
}

function readBody(text: string, name: string): Checkpoint {
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (origin !== name) throw new Error(`The checkpoint is of the log “${origin}”, the key of “${name}”.`);
  if (!/^(0|[1-9]\d*)$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw new Error(`“${size}” is not a size of a tree.`);
  return { origin, size: Number(size), root: fromBase64(root) };
}
