import { expect, it } from 'vitest';
import { minutesOf } from './minutes.ts';

it('shows an hour, minute by minute, with the empty ones', () => {
  const now = Date.parse('2026-01-01T10:30:20Z');
  const minutes = minutesOf([{ at: '2026-01-01T10:29:00.000Z', count: 7 }], now);
  expect(minutes).toHaveLength(60);
  expect(minutes.at(-2)!.count).toBe(7);
  expect(minutes.reduce((sum, { count }) => sum + count, 0)).toBe(7);
});
