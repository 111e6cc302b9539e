import { describe, expect, it } from 'vitest';
import type { Budget } from '../api/budgets.ts';
import { barsOf, usesOf, whoseText } from './budget-bars.ts';

const use = (tokens: number, reservedTokens = 0, amountMicroUsd = 0, subject = 'key_1') => ({
  subject,
  tokens,
  reservedTokens,
  amountMicroUsd,
  reservedMicroUsd: 0,
});
const budget: Budget = {
  name: 'b',
  scope: 'key',
  subject: '*',
  period: 'day',
  periodEnd: '',
  uses: [],
  tokensMax: 100,
};

describe('the bars of a budget', () => {
  it.each([
    ['is quiet below three quarters', use(74), 'active', 74, 0, '74 of 100'],
    ['is near with what is held back', use(60, 15), 'attention', 60, 15, '60 of 100, 15 held back'],
    ['is over at its bound', use(100), 'bad', 100, 0, '100 of 100'],
    ['does not grow past its end', use(150, 50), 'bad', 100, 0, '150 of 100, 50 held back'],
    ['keeps what is held back within its end', use(90, 50), 'attention', 90, 10, '90 of 100, 50 held back'],
  ])('%s', (_, used, tone, usedPercent, reservedPercent, text) => {
    expect(barsOf(budget, used)).toMatchObject([{ of: 'Tokens', tone, usedPercent, reservedPercent, text }]);
  });

  it('are one for each bound', () => {
    expect(barsOf({ tokensMax: 10, amountMicroUsdMax: 2_000_000 }, use(1, 0, 500_000))).toMatchObject([
      { of: 'Tokens', usedPercent: 10 },
      { of: 'Money', usedPercent: 25, text: '$0.50 of $2.00' },
    ]);
  });

  it('stand with whose they are, the fullest first', () => {
    expect(whoseText({ scope: 'all', subject: '*' })).toBe('all calls');
    expect(whoseText({ scope: 'key', subject: '*' })).toBe('each key');
    expect(whoseText({ scope: 'model', subject: 'assistant' })).toBe('the model assistant');
    const uses = [use(1, 0, 0, 'a'), use(50, 0, 0, 'b'), use(2, 49, 0, 'c')];
    expect(usesOf({ ...budget, uses }).map(({ subject }) => subject)).toEqual(['c', 'b', 'a']);
    expect(usesOf(budget)).toEqual([]);
    expect(usesOf({ ...budget, scope: 'model', subject: 'm' })).toMatchObject([{ subject: 'm', tokens: 0 }]);
    expect(usesOf({ ...budget, scope: 'all' })).toMatchObject([{ subject: '*', tokens: 0 }]);
  });
});
