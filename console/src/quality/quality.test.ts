import { describe, expect, it } from 'vitest';
import { noticeOf, progressOf } from '../inbox/review-words.ts';
import { intervalText, kappaText, strengthOf } from './words.ts';

describe('agreement in words', () => {
  it.each([
    [null, null, 'not enough data'],
    [0.95, [0.85, 1], 'almost perfect'],
    [0.95, [0.5, 1], 'moderate'],
    [0.7, null, 'substantial'],
    [0.5, [0.25, 0.75], 'fair'],
    [0.4, [0.1, 0.7], 'slight or none'],
    [-0.2, [-0.5, 0.1], 'slight or none'],
  ] as const)('a kappa of %s within %j is %s: few cases prove little', (kappa, interval, word) => {
    expect(strengthOf({ kappa, interval: interval as [number, number] | null }).word).toBe(word);
  });

  it('shows figures that are missing as a dash', () => {
    expect([
      kappaText(-0.001),
      kappaText(null),
      kappaText(0.4),
      intervalText(null),
      intervalText([0.1, 0.7]),
    ]).toEqual(['0.00', '–', '0.40', '–', '0.10 to 0.70']);
  });
});

describe('a case that several people answer', () => {
  const review = {
    id: 'tsk_1',
    form: 'approvals',
    status: 'waiting',
    role: 'reviewer',
    round: 1,
    blind: false,
    people: 3,
    answered: 1,
    needed: 2,
    amendable: false,
  } as const;
  it.each([
    [{}, '2 of 3 people must approve', '1 of 3 have answered.'],
    [{ answered: 0 }, '2 of 3 people must approve', 'None of 3 has answered yet.'],
    [{ form: 'double', people: 2, blind: true }, 'without seeing each other', '1 of 2 have answered.'],
    [{ form: 'double', people: 2, role: 'adjudicator' }, 'different answers', undefined],
    [{ form: 'sample', people: 1 }, 'check of an automatic answer', undefined],
    [{ form: 'single', people: 1, round: 2 }, 'put right', undefined],
    [
      { status: 'decided', reason: '2 of 3 approved, 2 were needed.' },
      'must approve',
      '2 of 3 approved, 2 were needed.',
    ],
    [{ status: 'expired' }, 'must approve', 'Not enough people answered in time.'],
  ] as const)('says what is asked of each, without a word of the engine: %j', (changes, title, progress) => {
    const said = { ...review, ...changes };
    expect(noticeOf(said)?.title).toContain(title);
    expect(progressOf(said)).toBe(progress);
  });
  it('has nothing to say of a case with one answer', () => {
    expect(noticeOf({ ...review, form: 'single', people: 1 })).toBeUndefined();
  });
});
