import { describe, expect, it } from 'vitest';
import type { Quota } from '../kernel/quota.ts';
import { openAiQuotaHeaders, quotaHeaders } from './quota-headers.ts';

const requests: Quota = {
  name: 'requests',
  unit: 'requests',
  limit: 200,
  remaining: 199,
  resetMs: 10,
  windowMs: 2_000,
};
const tokens: Quota = {
  ...{ name: 'fair', unit: 'tokens', limit: 200_000, remaining: 181_000 },
  ...{ resetMs: 3_600_000, windowMs: 86_400_000 },
};

describe('what is left of a limit', () => {
  it('is told in the fields of the draft, a policy for each limit', () => {
    expect(quotaHeaders([requests])).toEqual([
      ...['ratelimit-policy', '"requests";q=200;w=2'],
      ...['ratelimit', '"requests";r=199;t=1'],
    ]);
    expect(quotaHeaders([requests, tokens])).toEqual([
      ...['ratelimit-policy', '"requests";q=200;w=2, "fair";q=200000;w=86400;qu="tokens"'],
      ...['ratelimit', '"requests";r=199;t=1, "fair";r=181000;t=3600'],
    ]);
    expect(quotaHeaders([])).toEqual([]);
  });

  it('is told as OpenAI does', () => {
    expect(openAiQuotaHeaders([requests, tokens])).toEqual([
      ...['x-ratelimit-limit-requests', '200', 'x-ratelimit-remaining-requests', '199'],
      ...['x-ratelimit-reset-requests', '10ms', 'x-ratelimit-limit-tokens', '200000'],
      ...['x-ratelimit-remaining-tokens', '181000', 'x-ratelimit-reset-tokens', '1h0m0s'],
    ]);
  });

  it.each([
    [0, '0s'],
    [0.2, '1ms'],
    [999, '999ms'],
    [1_001, '2s'],
    [60_000, '1m0s'],
    [59_999.5, '1m0s'],
    [360_000, '6m0s'],
    [90_061_000, '25h1m1s'],
  ])('that is there again in %s ms is written %s', (resetMs, text) => {
    expect(openAiQuotaHeaders([{ ...requests, resetMs }]).at(-1)).toBe(text);
  });
});
