import type { AiosClient } from '../client/client.ts';
import { AiosError } from '../kernel/errors.ts';
import { isOwnEvent } from '../kernel/own-events.ts';
import type { Action } from './command-row.ts';
import { requireKnown } from './known-names.ts';
import { listText, readList } from './listing.ts';
import { EXIT, pastTime, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Plan {
  id?: string;
  events: number;
  isExact: boolean;
}

/** Gives a part of the log to a consumer group or a flow again. Without `--yes` it only says how many events that would be. */
export const replay: Action = async (options) => {
  const { consumer, workflow, from, until, type, filter, offsets } = options as Record<string, unknown>;
  if ((consumer === undefined) === (workflow === undefined))
    throw new AiosError('request.invalid', { detail: 'Name one of --consumer and --workflow.' });
  const body = {
    target: consumer === undefined ? { workflow: workflow as string } : { consumer: consumer as string },
    ...(offsets === undefined ? placed('from', from) : { from: { offsets: offsetsOf(String(offsets)) } }),
    ...placed('until', until),
    ...(type === undefined ? {} : { types: type as string[] }),
    ...(filter === undefined ? {} : { filter: String(filter) }),
    ...(options.reset === true ? { reset: true } : {}),
    dryRun: options.yes !== true,
  };
  const client = await openClient(options);
  const plan = await client.request<Plan>('POST', '/api/v1/events/replays', { body });
  if (plan.events === 0 && plan.isExact)
    for (const one of (type ?? []) as string[]) await requireContract(client, one);
  print(plan, options.json, () => {
    const count = `${plan.isExact ? '' : 'at least '}${plan.events} events`;
    if (options.yes !== true) return `${count} would be replayed; --yes does it`;
    return plan.id === undefined ? `moved: ${count} come again` : `${plan.id}: ${count} are replayed`;
  });
  return EXIT.ok;
};

/** Lists replays, the newest first; with an id shows one, or ends it. */
export const replays: Action = async (options, [id]) => {
  const client = await openClient(options);
  const url = '/api/v1/events/replays';
  if (id === undefined && options.cancel === true)
    throw new AiosError('request.invalid', { detail: 'Name the replay to cancel.' });
  const one = id === undefined ? undefined : `${url}/${encodeURIComponent(id)}`;
  const answer = one
    ? {
        items: [
          await client.request<Replay>(
            options.cancel === true ? 'POST' : 'GET',
            options.cancel === true ? `${one}/cancel` : one,
          ),
        ],
      }
    : await readList<{ items: Replay[] }>(client, url, {}, options.limit);
  print(one ? answer.items[0] : answer, options.json, () =>
    listText(
      answer,
      table(
        ['replay', 'into', 'status', 'handled', 'left'],
        answer.items.map(({ id, target, status, handled, remaining }) => [
          id,
          target.consumer ?? `flow ${target.workflow}`,
          status,
          String(handled),
          String(remaining),
        ]),
      ),
    ),
  );
  return EXIT.ok;
};

interface Replay {
  id: string;
  target: { consumer?: string; workflow?: string };
  status: string;
  handled: number;
  remaining: number;
}

interface Found {
  items: {
    id: string;
    type: string;
    source: string;
    partition: number;
    offset: number;
    recordedAt: string;
  }[];
  scanned: number;
  isBounded: boolean;
}

/** Searches the log, newest first. */
export const search: Action = async (options) => {
  const { filter, type, source, subject, from, until, limit } = options as Record<string, string | undefined>;
  const client = await openClient(options);
  const query = { filter, type, source, subject, since: pastTime(from), until: pastTime(until) };
  const found = await readList<Found>(client, '/api/v1/events', query, limit);
  if (found.items.length === 0) await requireContract(client, type);
  print(found, options.json, () => {
    const rows = found.items.map(({ recordedAt, type, source, id, partition, offset }) => [
      recordedAt,
      type,
      id,
      source,
      `${partition}/${offset}`,
    ]);
    const listed = table(['recorded', 'type', 'id', 'source', 'place'], rows);
    return found.isBounded
      ? `${listed}\n${found.scanned} events were looked at; older ones were not: narrow the time`
      : listText(found, listed, '--type, --from or --filter');
  });
  return EXIT.ok;
};

interface Group {
  group: string;
  lag: number;
  partitions: { owner: string | null }[];
}

/** Lists the consumer groups with their lag. */
export const groups: Action = async (options) => {
  const client = await openClient(options);
  const answer = await client.request<{ items: Group[] }>('GET', '/api/v1/consumer-groups');
  print(answer, options.json, () =>
    table(
      ['group', 'lag', 'processes'],
      answer.items.map(({ group, lag, partitions }) => [
        group,
        String(lag),
        String(new Set(partitions.flatMap(({ owner }) => owner ?? [])).size),
      ]),
    ),
  );
  return EXIT.ok;
};

interface LogSegment {
  segment: number;
  openedAt: string;
  bytes: number;
  behind: string[];
}

/** Lists the parts that the log is kept in, and what keeps each. */
export const segments: Action = async (options) => {
  const client = await openClient(options);
  const answer = await client.request<{ items: LogSegment[] }>('GET', '/api/v1/events/segments');
  print(answer, options.json, () =>
    table(
      ['segment', 'since', 'MiB', 'not read by'],
      answer.items.map(({ segment, openedAt, bytes, behind }) => [
        String(segment),
        relativeTime(openedAt),
        (bytes / 1024 / 1024).toFixed(1),
        behind.join(', '),
      ]),
    ),
  );
  return EXIT.ok;
};

function placed(name: 'from' | 'until', time: unknown) {
  return time === undefined ? {} : { [name]: { time: pastTime(String(time)) } };
}

function offsetsOf(text: string): number[] {
  return text.split(',').map((one) => {
    if (/^\s*\d+\s*$/.test(one)) return Number(one);
    const detail = `--offsets takes one whole number for each partition, separated by commas; “${one}” is not.`;
    throw new AiosError('request.invalid', { detail });
  });
}

/** Where no event is of a type: it has a contract, or tells of runs, which have none. */
async function requireContract(client: AiosClient, type: string | undefined): Promise<void> {
  if (type === undefined || !isOwnEvent(type)) await requireKnown(client, 'contract', type);
}
