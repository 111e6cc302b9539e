import type { Action } from './command-row.ts';
import { unknownName } from './known-names.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface RunQueue {
  name: string;
  paused: boolean;
  pending: number;
  admitted: number;
  oldestAt?: string;
  body?: { concurrency?: number; perKey?: number; rate?: { limit: number; period: unknown } };
}

/** Lists the queues of runs; with a name shows one, pauses it or lets it go on. */
export const runQueues: Action = async (options, [name]) => {
  const client = await openClient(options);
  if (name !== undefined && (options.pause || options.resume)) {
    const queue = await client.request<RunQueue>('PATCH', `/api/v1/run-queues/${encodeURIComponent(name)}`, {
      body: { paused: Boolean(options.pause) },
    });
    print(queue, options.json, () => describe([queue]));
    return EXIT.ok;
  }
  const { items } = await client.request<{ items: RunQueue[] }>('GET', '/api/v1/run-queues');
  const shown = items.filter((queue) => name === undefined || queue.name === name);
  if (name !== undefined && shown.length === 0)
    throw unknownName(
      'definition.not_found',
      'queue of runs',
      name,
      items.map((queue) => queue.name),
    );
  print({ items: shown }, options.json, () => describe(shown));
  return EXIT.ok;
};

function describe(queues: readonly RunQueue[]): string {
  return table(
    ['queue', 'state', 'waiting', 'running', 'oldest since', 'bounds'],
    queues.map(({ name, paused, pending, admitted, oldestAt, body }) => [
      name,
      paused ? 'paused' : 'open',
      String(pending),
      String(admitted),
      relativeTime(oldestAt),
      boundsOf(body),
    ]),
  );
}

function boundsOf({ concurrency, perKey, rate }: NonNullable<RunQueue['body']> = {}): string {
  return [
    ...(concurrency === undefined ? [] : [`${concurrency} at once`]),
    ...(perKey === undefined ? [] : [`${perKey} of a key`]),
    ...(rate === undefined ? [] : [`${rate.limit} in ${JSON.stringify(rate.period).replaceAll('"', '')}`]),
  ].join(', ');
}
