import type { Budget, BudgetUse } from '../api/budgets.ts';
import { count, money } from '../display/format.ts';
import type { Tone } from '../display/tone.ts';

const NEAR = 0.75; // from here on somebody should look at it

/** How far one bound of a budget is used by one subject. */
export interface BudgetBar {
  readonly of: 'Tokens' | 'Money';
  readonly used: number;
  readonly reserved: number;
  readonly max: number;
  /** Parts of the bar, 0 to 100, together at most 100. */
  readonly usedPercent: number;
  readonly reservedPercent: number;
  readonly tone: Tone;
  readonly text: string;
}

/**
 * The bars of one subject, one for each bound of the budget.
 *
 * @example barsOf({ tokensMax: 100 }, { tokens: 80, reservedTokens: 0, … })[0].tone // 'attention'
 */
export function barsOf(
  { tokensMax, amountMicroUsdMax }: Pick<Budget, 'tokensMax' | 'amountMicroUsdMax'>,
  use: Omit<BudgetUse, 'subject'>,
): BudgetBar[] {
  const bars: BudgetBar[] = [];
  if (tokensMax !== undefined) bars.push(barOf('Tokens', use.tokens, use.reservedTokens, tokensMax, count));
  if (amountMicroUsdMax !== undefined)
    bars.push(barOf('Money', use.amountMicroUsd, use.reservedMicroUsd, amountMicroUsdMax, money));
  return bars;
}

function barOf(
  of: BudgetBar['of'],
  used: number,
  reserved: number,
  max: number,
  say: (amount: number) => string,
): BudgetBar {
  const usedPercent = Math.min(100, (100 * used) / max);
  return {
    of,
    used,
    reserved,
    max,
    usedPercent,
    reservedPercent: Math.min(100 - usedPercent, (100 * reserved) / max),
    tone: used >= max ? 'bad' : used + reserved >= NEAR * max ? 'attention' : 'active',
    text: `${say(used)} of ${say(max)}${reserved > 0 ? `, ${say(reserved)} held back` : ''}`,
  };
}

/** Whose it is: `each key`, `the model assistant`, `all calls`. */
export function whoseText({ scope, subject }: Pick<Budget, 'scope' | 'subject'>): string {
  if (scope === 'all') return 'all calls';
  return subject === '*' ? `each ${scope}` : `the ${scope} ${subject}`;
}

/** The subjects of a budget, those that used the largest part of it first; one that used nothing yet where there is none. */
export function usesOf(budget: Budget): readonly BudgetUse[] {
  const none = { tokens: 0, amountMicroUsd: 0, reservedTokens: 0, reservedMicroUsd: 0 };
  if (budget.uses.length === 0 && budget.subject !== '*') return [{ subject: budget.subject, ...none }];
  if (budget.uses.length === 0 && budget.scope === 'all') return [{ subject: '*', ...none }];
  const part = (use: BudgetUse) =>
    Math.max(...barsOf(budget, use).map(({ used, reserved, max }) => (used + reserved) / max));
  return [...budget.uses].sort((a, b) => part(b) - part(a));
}
