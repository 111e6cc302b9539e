import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Schedule {
  workflow: string;
  kind: string;
  expression: string;
  timezone: string;
  overlap: string;
  paused: boolean;
  nextAt?: string;
  lastAt?: string;
  queued: number;
  skipped: number;
}

/** Lists the flows that start by time; with a flow shows its schedule, pauses it, resumes it, or starts the runs of a past range. */
export const schedules: Action = async (options, [workflow]) => {
  const client = await openClient(options);
  const { from, until } = options as Record<string, string | undefined>;
  const actions = (['pause', 'resume', 'backfill'] as const).filter((name) => options[name] === true);
  const [action] = actions;
  if (actions.length > 1 || (action !== undefined && workflow === undefined))
    throw new AiosError('request.invalid', {
      detail: 'Name one flow, and one of --pause, --resume and --backfill.',
    });
  if (action === undefined) {
    const { items } = await client.request<{ items: Schedule[] }>('GET', '/api/v1/schedules');
    const shown = workflow === undefined ? items : items.filter((item) => item.workflow === workflow);
    if (workflow !== undefined && shown.length === 0)
      throw new AiosError('workflow.not_scheduled', { detail: workflow });
    print(workflow === undefined ? { items } : shown[0], options.json, () => describe(shown));
    return EXIT.ok;
  }
  const url = `/api/v1/workflows/${encodeURIComponent(workflow!)}/schedule/${action}`;
  if (action === 'backfill') {
    if (from === undefined || until === undefined)
      throw new AiosError('request.invalid', { detail: '--backfill needs --from and --until.' });
    const body = { from: pastTime(from), until: pastTime(until) };
    const filled = await client.request<Backfill>('POST', url, { body });
    const { times, alreadyRun } = filled;
    print(filled, options.json, () => `${times} runs are started, ${alreadyRun} were there already`);
    return EXIT.ok;
  }
  const body = action === 'pause' ? { discardQueued: options.discard === true } : undefined;
  const changed = await client.request<Schedule>('POST', url, body ? { body } : {});
  print(changed, options.json, () => describe([changed]));
  return EXIT.ok;
};

interface Backfill {
  times: number;
  alreadyRun: number;
}

function describe(items: readonly Schedule[]): string {
  return table(
    ['flow', 'schedule', 'next', 'last', 'overlap', 'waiting', 'skipped'],
    items.map((item) => [
      item.workflow,
      `${item.kind} ${item.expression}${item.kind === 'cron' ? ` ${item.timezone}` : ''}`,
      item.paused ? 'paused' : relativeTime(item.nextAt),
      relativeTime(item.lastAt),
      item.overlap,
      String(item.queued),
      String(item.skipped),
    ]),
  );
}
