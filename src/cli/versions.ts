import type { Action } from './command-row.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface VersionInUse {
  version: number;
  current: boolean;
  runs: number;
  oldestStartedAt?: string;
  stands: { status: string; waitingFor?: string; runs: number }[];
}

/** `aios workflows versions NAME`: which versions still have runs that have not ended. */
export const versions: Action = async (options, [name]) => {
  const client = await openClient(options);
  const page = await client.request<{ items: VersionInUse[] }>(
    'GET',
    `/api/v1/workflows/${encodeURIComponent(name!)}/versions-in-use`,
  );
  print(page, options.json, () =>
    table(
      ['version', 'runs', 'oldest', 'where they stand'],
      page.items.map(({ version, current, runs, oldestStartedAt, stands }) => [
        current ? `${version} (in force)` : String(version),
        String(runs),
        relativeTime(oldestStartedAt),
        stands
          .map((each) => `${each.runs} ${each.status}${each.waitingFor ? ` in ${each.waitingFor}` : ''}`)
          .join(', '),
      ]),
    ),
  );
  return EXIT.ok;
};
