/**
 * How long a server wants to be left alone, in milliseconds: the header `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
 *
 * @returns undefined where the header is absent or neither of both
 * @example retryAfterMs('90') // 90_000
 */
export function retryAfterMs(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string') return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
