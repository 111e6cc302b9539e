import { expect, it } from 'vitest';
import { choicesOf, missing } from './choices.ts';
import { showContext } from './context.ts';
import { dueTone } from './due.ts';
import { attachmentOf, laterTimes, tellOf } from './happenings.ts';

const form = {
  type: 'object',
  required: ['outcome', 'reason'],
  properties: {
    outcome: { enum: ['refund', 'refuse', 'exchange'], title: 'Answer' },
    reason: { type: 'string', minLength: 3, title: 'Why' },
  },
};

it('gives every answer a key of its own: a for yes, r for no', () => {
  expect(choicesOf(form).map(({ label, key, refuses }) => [label, key, refuses])).toEqual([
    ['refund', 'a', false],
    ['refuse', 'r', true],
    ['exchange', '3', false],
  ]);
  expect(choicesOf({})).toEqual([]);
});

it('says what is missing in the words of the form', () => {
  expect(missing(form, {})).toEqual(['Answer is missing', 'Why is missing']);
  expect(missing(form, { outcome: 'refund', reason: 'ok' })).toEqual(['Why needs at least 3 characters']);
  expect(missing(form, { outcome: 'refund', reason: 'known' })).toEqual([]);
});

it('shows why a person is asked, then facts, then what has a shape of its own', () => {
  const shown = showContext({
    why: 'Too many.',
    unitsHeld: 13,
    known: true,
    price: null,
    lines: [1],
    stillHeld: 0.5,
    daysSincePurchase: 0.0000174,
    drift: -1e-7,
    turnover: 12_345_678.901,
  });
  expect(shown.why).toBe('Too many.');
  expect(shown.facts).toEqual([
    { name: 'Units held', value: '13' },
    { name: 'Known', value: 'yes' },
    { name: 'Price', value: 'not known' },
    { name: 'Still held', value: '0.5' },
    { name: 'Days since purchase', value: '< 0.001', exact: '0.0000174' },
    { name: 'Drift', value: '> −0.001', exact: '-1e-7' },
    { name: 'Turnover', value: '12,345,678.9', exact: '12345678.901' },
  ]);
  expect(shown.rest).toEqual({ lines: [1] });
});

it('a deadline presses more as it comes nearer', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const due = ['2026-01-03T00:00:00Z', '2026-01-01T01:00:00Z', '2025-12-31T23:59:59Z'];
  expect(due.map((at) => dueTone(at, now))).toEqual(['quiet', 'attention', 'bad']);
});

it('tells what happened in words of people, and what they said as they said it', () => {
  const tell = (kind: string, detail = {}) => tellOf({ id: 'h', taskId: 't', kind, at: '', detail });
  expect(tell('delegated', { to: 'Bob', text: 'You know them.' })).toEqual({
    what: 'handed it to Bob',
    said: 'You know them.',
  });
  expect(tell('escalated', { priority: 70, groups: ['fraud'], roles: ['lead'], notified: 'x' }).what).toBe(
    'nobody had answered: it is more pressing now; fraud, lead may answer too; others were told',
  );
  expect(tell('completed', { onBehalfOf: 'Ann' }).what).toBe('answered for Ann');
  const attached = { id: 'h', taskId: 't', at: '', detail: { attachment: 'att_1', name: 'a.pdf' } };
  expect(attachmentOf({ ...attached, kind: 'attached' })).toEqual({ attachment: 'att_1', name: 'a.pdf' });
  expect(attachmentOf({ ...attached, kind: 'commented' }).attachment).toBeUndefined();
  const kinds = [
    'opened',
    'seen',
    'claimed',
    'released',
    'handed-back',
    'assigned',
    'prioritized',
    'put-off',
  ];
  for (const kind of [...kinds, 'commented', 'returned', 'expired', 'canceled'])
    expect(tell(kind).what).not.toBe(kind);
});

it('offers times that lie ahead, by the clock of who puts a case off', () => {
  for (const day of [1, 2, 3, 4, 5, 6, 7]) {
    const now = new Date(2026, 5, day, 17, 30);
    const times = laterTimes(now);
    expect(times.every(({ at }) => at > now)).toBe(true);
    const monday = times.find(({ label }) => label.startsWith('Monday'))!.at;
    expect([monday.getDay(), monday.getHours()]).toEqual([1, 9]);
  }
});
