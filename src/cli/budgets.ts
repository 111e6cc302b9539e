import { AiosError } from '../kernel/errors.ts';
import { formatUsd, microUsd } from '../kernel/money.ts';
import type { Action } from './command-row.ts';
import { unknownName } from './known-names.ts';
import { EXIT, numberOf, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Budget {
  name: string;
  scope: string;
  subject: string;
  period: string;
  tokensMax?: number;
  amountMicroUsdMax?: number;
  periodEnd: string;
  uses: { subject: string; tokens: number; amountMicroUsd: number }[];
}

/** Lists budgets and how far they are used; with a name sets one, or ends it. */
export const budgets: Action = async (options, [name]) => {
  const client = await openClient(options);
  const path = `/api/v1/budgets/${encodeURIComponent(name ?? '')}`;
  if (name !== undefined && options.remove) await client.request('DELETE', path);
  else if (name !== undefined && (options.tokens !== undefined || options.usd !== undefined))
    await client.request('PUT', path, { body: bodyOf(options) });
  const page = await client.request<{ items: Budget[] }>('GET', '/api/v1/budgets');
  const shown = page.items.filter((budget) => name === undefined || options.remove || budget.name === name);
  if (name !== undefined && shown.length === 0 && !options.remove)
    throw unknownName(
      'budgets.unknown',
      'budget',
      name,
      page.items.map((budget) => budget.name),
    );
  print({ items: shown }, options.json, () => describe(shown));
  return EXIT.ok;
};

function bodyOf({ forKey, forModel, period = 'month', tokens, usd }: Record<string, unknown>) {
  if (forKey !== undefined && forModel !== undefined)
    throw new AiosError('request.invalid', {
      detail: 'A budget is over keys or over models: give --for-key or --for-model.',
    });
  const subject = (forKey ?? forModel) as string | undefined;
  const isEach = subject === undefined || subject === 'each';
  return {
    scope: forKey !== undefined ? 'key' : forModel !== undefined ? 'model' : 'all',
    ...(isEach ? {} : { subject }),
    period: period as string,
    ...(tokens === undefined ? {} : { tokensMax: numberOf('--tokens', tokens) }),
    ...(usd === undefined ? {} : { amountMicroUsdMax: microUsd(numberOf('--usd', usd)) }),
  };
}

function describe(budgets: readonly Budget[]): string {
  return table(
    ['budget', 'over', 'of a', 'tokens', 'money', 'ends'],
    budgets.flatMap((budget) => {
      const uses = budget.uses.length > 0 ? budget.uses : [{ subject: '*', tokens: 0, amountMicroUsd: 0 }];
      return uses.map(({ subject, tokens, amountMicroUsd }) => [
        budget.name,
        budget.scope === 'all' ? 'all' : `${budget.scope} ${subject === '*' ? budget.subject : subject}`,
        budget.period,
        bound(String(tokens), budget.tokensMax?.toString()),
        bound(formatUsd(amountMicroUsd), budget.amountMicroUsdMax && formatUsd(budget.amountMicroUsdMax)),
        relativeTime(budget.periodEnd),
      ]);
    }),
  );
}

function bound(used: string, max: string | number | undefined): string {
  return max === undefined ? used : `${used} of ${max}`;
}
