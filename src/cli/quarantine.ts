import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { requireKnown } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Quarantined {
  id: string;
  contract: string;
  version: string;
  event: { id: string; source: string };
  problem: { detail: string };
  arrivedAt: string;
  status: string;
}

interface Quality {
  rules: { rule: string; status: string; judgedUntil: string }[];
  windows: { rule: string; start: string; rows: number; late: number; value?: number; status: string }[];
}

interface Released {
  released: number;
  failed: { id: string; problem: { detail: string } }[];
  next?: string;
}

/** The open events of a contract that fit by now, page by page, in the order in which they came. */
async function releaseAll(client: AiosClient, contract: string): Promise<Released> {
  const all: Released = { released: 0, failed: [] };
  for (let after: string | undefined, isMore = true; isMore; isMore = after !== undefined) {
    const page: Released = await client.request('POST', '/api/v1/quarantine/release', {
      body: { contract, ...(after === undefined ? {} : { after }) },
    });
    all.released += page.released;
    all.failed.push(...page.failed);
    after = page.next;
  }
  return all;
}

/** Lists what contracts keep apart; with ids (or `--release` and a contract) releases those, or with a reason gives them up. */
export const quarantine: Action = async (options, ids) => {
  const client = await openClient(options);
  if (ids.length > 0 && options.discard) {
    for (const id of ids)
      await client.request('POST', `/api/v1/quarantine/${id}/discard`, {
        body: { reason: String(options.discard) },
      });
    print({ discarded: ids.length }, options.json, () => `${ids.length} discarded`);
    return EXIT.ok;
  }
  if (options.release && ids.length === 0 && !options.type)
    throw new AiosError('request.invalid', { detail: '--release needs ids, or --type: which contract.' });
  if (ids.length > 0 || options.release) {
    const answer =
      ids.length > 0
        ? await client.request<Released>('POST', '/api/v1/quarantine/release', { body: { ids } })
        : await releaseAll(client, String(options.type));
    if (answer.released === 0 && ids.length === 0)
      await requireKnown(client, 'contract', String(options.type));
    print(answer, options.json, () =>
      [
        `${answer.released} released`,
        ...answer.failed.map(({ id, problem }) => `${id}: ${problem.detail}`),
      ].join('\n'),
    );
    return answer.failed.length > 0 ? EXIT.failed : EXIT.ok;
  }
  const query = {
    status: String(options.status),
    ...(options.type ? { contract: String(options.type) } : {}),
  };
  const page = await readList<{ items: Quarantined[] }>(client, '/api/v1/quarantine', query, options.limit);
  const { items } = page;
  if (items.length === 0) await requireKnown(client, 'contract', options.type as string | undefined);
  print(page, options.json, () =>
    listText(
      page,
      table(
        ['id', 'contract', 'event', 'arrived', 'reason'],
        items.map(({ id, contract, version, event, problem, arrivedAt }) => [
          id,
          `${contract} ${version}`,
          event.id,
          relativeTime(arrivedAt),
          problem.detail,
        ]),
      ),
      '--type',
    ),
  );
  return EXIT.ok;
};

/** How the measured rules of a contract stand (exit code 1 while one fails). */
export const quality: Action = async (options, [name]) => {
  const client = await openClient(options);
  const answer = await client.request<Quality>(
    'GET',
    `/api/v1/contracts/${encodeURIComponent(name!)}/quality`,
  );
  if (answer.rules.length === 0) await requireKnown(client, 'contract', name);
  print(answer, options.json, () =>
    answer.rules.length === 0
      ? `${name} has no measured quality rules.`
      : [
          table(
            ['rule', 'status', 'judged until'],
            answer.rules.map(({ rule, status, judgedUntil }) => [rule, status, judgedUntil]),
          ),
          '',
          table(
            ['window', 'rule', 'events', 'late', 'value', 'status'],
            answer.windows.map(({ rule, start, rows, late, value, status }) => [
              start,
              rule,
              String(rows),
              String(late),
              String(value ?? ''),
              status,
            ]),
          ),
        ].join('\n'),
  );
  return answer.rules.some(({ status }) => status === 'failed') ? EXIT.failed : EXIT.ok;
};
