import type { Quota } from '../kernel/quota.ts';

/**
 * What is left of limits, in the fields of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` says what there is in a window, `RateLimit` what is left of it
 * and in how many seconds it is all there again.
 *
 * @returns name, value, name, value; nothing where no limit is
 * @example quotaHeaders([quota]) // ['ratelimit-policy', '"requests";q=200;w=2', 'ratelimit', '"requests";r=199;t=1']
 */
export function quotaHeaders(quotas: readonly Quota[]): string[] {
  if (quotas.length === 0) return [];
  const policies = quotas.map(
    ({ name, unit, limit, windowMs }) =>
      `"${name}";q=${limit};w=${seconds(windowMs)}${unit === 'requests' ? '' : `;qu="${unit}"`}`,
  );
  const left = quotas.map(({ name, remaining, resetMs }) => `"${name}";r=${remaining};t=${seconds(resetMs)}`);
  return ['ratelimit-policy', policies.join(', '), 'ratelimit', left.join(', ')];
}

/**
 * The same as OpenAI documents it (platform.openai.com/docs/guides/rate-limits, "Rate limits in headers").
 *
 * @example openAiQuotaHeaders([quota]) // ['x-ratelimit-limit-requests', '200', 'x-ratelimit-remaining-requests', '199', 'x-ratelimit-reset-requests', '10ms']
 */
export function openAiQuotaHeaders(quotas: readonly Quota[]): string[] {
  return quotas.flatMap(({ unit, limit, remaining, resetMs }) => [
    ...[`x-ratelimit-limit-${unit}`, String(limit)],
    ...[`x-ratelimit-remaining-${unit}`, String(remaining)],
    ...[`x-ratelimit-reset-${unit}`, goDuration(resetMs)],
  ]);
}

/** As Go writes durations, rounded up. @example goDuration(360_000) // '6m0s' */
function goDuration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return whole === 0 ? '0s' : `${whole}ms`;
  const all = seconds(whole);
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor((all % 3600) / 60);
  return `${hours > 0 ? `${hours}h` : ''}${all >= 60 ? `${minutes}m` : ''}${all % 60}s`;
}

const seconds = (ms: number) => Math.ceil(ms / 1000);
