import { expect, it } from 'vitest';
import {
  bytes,
  duration,
  label,
  money,
  plainNumber,
  relativeTime,
  roughMoney,
  share,
  shortId,
  wholeDuration,
} from './format.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');

it.each([
  [0.004, '< 0.01 ms'],
  [0.18, '0.18 ms'],
  [9.5, '9.5 ms'],
  [847.4, '847 ms'],
  [5_900, '5.9 s'],
  [999.7, '1 s'],
  [59_960, '1 min 0 s'],
  [64_000, '1 min 4 s'],
  [119_900, '2 min 0 s'],
  [3_599_900, '1 h 0 min'],
  [3 * 3_600_000 + 60_000, '3 h 1 min'],
  [50 * 3_600_000, '2 d 2 h'],
])('shows %d ms as %s', (ms, text) => expect(duration(ms)).toBe(text));

it.each([
  [0, '$0'],
  [2, '$0.000002'],
  [1_112, '$0.0011'],
  [25_000, '$0.025'],
  [775_000, '$0.78'],
  [12_000_000, '$12.00'],
  [1_234_567_891_000, '$1,234,567.89'],
  [-12_000_000, '−$12.00'],
])('shows %d millionths of a dollar as %s', (amount, text) => expect(money(amount)).toBe(text));

it.each([
  [0, '$0'],
  [2, '< $0.0001'],
  [100, '$0.0001'],
  [2_500, '$0.0025'],
])('shows %d millionths of a dollar in a list as %s', (amount, text) =>
  expect(roughMoney(amount)).toBe(text),
);

it.each([
  ['2026-03-01T11:59:58Z', 'now'],
  ['2026-03-01T11:59:18Z', '42s ago'],
  ['2026-03-01T11:41:00Z', '19m ago'],
  ['2026-03-01T02:00:00Z', '10h ago'],
  ['2026-03-04T12:00:01Z', 'in 3d'],
])('shows %s as %s', (at, text) => expect(relativeTime(at, NOW)).toBe(text));

it('shortens ids, but neither their kind nor their end', () => {
  expect(shortId('run_06gzv0dqbjkypdx6yjg2839n0w')).toBe('run_06gzv0…39n0w');
  expect(shortId('sha256:d349aaa7908628ca5b30')).toBe('sha256:d349aaa…a5b30');
  expect(shortId('return-48')).toBe('return-48');
});

it('names, numbers, shares and sizes are written for people', () => {
  expect(label('daysSincePurchase')).toBe('Days since purchase');
  expect(label('return_share_30d')).toBe('Return share 30d');
  expect([223.25, 0.0685115, 1_234].map(plainNumber)).toEqual(['223.25', '0.0685', '1,234']);
  expect([share(71, 100), share(1, 3), share(0, 0)]).toEqual(['71 %', '33.3 %', '–']);
  expect([bytes(900), bytes(12_619), bytes(9_500_000)]).toEqual(['900 B', '12.6 kB', '9.5 MB']);
});

it.each([
  [600, '10 min'],
  [3_600, '1 h'],
  [5_400, '1 h 30 min'],
  [172_800, '2 d'],
  [45, '45 s'],
])('shows %d seconds that somebody set as %s', (seconds, text) => expect(wholeDuration(seconds)).toBe(text));
