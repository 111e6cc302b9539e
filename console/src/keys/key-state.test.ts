import { describe, expect, it } from 'vitest';
import { ROLES as SERVER_ROLES } from '../../../src/access/permissions.ts';
import type { Key } from '../api/keys.ts';
import { byUrgency, expiryOf, stateOf, warningsOf } from './key-state.ts';
import { ROLES } from './roles.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const key = (id: string, more: Partial<Key> = {}): Key => ({
  id,
  name: id,
  roles: ['viewer'],
  groups: [],
  createdAt: '2026-01-01T00:00:00Z',
  createdBy: 'system',
  ...more,
});

describe('keys in the console', () => {
  it('say what state they are in', () => {
    const stateAt = (more: Partial<Key>) => stateOf(key('k', more), NOW).text;
    expect(stateAt({})).toBe('in force');
    expect(stateAt({ expiresAt: '2026-06-15T00:00:01Z' })).toBe('in force');
    expect(stateAt({ expiresAt: '2026-06-15T00:00:00Z' })).toBe('expires soon');
    expect(stateAt({ expiresAt: '2026-06-01T00:00:00Z' })).toBe('expired');
    expect(stateAt({ expiresAt: '2026-06-05T00:00:00Z', revokedAt: '2026-05-01T00:00:00Z' })).toBe('revoked');
  });

  it('come by their end where that is near, then the newest first', () => {
    const keys = [
      key('old'),
      key('new', { createdAt: '2026-05-01T00:00:00Z' }),
      key('later', { expiresAt: '2026-06-09T00:00:00Z' }),
      key('soon', { expiresAt: '2026-06-02T00:00:00Z' }),
    ];
    expect(byUrgency(keys, NOW).map(({ id }) => id)).toEqual(['soon', 'later', 'new', 'old']);
  });

  it('end after the days that were chosen, or never', () => {
    expect(expiryOf('7', NOW)).toBe('2026-06-08T00:00:00.000Z');
    expect(expiryOf('', NOW)).toBeUndefined();
  });

  it('are told of as one’s own, and as the last of an admin, before they are revoked', () => {
    const admin = key('admin', { roles: ['admin'] });
    expect(warningsOf(key('k'), [admin, key('k')], 'admin')).toEqual([]);
    expect(warningsOf(admin, [admin, key('k')], 'other')).toEqual([expect.stringContaining('last key')]);
    const second = key('second', { roles: ['viewer', 'admin'] });
    expect(warningsOf(admin, [admin, second], 'admin')).toEqual([expect.stringContaining('logged out')]);
  });

  it('have each role of the server, and no other', () => {
    expect(Object.keys(ROLES).toSorted()).toEqual([...SERVER_ROLES].toSorted());
  });
});
