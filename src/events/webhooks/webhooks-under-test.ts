import type { Limits } from '../../kernel/limits.ts';
import { write } from '../../store/lane.ts';
import { EventConsumers } from '../consumers.ts';
import { Replays } from '../replay/replays.ts';
import { Webhooks } from './webhooks.ts';
import type { WebhookChange, WebhooksDependencies } from './webhooks-dependencies.ts';

interface Ground extends Pick<WebhooksDependencies, 'db' | 'log' | 'clock' | 'key' | 'onError'> {
  readonly limits: Limits;
  /** Its groups; of their own where they are left out. */
  readonly consumers?: EventConsumers;
  readonly recorded?: WebhookChange[];
  readonly takesPart?: boolean;
}

/** What sends webhooks, and gives them events again, in one process. Nothing is begun. */
export function processOfWebhooks({ recorded = [], takesPart = true, ...ground }: Ground) {
  const { db, log, limits } = ground;
  const consumers = ground.consumers ?? new EventConsumers({ db, log, limits });
  const webhooks = new Webhooks({
    ...{ ...ground, consumers, takesPart },
    send: async ({ url, headers, body, signal }) =>
      (await fetch(url, { method: 'POST', headers, body, signal })).status,
    record: (change) =>
      write({ name: 'noted', order: 99, write: async (_tx, items) => void recorded.push(...items) }, change),
  });
  return { consumers, webhooks };
}

/** Replays among the groups of a process. */
export function replaysAmong(consumers: EventConsumers, ground: Ground): Replays {
  return new Replays({
    ...{ takesPart: true, ...ground, consumers },
    workflows: {
      require: () => {},
      room: () => 1,
      definitions: { revision: 0, reload: async () => {} },
      start: async () => () => {},
    },
    onError: () => {},
  });
}

/** The audit entry of a replay. */
export const unaudited = () => write({ name: 'noted', order: 99, write: async () => undefined }, {});
