import { hash } from 'node:crypto';
import canonicalizeJson from 'canonicalize';
import type { Json } from './json.ts';

/** JSON in the one form that RFC 8785 allows: what is hashed or signed. */
export function canonicalize(value: Json): string {
  return canonicalizeJson(value) as string;
}

/**
 * `sha256:` and 64 hex digits over the canonical JSON of a value: equal values, equal digests.
 *
 * @example digestOf({ b: 1, a: 2 }) === digestOf({ a: 2, b: 1 })
 */
export function digestOf(value: Json): string {
  return digestOfBytes(canonicalize(value));
}

export function digestOfBytes(bytes: string | Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}
