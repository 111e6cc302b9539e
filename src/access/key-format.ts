import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_BYTES = 18; // 144 bits: 25 digits of base62
const SHAPE = /^aios_([a-z]+)_([0-9A-Za-z]{22,})_([0-9A-Za-z]{6})$/;

/** What a secret is for: scanners and people see it without looking it up. */
export type SecretKind = 'key' | 'login' | 'session';

/** `aios_<kind>_<secret>_<checksum>`: found by secret scanners, and a typing error is seen without a look-up. */
export function newSecret(kind: SecretKind): string {
  const body = `aios_${kind}_${base62(BigInt(`0x${randomBytes(SECRET_BYTES).toString('hex')}`), 25)}`;
  return `${body}_${checksum(body)}`;
}

/** True for a text of the right form whose checksum fits: what a look-up is worth. */
export function isSecret(text: string, kind: SecretKind): boolean {
  const match = SHAPE.exec(text);
  return match !== null && match[1] === kind && checksum(text.slice(0, text.lastIndexOf('_'))) === match[3];
}

/** What is stored. The secret has 144 bits of chance in it: a slow hash would protect nothing (NIST SP 800-63B, 5.1.1.2 is about passwords). */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function checksum(text: string): string {
  return base62(BigInt(crc32(text)), 6);
}

function base62(value: bigint, digits: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= 62n) text = ALPHABET[Number(rest % 62n)] + text;
  return text.padStart(digits, '0');
}
