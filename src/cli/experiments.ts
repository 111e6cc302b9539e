import { setTimeout as sleep } from 'node:timers/promises';
import type { AiosClient } from '../client/client.ts';
import type { Action } from './command-row.ts';
import { listText, readList } from './listing.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Run {
  id: string;
  name: string;
  status: string;
  startedAt?: string;
  params: Record<string, string>;
  metrics: Record<string, number | string>;
  versions: { name: string; version: number }[];
}

interface Piece {
  text: string;
  stream: 'stdout' | 'stderr';
}

const COLUMNS_MAX = 8; // of parameters, and of metrics: more do not fit a terminal
const FOLLOW_MS = 1_000;

/** `aios experiments list` */
export const list: Action = async (options) => {
  const client = await openClient(options);
  type Listed = { items: { id: string; name: string; updatedAt: string }[] };
  const page = await readList<Listed>(client, '/api/v1/experiments', {}, options.limit);
  print(page, options.json, () =>
    listText(
      page,
      table(
        ['experiment', 'name', 'changed'],
        page.items.map(({ id, name, updatedAt }) => [id, name, relativeTime(updatedAt)]),
      ),
    ),
  );
  return EXIT.ok;
};

/** `aios experiments runs NAME` */
export const runs: Action = async (options, [name]) => {
  const client = await openClient(options);
  const { filter, order, limit } = options as Record<string, string | undefined>;
  const path = `/api/v1/experiments/${encodeURIComponent(name!)}/runs`;
  const page = await readList<{ items: Run[] }>(client, path, { filter, orderBy: order }, limit);
  print(page, options.json, () => listText(page, compared(page.items), '--filter'));
  return EXIT.ok;
};

function compared(items: readonly Run[]): string {
  const keysOf = (part: 'params' | 'metrics') =>
    [...new Set(items.flatMap((run) => Object.keys(run[part])))].slice(0, COLUMNS_MAX);
  const params = keysOf('params');
  const metrics = keysOf('metrics');
  const rows = items.map((run) => [
    run.name,
    run.status.toLowerCase(),
    run.startedAt ? relativeTime(run.startedAt) : '',
    ...params.map((key) => run.params[key] ?? ''),
    ...metrics.map((key) => rounded(run.metrics[key])),
    run.versions.map(({ name, version }) => `${name} v${version}`).join(', '),
  ]);
  return table(['run', 'status', 'started', ...params, ...metrics, 'model'], rows);
}

function rounded(value: number | string | undefined): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(5))) : (value ?? '');
}

/** `aios logs RUN` */
export const logs: Action = async (options, [run]) => {
  const client = await openClient(options);
  const id = encodeURIComponent(run!);
  const step = typeof options.step === 'string' ? `&step=${encodeURIComponent(options.step)}` : '';
  let cursor = '0';
  for (;;) {
    const hasEnded = options.follow !== true || (await ended(client, id));
    for (;;) {
      const path = `/api/v1/runs/${id}/logs?limit=500&cursor=${cursor}${step}`;
      const page = await client.request<{ items: Piece[]; nextCursor: string | null }>('GET', path);
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
      if (options.json) print(page, true, () => '');
      else for (const { stream, text } of page.items) process[stream].write(text);
    }
    if (cursor === '0') await client.request('GET', `/api/v1/runs/${id}`); // nothing came: is there such a run?
    if (hasEnded) return EXIT.ok;
    await sleep(FOLLOW_MS);
  }
};

/** Asked before the last look at the log, so that nothing written meanwhile is missed. */
async function ended(client: AiosClient, id: string): Promise<boolean> {
  const { status } = await client.request<{ status: string }>('GET', `/api/v1/runs/${id}`);
  return ['completed', 'failed', 'canceled', 'cancelled'].includes(status);
}
