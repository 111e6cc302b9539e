import type { Key } from '../api/keys.ts';
import type { Tone } from '../display/tone.ts';

const DAY_MS = 86_400_000;

/** From how many days before its end on a key is marked: long enough to make another one and hand it out. */
export const EXPIRING_DAYS = 14;

export function isExpiring({ expiresAt, revokedAt }: Key, nowMs: number): boolean {
  if (expiresAt === undefined || revokedAt !== undefined) return false;
  const leftMs = Date.parse(expiresAt) - nowMs;
  return leftMs > 0 && leftMs <= EXPIRING_DAYS * DAY_MS;
}

/** A key's state in words, with what they are coloured by. */
export function stateOf(key: Key, nowMs: number): { text: string; tone: Tone } {
  if (key.revokedAt !== undefined) return { text: 'revoked', tone: 'quiet' };
  if (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= nowMs)
    return { text: 'expired', tone: 'quiet' };
  return isExpiring(key, nowMs)
    ? { text: 'expires soon', tone: 'attention' }
    : { text: 'in force', tone: 'good' };
}

/** What needs somebody first: those that expire soon, by their end; then the newest. */
export function byUrgency(keys: readonly Key[], nowMs: number): Key[] {
  const endOf = (key: Key) =>
    isExpiring(key, nowMs) ? Date.parse(key.expiresAt ?? '') : Number.POSITIVE_INFINITY;
  return keys.toSorted((a, b) => {
    const [endA, endB] = [endOf(a), endOf(b)];
    return endA === endB ? b.createdAt.localeCompare(a.createdAt) : endA - endB;
  });
}

/** When a new key ends, by the choices of the form; for good without days. */
export const LIFETIMES: readonly { value: string; label: string }[] = [
  { value: '7', label: 'in 7 days' },
  { value: '30', label: 'in 30 days' },
  { value: '90', label: 'in 90 days' },
  { value: '365', label: 'in a year' },
  { value: '', label: 'never' },
];

export function expiryOf(days: string, nowMs: number): string | undefined {
  return days === '' ? undefined : new Date(nowMs + Number(days) * DAY_MS).toISOString();
}

/** What is lost with a key, where it is more than the key: the session of who revokes it, the last way in for admins. */
export function warningsOf(key: Key, keys: readonly Key[], callerId: string | undefined): string[] {
  const isAdmin = ({ roles }: Key) => roles.includes('admin');
  const isLast = isAdmin(key) && !keys.some((other) => other.id !== key.id && isAdmin(other));
  return [
    ...(key.id === callerId ? ['You are logged in with this key: you will be logged out at once.'] : []),
    ...(isLast
      ? [
          'It is the last key of an admin. Without it nobody manages keys until AIOS starts with AIOS_ADMIN_KEY.',
        ]
      : []),
  ];
}
