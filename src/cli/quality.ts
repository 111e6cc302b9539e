import type { JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, pastTime, print, table } from './output.ts';
import { openClient } from './session.ts';

interface Kappa {
  count: number;
  agreement: number;
  kappa: number | null;
  interval: [number, number] | null;
}

interface Quality {
  answers: number;
  from: string;
  to: string;
  reviewers: {
    method: string;
    overall: Kappa;
    pairs: (Kappa & { rows: string; columns: string })[];
    adjudicated: number;
  };
  suggestion: { blind: Kappa; shown: Kappa };
  routes: { band: number; route: string; cases: number; sampled: number }[];
}

/** How far the people of a queue agree, with each other and with what was suggested. */
export const quality: Action = async (options, [queue]) => {
  const client = await openClient(options);
  const { from, to } = options as Record<string, string | undefined>;
  const found = await client.request<Quality>('GET', `/api/v1/queues/${queue}/quality`, {
    query: { from: pastTime(from), to: pastTime(to) },
  });
  print(found, options.json, () => {
    const { reviewers, suggestion, routes, answers } = found;
    const rows = [
      ['all reviewers', ...figures(reviewers.overall)],
      ...reviewers.pairs.map((pair) => [`${pair.rows} and ${pair.columns}`, ...figures(pair)]),
      ['people and suggestion, unseen', ...figures(suggestion.blind)],
      ['people and suggestion, seen', ...figures(suggestion.shown)],
    ];
    const routed = routes.map(({ band, route, cases, sampled }) => [
      String(band),
      route,
      String(cases),
      String(sampled),
    ]);
    return [
      `${answers} answers from ${found.from} to ${found.to}; ${reviewers.adjudicated} were decided by an adjudicator`,
      table(['', 'cases', 'agreement', 'kappa', '95 %'], rows),
      ...(routed.length > 0 ? [table(['band', 'goes to', 'cases', 'sampled'], routed)] : []),
    ].join('\n\n');
  });
  return EXIT.ok;
};

/** Writes the answers of a queue as JSON lines, one labelled example each. */
export const labels: Action = async (options, [verb]) => {
  const { queue, from, to } = options as Record<string, string | undefined>;
  if (verb !== 'export' || queue === undefined) {
    process.stderr.write('Say: aios labels export --queue <name>\n');
    return EXIT.usage;
  }
  const client = await openClient(options);
  let cursor: string | undefined;
  do {
    const page: { items: JsonObject[]; nextCursor: string | null } = await client.request(
      'GET',
      `/api/v1/queues/${queue}/labels`,
      { query: { from: pastTime(from), to: pastTime(to), cursor, limit: 500 } },
    );
    for (const label of page.items) process.stdout.write(`${JSON.stringify(label)}\n`);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return EXIT.ok;
};

function figures({ count, agreement, kappa, interval }: Kappa): string[] {
  return [
    String(count),
    count === 0 ? '' : `${(agreement * 100).toFixed(0)} %`,
    kappa === null ? '' : kappa.toFixed(2),
    interval ? `${interval[0].toFixed(2)} to ${interval[1].toFixed(2)}` : '',
  ];
}
