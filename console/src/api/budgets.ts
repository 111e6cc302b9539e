import { queryOptions } from '@tanstack/react-query';
import { get } from './request.ts';
import type { Page } from './shapes.ts';

/** What one subject used in the period that is on, and what is held back for calls that are under way. */
export interface BudgetUse {
  subject: string;
  tokens: number;
  amountMicroUsd: number;
  reservedTokens: number;
  reservedMicroUsd: number;
}

export interface Budget {
  name: string;
  scope: string;
  /** `*`: each of them apart. */
  subject: string;
  period: string;
  tokensMax?: number;
  amountMicroUsdMax?: number;
  periodEnd: string;
  uses: BudgetUse[];
}

export const budgetsQuery = queryOptions({
  queryKey: ['budgets'],
  queryFn: () => get<Page<Budget>>('/api/v1/budgets'),
});
