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
  const split = note.indexOf('\n\n');
  if (split < 0) throw new Error('The checkpoint carries no signature.');
  const text = note.slice(0, split + 1);
  const key = await crypto.subtle.importKey('raw', typed.slice(1), 'Ed25519', false, ['verify']);
  const idBytes = Uint8Array.from(id.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  for (const line of note.slice(split + 2).split('\n')) {
    const [dash, signer, base64] = line.split(' ');
    if (dash !== '—' || signer !== name || base64 === undefined) continue;
    const signature = fromBase64(base64);
    if (!equal(signature.slice(0, 4), idBytes)) continue;
    if (await crypto.subtle.verify('Ed25519', key, signature.slice(4), new TextEncoder().encode(text)))
      return readBody(text);
  }
  throw new Error(`The checkpoint has no good signature by ${name} (${id}).`);
}

function readBody(text: string): Checkpoint {
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (!/^(0|[1-9]\d*)$/.test(size)) throw new Error(`“${size}” is not a size of a tree.`);
  return { origin, size: Number(size), root: fromBase64(root) };
}
