import { AiosError } from '../kernel/errors.ts';
import type { Action } from './command-row.ts';
import { listText, readList } from './listing.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import { openClient } from './session.ts';

interface Webhook {
  id: string;
  url: string;
  types?: string[];
  status: string;
  disabledReason?: string;
  failingSince?: string;
  secret?: string;
}

interface Delivery {
  id: string;
  event: { type: string; id: string };
  status: string;
  attempts: number;
  detail: string;
  nextAt?: string;
}

const URL = '/api/v1/webhooks';

/** Lists webhooks; with an id shows the deliveries that failed at first, or does with it what the options say. */
export const webhooks: Action = async (options, [id]) => {
  const client = await openClient(options);
  const { create, type, filter, retry } = options as Record<string, unknown>;
  if (create !== undefined) {
    const body = {
      url: String(create),
      ...(type === undefined ? {} : { types: type as string[] }),
      ...(filter === undefined ? {} : { filter: String(filter) }),
    };
    return told(await client.request<Webhook>('POST', URL, { body }), options.json);
  }
  if (id === undefined) {
    const answer = await client.request<{ items: Webhook[] }>('GET', URL);
    print(answer, options.json, () => describe(answer.items));
    return EXIT.ok;
  }
  const one = `${URL}/${encodeURIComponent(id)}`;
  const actions = ['enable', 'disable', 'rotate', 'delete', 'retry'].filter(
    (name) => options[name] !== undefined,
  );
  if (actions.length > 1)
    throw new AiosError('request.invalid', {
      detail: 'One of --enable, --disable, --rotate, --delete and --retry.',
    });
  switch (actions[0]) {
    case 'enable':
    case 'disable':
      return told(
        await client.request<Webhook>('PATCH', one, { body: { enabled: actions[0] === 'enable' } }),
        options.json,
      );
    case 'rotate':
      return told(await client.request<Webhook>('POST', `${one}/rotate`), options.json);
    case 'delete':
      print(await client.request('DELETE', one), options.json, () => `${id} is gone`);
      return EXIT.ok;
    case 'retry':
      print(
        await client.request('POST', `${one}/deliveries/${retry}/retry`),
        options.json,
        () => `${retry} is due`,
      );
      return EXIT.ok;
    default: {
      const answer = await readList<{ items: Delivery[] }>(client, `${one}/deliveries`, {}, options.limit);
      print(answer, options.json, () => listText(answer, describeDeliveries(answer.items)));
      return EXIT.ok;
    }
  }
};

function told(webhook: Webhook, json: boolean): number {
  print(webhook, json, () => {
    const { secret } = webhook;
    return `${describe([webhook])}${secret ? `\nThe secret is shown once: ${secret}` : ''}`;
  });
  return EXIT.ok;
}

function describe(items: readonly Webhook[]): string {
  return table(
    ['webhook', 'address', 'types', 'status'],
    items.map(({ id, url, types, status, disabledReason, failingSince }) => [
      id,
      url,
      types?.join(', ') ?? 'all',
      disabledReason ?? (failingSince ? `failing since ${relativeTime(failingSince)}` : status),
    ]),
  );
}

function describeDeliveries(items: readonly Delivery[]): string {
  return table(
    ['delivery', 'event', 'status', 'attempts', 'next', 'why'],
    items.map(({ id, event, status, attempts, nextAt, detail }) => [
      id,
      `${event.type} ${event.id}`,
      status,
      String(attempts),
      relativeTime(nextAt),
      detail,
    ]),
  );
}
