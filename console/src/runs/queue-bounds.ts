import type { RunQueue } from '../api/shapes.ts';

/** What a queue holds its runs to, in words. */
export function boundsOf(body: RunQueue['body']): string {
  if (!body) return 'left to the workers by processes that take no runs';
  const { concurrency, perKey, perWorker, rate, fairness, hold } = body;
  const bounds = [
    concurrency !== undefined && `${concurrency} at once`,
    perKey !== undefined && `${perKey} of a key`,
    perWorker !== undefined && `${perWorker} in a process`,
    rate && `${rate.limit} in ${typeof rate.period === 'string' ? rate.period : JSON.stringify(rate.period)}`,
    (fairness === 'key' || perKey !== undefined) && 'keys take turns',
    hold === 'whole' && 'slots are kept while runs wait',
  ].filter(Boolean);
  return bounds.length > 0 ? bounds.join(' · ') : 'no bounds';
}
