import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Webhook } from './webhook-store.ts';

/** @throws AiosError `webhooks.invalid` unless it is an address of http or https without credentials */
export function addressOf(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.username || parsed.password)
    throw new AiosError('webhooks.invalid', {
      detail: `“${url.slice(0, 200)}” is not an address of http or https without credentials.`,
    });
  return parsed.href;
}

/** A webhook as the audit log shows it: without its secrets. */
export function shownOf({ url, description, selection: { types, filter }, status }: Webhook): JsonObject {
  return { url, description, status, ...(types ? { types: [...types] } : {}), ...(filter ? { filter } : {}) };
}

/** Where events go over HTTP, as who may read definitions is told it: the rest of the address may hold a secret of the receiver. */
export interface WebhookChannel {
  readonly kind: 'webhook';
  readonly name: string;
  readonly action: 'send';
  /** `http` or `https`. */
  readonly protocol: string;
  readonly host: string;
  readonly address: null;
  /** Of those that go out; none where all do. */
  readonly types: readonly string[];
}

/** The channel of a webhook. */
export function channelOf({ id, url, selection }: Webhook): WebhookChannel {
  const { protocol, host } = new URL(url);
  return {
    ...{ kind: 'webhook', name: id, action: 'send', address: null },
    protocol: protocol.slice(0, -1),
    host,
    types: selection.types ?? [],
  };
}

/** Tells that AIOS disabled a webhook: nobody looks at one that works. */
export function disabledEvent({ id, url }: Webhook, reason: string, nowMs: number): CloudEvent {
  return {
    specversion: '1.0',
    id: `${id}/${nowMs}`,
    source: 'urn:aios:webhooks',
    type: 'aios.webhook.disabled',
    subject: id,
    time: new Date(nowMs).toISOString(),
    data: { webhook: id, url, reason },
  };
}
