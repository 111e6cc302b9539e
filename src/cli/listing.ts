import type { AiosClient } from '../client/client.ts';
import { countOf } from './output.ts';

/** What the server gives at once: `PAGE_COUNT_MAX` there. */
export const PAGE_ITEMS = 500;

interface Page {
  items: unknown[];
  /** Of more than these; null or absent of all. */
  nextCursor?: string | null;
  /** Of a search that ended at what it may look at: going on is for who narrows it. */
  isBounded?: boolean;
}

/**
 * The first items of a list, as many as `--limit` says: in pages, where that is more than one of them. `nextCursor` is what goes on behind them.
 *
 * @throws AiosError `request.invalid` for a limit that is not a whole number from 1 on
 * @example const page = await readList<{ items: Run[] }>(client, '/api/v1/runs', { workflow: 'returns' }, '20')
 */
export async function readList<Shape extends { items: unknown[] }>(
  client: AiosClient,
  path: string,
  query: Readonly<Record<string, string | number | boolean | undefined>>,
  limit: unknown,
): Promise<Shape & Page> {
  const wanted = countOf('--limit', limit);
  const ask = (had: number, cursor?: string) =>
    client.request<Shape & Page>('GET', path, {
      query: { ...query, limit: Math.min(wanted - had, PAGE_ITEMS), cursor },
    });
  let page = await ask(0);
  const items = page.items;
  while (page.nextCursor && !page.isBounded && items.length < wanted) {
    page = await ask(items.length, page.nextCursor);
    items.push(...page.items);
  }
  return { ...page, items };
}

/**
 * A list under which it says when there is more: what is not shown must not look as if it were not there.
 *
 * @param narrowing options of the command that make the list shorter
 * @example listText(page, table(['run'], rows), '--workflow or --status') // '…\nThere are more than these 20: --limit 200 shows more, …'
 */
export function listText({ items, nextCursor }: Page, text: string, narrowing?: string): string {
  if (!nextCursor) return text;
  const less = narrowing === undefined ? '' : `, or narrow the list by ${narrowing}`;
  const these = items.length === 1 ? 'this one' : `these ${items.length}`;
  return `${text}\nThere are more than ${these}: --limit ${items.length * 10} shows more${less}.`;
}
