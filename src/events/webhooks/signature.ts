import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { AiosError } from '../../kernel/errors.ts';

const PREFIX = 'whsec_';
const BYTES_MIN = 24;
const BYTES_MAX = 64;

/** A secret as Standard Webhooks writes it: `whsec_` and 32 random bytes in base64. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/** @throws AiosError `webhooks.invalid` unless it is `whsec_` and 24 to 64 bytes in base64 */
export function checkSecret(secret: string): string {
  const bytes = keyOf(secret).length;
  const isWhole = PREFIX + keyOf(secret).toString('base64') === secret;
  if (!secret.startsWith(PREFIX) || !isWhole || bytes < BYTES_MIN || bytes > BYTES_MAX)
    throw new AiosError('webhooks.invalid', { detail: 'The secret is not of the form whsec_….' });
  return secret;
}

const keyOf = (secret: string) => Buffer.from(secret.slice(PREFIX.length), 'base64');

/**
 * The headers of a message (Standard Webhooks, "Signature scheme"): HMAC-SHA256 over `id.timestamp.payload`, one signature for each secret in force, so that a
 * receiver may change to a new secret at any moment of a rotation.
 *
 * @param timestampS seconds since the epoch, of this attempt
 * @example webhookHeaders('msg_1', 1_700_000_000, '{}', [secret])['webhook-signature'] // 'v1,…'
 */
export function webhookHeaders(
  id: string,
  timestampS: number,
  payload: string,
  secrets: readonly string[],
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const signed = `${id}.${timestampS}.${payload}`;
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', keyOf(secret)).update(signed).digest('base64')}`,
  );
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatures.join(' '),
  };
}

/** Secrets as they lie in the database: AES-256-GCM under a key that does not, so that a copy of the database signs nothing. */
export class SecretBox {
  readonly #key: Buffer;

  /** @param key 32 bytes */
  constructor(key: Uint8Array) {
    this.#key = Buffer.from(key);
  }

  seal(text: string): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** Nothing where it was sealed under another key. */
  open(sealed: string): string | undefined {
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(12, 28));
    const text = decipher.update(bytes.subarray(28));
    try {
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    } catch {
      return undefined; // its tag is not that of this key
    }
  }
}
